"""What the chart tells the exporter is what the exporter understands."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from typer.core import TyperGroup

from exporter.__main__ import app
from exporter.configuration import Configuration, check
from exporter.settings import Settings, load_settings
from exporter.web.config import load_web_config
from tests.support.certificates import Authority
from tests.support.helm import CASES, Helm, Rendered
from tests.support.tools import ROOT

CONFIGURATION = "sources: [{name: apps, type: log_groups, log_groups: [a]}]\nrule_packs: [lambda]\n"
RULES = "rules: [{name: of_team_a, pattern: ERROR}]\n"
EXISTING = {
    "exporter-configuration": {"exporter.yaml": CONFIGURATION},
    "rules-of-team-a": {"a.yaml": RULES},
    "exporter-web": {
        "web.yaml": "tls_server_config: {cert_file: ../tls/tls.crt, key_file: ../tls/tls.key}"
    },
}
"""The ConfigMaps and Secrets that the cases expect to be there already."""
DOCUMENT = (ROOT / "docs" / "kubernetes.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.+?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("case", CASES)
def test_the_exporter_accepts_the_command_line(helm4: Helm, case: str) -> None:
    settings = _settings(helm4.case(case).container["args"])
    assert settings.storage_path == Path("/data")


@pytest.mark.parametrize("case", CASES)
def test_the_exporter_accepts_the_configuration(helm4: Helm, case: str, tmp_path: Path) -> None:
    assert _load(helm4.case(case), tmp_path).rules


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("web-")])
def test_the_exporter_accepts_the_web_configuration(helm4: Helm, case: str, tmp_path: Path) -> None:
    rendered = helm4.case(case)
    path = _settings(_mounted(rendered, tmp_path)).web_config_file
    assert path is not None
    attempt = load_web_config(path)
    assert attempt.errors == ()
    assert attempt.loaded is not None
    scheme = "HTTP" if attempt.loaded.context is None else "HTTPS"
    assert scheme == ("HTTP" if case == "web-basic-auth" else "HTTPS")
    for monitor in (*rendered.of("ServiceMonitor"), *rendered.of("PodMonitor")):
        spec = monitor["spec"]
        (endpoint,) = spec.get("endpoints") or spec["podMetricsEndpoints"]
        assert endpoint["scheme"] == scheme.lower()


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: str(text).partition(":")[0])
def test_the_examples_of_the_documentation_work(helm4: Helm, text: str, tmp_path: Path) -> None:
    assert _load(helm4.template(yaml.safe_load(text)), tmp_path).rules


def test_without_a_configuration_it_reads_event_history_with_the_cis_rules(
    helm4: Helm, tmp_path: Path
) -> None:
    configuration = _load(helm4.case("default"), tmp_path)
    assert [source.type for source in configuration.sources] == ["event_history"]
    assert {rule.name.split("_")[0] for rule in configuration.rules} == {"cis"}


def test_rule_packs_replace_the_default_one(helm4: Helm, tmp_path: Path) -> None:
    configuration = _load(helm4.template({"rulePacks": ["cloudtrail-security"]}), tmp_path)
    assert len(configuration.sources) == 1
    assert not [rule for rule in configuration.rules if rule.name.startswith("cis_")]


def test_rule_packs_are_tuned_as_without_the_chart(helm4: Helm, tmp_path: Path) -> None:
    configuration = _load(helm4.case("rule-packs"), tmp_path)
    (rule,) = [r for r in configuration.rules if r.name == "security_console_logins"]
    assert (rule.exclude, rule.max_series) == ({"user": ("ci-*",)}, 5000)
    assert rule.labels["team"].literal == "platform"
    thresholds = {one.name: (one.value, one.accounts) for one in configuration.thresholds}
    assert thresholds["password_guesses"] == (50.0, {})
    assert thresholds["access_denied_surge"] == (20.0, {"111122223333": 2e6})


def test_a_mapping_keeps_names_of_digits_that_are_quoted(helm4: Helm, tmp_path: Path) -> None:
    configuration = _load(helm4.case("config-mapping"), tmp_path)
    (rule,) = [r for r in configuration.rules if r.name == "console_login_failures"]
    assert "012345678901" in repr(rule.labels)


def test_text_arrives_to_the_letter_but_for_templates(helm4: Helm, tmp_path: Path) -> None:
    rendered = helm4.case("config-text")
    text = rendered.one("ConfigMap", "exporter-metric-filter-exporter-config")["data"][
        "config.yaml"
    ]
    assert text.startswith("# Of the release exporter.\n")
    (rule,) = _load(rendered, tmp_path).rules
    assert "'007'" in repr(rule.labels)
    assert "'on'" in repr(rule.labels)


def test_packs_come_with_their_sources_and_without_rules(helm4: Helm, tmp_path: Path) -> None:
    rules = {rule.name: rule for rule in _load(helm4.case("rule-packs"), tmp_path).rules}
    assert "lambda_cold_starts" not in rules
    assert rules["lambda_timeouts"].sources == ("apps",)
    assert any(name for name in rules if not name.startswith("lambda_"))


def test_rule_files_come_from_values_and_from_existing_config_maps(
    helm4: Helm, tmp_path: Path
) -> None:
    names = {rule.name for rule in _load(helm4.case("rule-files"), tmp_path).rules}
    assert names == {"app_errors", "timeouts", "of_team_a"}


def test_templates_work_in_rule_files(helm4: Helm) -> None:
    files = {
        "a.yaml": {"rules": [{"name": "a", "pattern": "{{ .Release.Name }}"}]},
        "b.yaml": "rules: [{name: b, pattern: '{{ .Release.Namespace }}'}]",
    }
    rendered = helm4.template({"ruleFiles": files})
    data = rendered.one("ConfigMap", "exporter-metric-filter-exporter-rules")["data"]
    assert "pattern: 'exporter'" in data["a.yaml"]
    assert "pattern: 'monitoring'" in data["b.yaml"]


def test_the_region_goes_to_the_sdk(helm4: Helm) -> None:
    environment = {e["name"]: e["value"] for e in helm4.case("irsa").container["env"]}
    assert environment == {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}


def _settings(args: list[str]) -> Settings:
    """Parse the arguments of a container as the exporter does."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    assert args[0] == "run"
    context = group.commands["run"].make_context("run", list(args[1:]))
    flags: Mapping[str, object] = {k: v for k, v in context.params.items() if k != "once"}
    return load_settings(flags)


