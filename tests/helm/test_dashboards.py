"""The dashboards are the files in grafana-dashboards/."""

from __future__ import annotations

import pytest

from tests.support.helm import NAME, Helm
from tests.support.tools import ROOT

DASHBOARDS = sorted((ROOT / "grafana-dashboards").glob("*.json"))
LAST_APPLIED_LIMIT = 262_144
"""Bytes of all annotations of an object: `kubectl apply` keeps the whole object in one."""


def test_there_are_none_unless_they_are_asked_for(helm4: Helm) -> None:
    names = [item["metadata"]["name"] for item in helm4.case("default").of("ConfigMap")]
    assert names == [f"{NAME}-config"]


@pytest.mark.parametrize("name", [path.stem for path in DASHBOARDS])
def test_each_is_a_config_map_for_the_sidecar(helm: Helm, name: str) -> None:
    content = (ROOT / "grafana-dashboards" / f"{name}.json").read_text()
    manifest = helm.case("dashboards").one("ConfigMap", f"{NAME}-{name}")
    assert manifest["data"] == {f"{name}.json": content}
    assert manifest["metadata"]["namespace"] == "grafana"
    assert manifest["metadata"]["labels"]["grafana_dashboard"] == "true"
    assert manifest["metadata"]["labels"]["team"] == "security"
    assert manifest["metadata"]["annotations"] == {"grafana_folder": "AWS"}
    assert len(content.encode()) < LAST_APPLIED_LIMIT


def test_the_grafana_operator_gets_the_same(helm: Helm) -> None:
    rendered = helm.case("grafana-operator")
    (manifest,) = rendered.of("GrafanaDashboard")
    file = ROOT / "grafana-dashboards" / "exporter-health-and-cost.json"
    assert manifest["spec"]["json"] == file.read_text()
    assert manifest["spec"]["instanceSelector"] == {"matchLabels": {"dashboards": "security"}}
    assert manifest["spec"]["folder"] == "AWS"
    assert f"{NAME}-exporter-health-and-cost" not in [
        item["metadata"]["name"] for item in rendered.of("ConfigMap")
    ]


def test_some_may_be_chosen(helm4: Helm) -> None:
    rendered = helm4.template({"dashboards": {"enabled": True, "files": ["rule-explorer"]}})
    names = [item["metadata"]["name"] for item in rendered.of("ConfigMap")]
    assert names == [f"{NAME}-rule-explorer", f"{NAME}-config"]
