"""Values: documented, and refused where they are wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import __version__
from exporter.settings import FLAGS
from scripts.chart_readme import UndocumentedError, read_values, updated
from tests.support.helm import CASES, CHART, NAME, Helm, HelmError

REJECTED = sorted(Path(__file__).parent.glob("rejected/*.yaml"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
OPEN = {
    "affinity",
    "config.sources[]",
    "global",
    "httpRoute.filters[]",
    "httpRoute.matches[]",
    "httpRoute.parentRefs[]",
    "networkPolicy.from[]",
    "podSecurityContext",
    "securityContext",
    "ruleFiles.*",
    "tolerations[]",
    "topologySpreadConstraints[]",
}
"""Mappings that somebody else's schema is for: Kubernetes's, the exporter's, the operators'."""


@pytest.mark.parametrize("path", REJECTED, ids=lambda path: path.stem)
def test_wrong_values_are_refused_with_a_message_that_names_the_key(
    helms: dict[str, Helm], path: Path
) -> None:
    expected = dict(re.findall(r"^# (Both|Helm [34]): (.+)$", path.read_text(), re.MULTILINE))
    for major, helm in helms.items():
        with pytest.raises(HelmError) as refusal:
            helm.template(path)
        message = " ".join(str(refusal.value).split())
        assert (expected.get(f"Helm {major[-1]}") or expected["Both"]) in message


def test_a_chart_that_depends_on_this_one_may_switch_it(helm: Helm) -> None:
    assert helm.template({"global": {"a": 1}, "enabled": True}).one("Service")


def test_the_readme_has_the_values_as_they_are() -> None:
    readme = (CHART / "README.md").read_text()
    assert updated(readme, (CHART / "values.yaml").read_text()) == readme, "run `make chart`"


def test_a_value_without_a_comment_is_noticed() -> None:
    with pytest.raises(UndocumentedError, match=r"`a\.c`"):
        read_values("a:\n  # -- Documented.\n  b: 1\n\n  c: 2\n")


def test_every_value_is_in_the_schema_and_every_key_of_the_schema_has_a_value() -> None:
    assert set(_differences(VALUES, SCHEMA, "")) == {"global", "enabled"}


def test_the_schema_is_closed() -> None:
    """Where a mapping takes any key, it says what the values are, or is somebody else's."""
    for place, schema in _objects(SCHEMA, ""):
        if schema.get("additionalProperties") in (None, True):
            assert place in OPEN or place.endswith("[]") or _is_kubernetes(place), place


def test_readme_and_chart_name_the_version_of_the_exporter() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__
    assert chart["name"] == CHART.name
    assert yaml.safe_load(chart["annotations"]["artifacthub.io/images"])[0]["image"] == (
        f"{VALUES['image']['repository']}:{__version__}"
    )
    for name in ("links", "changes"):
        assert yaml.safe_load(chart["annotations"][f"artifacthub.io/{name}"])


def test_the_flags_of_the_exporter_all_have_a_value(helm4: Helm) -> None:
    args = {
        arg.partition("=")[0].replace("--no-", "--")
        for case in CASES
        for arg in helm4.case(case).container["args"]
        if arg.startswith("--")
    }
    # The files are watched unless somebody wants otherwise: extraArgs.
    assert args == {flag.name for flag in FLAGS.values()} - {"--config.watch"}


def test_the_notes_say_what_to_do_next(helm4: Helm) -> None:
    notes = helm4.notes()
    assert f"kubectl -n monitoring rollout status statefulset/{NAME}" in notes
    assert "Pod Identity" in notes
    assert "set serviceMonitor.enabled=true" in notes
    assert "WARNING" not in notes


def test_the_notes_know_what_was_done_and_warn(helm4: Helm) -> None:
    notes = helm4.notes(
        {
            "persistence": {"enabled": False},
            "serviceAccount": {
                "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/a"}
            },
            "podMonitor": {"enabled": True},
            "prometheusRule": {"enabled": True},
            "existingConfigMap": "exporter",
        }
    )
    assert "WARNING: persistence.enabled is false" in notes
    assert f"role from the service account {NAME}" in notes
    assert "podMonitor.labels" in notes
    assert "4. Alerts: exporter." in notes
    assert "prometheusRule.files" in notes
    assert "a changed ConfigMap is in force" in notes


def _differences(values: dict[str, Any], schema: dict[str, Any], prefix: str) -> Iterator[str]:
    """Keys that only one of the two has; a mapping that is empty by default has its form there."""
    schema = _resolved(schema)
    keys = schema.get("properties")
    if keys is None or not values or prefix.endswith(("Probe.", "instanceSelector.")):
        return
    for key in values.keys() ^ keys.keys():
        yield f"{prefix}{key}"
    for key in values.keys() & keys.keys():
        if isinstance(values[key], dict):
            yield from _differences(values[key], keys[key], f"{prefix}{key}.")


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    return found


def _is_kubernetes(place: str) -> bool:
    parts = {"tlsConfig", "username", "password", "limits", "requests"}
    return place.rpartition(".")[2] in parts


def _objects(schema: dict[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of a mapping, by its place."""
    schema = _resolved(schema)
    kinds = schema.get("type", [])
    if "object" in ([kinds] if isinstance(kinds, str) else kinds):
        yield place, schema
    for alternative in (*schema.get("oneOf", []), *schema.get("allOf", [])):
        yield from _objects(alternative, place)
    for key, below in schema.get("properties", {}).items():
        yield from _objects(below, f"{place}.{key}" if place else key)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _objects(schema["additionalProperties"], f"{place}.*")
    if "items" in schema:
        yield from _objects(schema["items"], f"{place}[]")
