"""The PrometheusRules are the files in alerts/, with the changes that the values ask for."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.helm import NAME, Helm, HelmError, Rendered
from tests.support.tools import ROOT, PrometheusBinaries

ALERTS = ROOT / "alerts"
FILES = sorted(path.stem for path in ALERTS.glob("*.yaml"))


@pytest.fixture(scope="module")
def everything(helm4: Helm) -> Rendered:
    return helm4.template({"prometheusRule": {"enabled": True, "files": FILES}})


def test_there_are_none_unless_they_are_asked_for(helm4: Helm) -> None:
    assert helm4.case("default").of("PrometheusRule") == []


@pytest.mark.parametrize("file", FILES)
def test_they_are_the_files_to_the_letter(everything: Rendered, file: str) -> None:
    assert _groups(everything, file) == _read(file)


def test_only_the_exporters_and_those_of_the_packs_in_use_are_made(helm: Helm) -> None:
    made = {item["metadata"]["name"] for item in helm.case("prometheusrule").of("PrometheusRule")}
    files = ("cis-aws-foundations", "exporter", "lambda", "security-overview")
    assert made == {f"{NAME}-{file}" for file in files}


def test_files_may_be_named(helm4: Helm) -> None:
    made = [m["metadata"]["name"] for m in helm4.case("existing-configmap").of("PrometheusRule")]
    assert made == [f"{NAME}-exporter", f"{NAME}-lambda"]


@pytest.mark.parametrize("case", ["prometheusrule", "prometheusrule-changes"])
def test_prometheus_accepts_them(
    helm4: Helm, case: str, tmp_path: Path, prometheus_binaries: PrometheusBinaries
) -> None:
    paths = _write(helm4.case(case), tmp_path)
    _promtool(prometheus_binaries, "check", "rules", "--lint-fatal", *map(str, paths))


def test_the_alerts_unit_tests_pass_on_them(
    everything: Rendered, tmp_path: Path, prometheus_binaries: PrometheusBinaries
) -> None:
    paths = _write(everything, tmp_path)
    _promtool(prometheus_binaries, "check", "rules", *map(str, paths))
    # One file will do: that all are equal to those in alerts/, a test above says.
    shutil.copytree(ALERTS / "tests", tmp_path / "tests")
    _promtool(prometheus_binaries, "test", "rules", str(tmp_path / "tests" / "lambda.test.yaml"))


def test_alerts_can_be_left_out_by_name_and_by_severity(helm4: Helm) -> None:
    changed = helm4.case("prometheusrule-changes")
    before, after = (
        {rule["alert"] for rule in _alerts(groups).values()}
        for groups in (_read("cis-aws-foundations"), _groups(changed, "cis-aws-foundations"))
    )
    assert before - after == {"AwsCisVpcChanges"}
    stale = [
        alert
        for alert in _alerts(_groups(changed, "exporter"))
        if alert.startswith("MetricFilterExporterPartitionStale")
    ]
    assert stale == ["MetricFilterExporterPartitionStale/critical"]


def test_a_group_and_a_file_without_rules_are_not_made(helm4: Helm) -> None:
    names = [rule["alert"] for group in _read("step-functions") for rule in group["rules"]]
    values = {"enabled": True, "files": ["step-functions"], "disabled": names}
    assert helm4.template({"prometheusRule": values}).of("PrometheusRule") == []


def test_threshold_duration_severity_and_labels_of_an_alert_can_be_changed(helm4: Helm) -> None:
    before = _alerts(_read("lambda"))["LambdaErrorRatioHigh/warning"]
    after = _alerts(_groups(helm4.case("prometheusrule-changes"), "lambda"))[
        "LambdaErrorRatioHigh/info"
    ]
    assert after["expr"].strip() == re.sub(r"> 0.05\s*$", "> 0.2", before["expr"])
    assert (after["for"], after["keep_firing_for"]) == ("10m", "1h")
    assert after["labels"] == {"severity": "info", "cluster": "production"}
    assert after["annotations"] == {
        **before["annotations"],
        "contact": "security@example.com",
        "runbook_url": "https://wiki.example.com/runbooks/LambdaErrorRatioHigh.md",
    }


def test_an_expression_can_be_replaced_and_labels_and_annotations_added(helm4: Helm) -> None:
    rules = _alerts(_groups(helm4.case("prometheusrule-changes"), "lambda"))
    rule = rules["LambdaTimeouts/warning"]
    assert rule["expr"] == "sum(increase(lambda_timeouts_total[1h])) > 10"
    assert rule["labels"]["team"] == "checkout"
    assert rule["annotations"]["dashboard_url"] == "https://grafana.example.com/d/lambda"
    assert "{{ $labels.log_group }}" in rule["annotations"]["description"]


@pytest.mark.parametrize("threshold", [0, 7, 0.25, 1500000])
def test_a_threshold_may_be_any_number(helm: Helm, threshold: float) -> None:
    change = {"LambdaErrorRatioHigh": {"threshold": threshold}}
    values = {"enabled": True, "files": ["lambda"], "overrides": change}
    rules = _alerts(_groups(helm.template({"prometheusRule": values}), "lambda"))
    expression = rules["LambdaErrorRatioHigh/warning"]["expr"]
    assert float(expression.rsplit(">", 1)[1]) == threshold
    assert expression.rsplit(">", 1)[0].endswith(") ")


def test_most_alerts_have_a_threshold_to_change(helm4: Helm) -> None:
    """In their expression or in their pack. The others compare with another series, or are silent
    where another alert fires; their whole expression can be replaced."""
    rules = [rule for file in FILES for rule in _alerts(_read(file)).values()]
    fixed = [
        rule["alert"]
        for rule in rules
        if re.search(r"(?m)^unless ", rule["expr"])
        or not re.search(r"[<>=] [0-9.]+\s*$", rule["expr"])
    ]
    of_packs = {rule["alert"] for rule in rules if "metric_filter_threshold" in rule["expr"]}
    assert len(set(fixed) - of_packs) < len(rules) / 2
    values = {"enabled": True, "overrides": {fixed[0]: {"threshold": 1}}, "files": FILES}
    with pytest.raises(HelmError, match=f"expression of {fixed[0]} does not end in a comparison"):
        helm4.template({"prometheusRule": values})


def test_recording_rules_are_left_as_they_are(helm4: Helm) -> None:
    def recorded(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [rule for group in groups for rule in group["rules"] if "record" in rule]

    changed = _groups(helm4.case("prometheusrule-changes"), "exporter")
    assert recorded(changed) == recorded(_read("exporter"))


def test_own_groups_keep_their_templates(helm4: Helm) -> None:
    (group,) = _groups(helm4.case("prometheusrule-changes"), "extra")
    (rule,) = group["rules"]
    assert rule["annotations"]["description"] == "{{ $labels.log_group }} has {{ $value }} errors."


def _groups(rendered: Rendered, file: str) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = rendered.one("PrometheusRule", f"{NAME}-{file}")["spec"][
        "groups"
    ]
    return groups


def _read(file: str) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load((ALERTS / f"{file}.yaml").read_text())["groups"]
    return groups


def _alerts(groups: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Alerts by name and severity."""
    return {
        f"{rule['alert']}/{rule['labels']['severity']}": rule
        for group in groups
        for rule in group["rules"]
        if "alert" in rule
    }


def _write(rendered: Rendered, folder: Path) -> list[Path]:
    """Write the groups as rule files of the names that they come from."""
    paths = []
    for manifest in rendered.of("PrometheusRule"):
        path = folder / f"{manifest['metadata']['name'].removeprefix(f'{NAME}-')}.yaml"
        path.write_text(yaml.safe_dump({"groups": manifest["spec"]["groups"]}))
        paths.append(path)
    return paths


def _promtool(binaries: PrometheusBinaries, *arguments: str) -> None:
    done = subprocess.run(
        [str(binaries.promtool), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
