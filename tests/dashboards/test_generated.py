"""What is committed is what the generator makes."""

from __future__ import annotations

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as Model

from generator import __main__ as generator
from tests.support.dashboards import FOLDER, Dashboard

# The SDK's model of annotations leaves out what Prometheus's annotations have.
_UNKNOWN_TO_THE_SDK = {"step", "tagKeys", "textFormat", "titleFormat", "useValueForTime"}


def test_the_dashboards_are_up_to_date() -> None:
    different = [path.name for path, text in generator.files().items() if path.read_text() != text]
    assert different == [], "run make dashboards"


def test_nothing_lies_beside_them_that_is_not_generated() -> None:
    assert set(FOLDER.glob("*.json")) == set(generator.files())


def test_the_json_is_formatted(dashboard: Dashboard) -> None:
    formatted = json.dumps(
        dashboard.json, indent=0, sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    assert dashboard.path.read_text() == formatted + "\n"


def test_grafanas_model_knows_every_key(dashboard: Dashboard) -> None:
    register_default_plugins()
    read = json.loads(JSONEncoder().encode(Model.from_json(dashboard.json)))
    lost = _keys(dashboard.json) - _keys(read)
    assert {path for path in lost if path.rpartition(".")[2] not in _UNKNOWN_TO_THE_SDK} == set()


def _keys(value: object, path: str = "") -> set[str]:
    if isinstance(value, dict):
        inside = (_keys(item, f"{path}.{key}") for key, item in value.items())
        return {f"{path}.{key}" for key in value}.union(*inside)
    if isinstance(value, list):
        return set[str]().union(*(_keys(item, f"{path}[{i}]") for i, item in enumerate(value)))
    return set()