def _load(rendered: Rendered, folder: Path) -> Configuration:
    """Load the configuration as the pod would: nothing may be wrong, nor worth a warning."""
    settings = _settings(_mounted(rendered, folder))
    checked = check(settings.config_file)
    assert [problem.render() for problem in checked.problems] == []
    assert checked.configuration is not None
    return checked.configuration


def _mounted(rendered: Rendered, folder: Path) -> list[str]:
    """Lay the container's volumes out below a folder; its arguments, with the paths there."""
    volumes = {volume["name"]: volume for volume in rendered.pod["spec"]["volumes"]}
    for mount in rendered.container["volumeMounts"]:
        target = folder / mount["mountPath"].lstrip("/")
        for key, text in _content(rendered, volumes.get(mount["name"], {})).items():
            # As the kubelet does: the files are links into a folder of this version of them.
            version = target / "..2026_01_01_00_00_00.1"
            version.mkdir(parents=True, exist_ok=True)
            (version / key).write_text(text.replace("/etc/", f"{folder}/etc/"))
            (target / key).symlink_to(version / key)
    args: list[str] = rendered.container["args"]
    return [arg.replace("=/etc/", f"={folder}/etc/") for arg in args]


def _content(rendered: Rendered, volume: Mapping[str, Any]) -> Mapping[str, str]:
    if "configMap" in volume:
        kind, name = "ConfigMap", volume["configMap"]["name"]
    elif "secret" in volume:
        kind, name = "Secret", volume["secret"]["secretName"]
    else:
        return {}
    if name == "exporter-certificate":
        return _certificate()
    if name in EXISTING:
        return EXISTING[name]
    manifest = rendered.one(kind, name)
    content: Mapping[str, str] = manifest.get("data") or manifest["stringData"]
    return content


@cache
def _certificate() -> Mapping[str, str]:
    """A Secret of the type kubernetes.io/tls, as cert-manager makes it."""
    with tempfile.TemporaryDirectory() as directory:
        authority = Authority(Path(directory))
        server = authority.issue("server")
        return {
            "tls.crt": server.certificate.read_text(),
            "tls.key": server.key.read_text(),
            "ca.crt": authority.file.read_text(),
        }
