"""The parts of Grafana's dashboard schema that the dashboards use, types and ids included.

Grafana publishes no validator of its own; these models stand for what @grafana/schema says of the
parts in use, and refuse all others.
"""

from __future__ import annotations

from inspect import signature
from itertools import combinations
from typing import Annotated, Any, Final, Literal

from grafana_foundation_sdk.models import common, timeseries, units
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from tests.support.dashboards import Dashboard

_COLUMNS: Final = 24
_UNITS: Final = {
    value for name, value in vars(units).items() if name[0].isupper() and isinstance(value, str)
}
_OPTIONS: Final = {
    *("unit", "decimals", "min", "max", "displayName", "noValue", "color", "thresholds"),
    *("mappings", "links"),
}
_CELLS: Final = {str(kind) for kind in common.TableCellDisplayMode}
_NEWER: Final = {"hideFrom"}
"""Of tables, since Grafana 12.2; the SDK is of 11.6."""
_TRANSFORMATIONS: Final = {"merge", "organize", "filterFieldsByName"}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class _DataSource(_Model):
    type: Literal["prometheus"]
    uid: Literal["${datasource}"]


class _GridPos(_Model):
    x: Annotated[int, Field(ge=0, lt=_COLUMNS)]
    y: Annotated[int, Field(ge=0)]
    w: Annotated[int, Field(gt=0, le=_COLUMNS)]
    h: Annotated[int, Field(gt=0)]


class _Target(_Model):
    datasource: _DataSource
    exemplar: bool = False
    expr: str
    format: Literal["time_series", "table", "heatmap"] = "time_series"
    instant: bool
    legend_format: str
    range: bool
    ref_id: Annotated[str, Field(pattern="^[A-Z]$")]


class _Link(_Model):
    as_dropdown: bool
    icon: str
    include_vars: bool
    keep_time: bool
    tags: list[str]
    target_blank: bool
    title: str
    tooltip: str
    type: Literal["link", "dashboards"]
    url: str | None = None


class _Property(_Model):
    id: str
    value: Any


class _Matcher(_Model):
    id: Literal["byName", "byFrameRefID"]
    options: str


class _Override(_Model):
    matcher: _Matcher
    properties: list[_Property]


class _FieldConfig(_Model):
    defaults: dict[str, Any]
    overrides: list[_Override]


class _Transformation(_Model):
    id: str
    options: dict[str, Any]


class _Panel(_Model):
    datasource: _DataSource | None = None
    description: str
    field_config: _FieldConfig | None = None
    grid_pos: _GridPos
    id: int
    interval: str | None = None
    max_data_points: int | None = None
    options: dict[str, Any]
    repeat_direction: Literal["h"]
    targets: list[_Target] = []
    title: str
    transformations: list[_Transformation] = []
    transparent: bool
    type: Literal["bargauge", "heatmap", "stat", "table", "text", "timeseries"]


class _Row(_Model):
    collapsed: bool
    grid_pos: _GridPos
    id: int
    panels: list[_Panel]
    title: str
    type: Literal["row"]


class _Variable(_Model):
    model_config = ConfigDict(extra="ignore", strict=True)
    label: str
    name: str
    type: Literal["datasource", "query", "textbox"]


_PANELS: Final = TypeAdapter(list[Annotated[_Panel | _Row, Field(discriminator="type")]])


def test_panels_rows_and_variables_are_as_the_schema_has_them(dashboard: Dashboard) -> None:
    _PANELS.validate_python(dashboard.json["panels"])
    TypeAdapter(list[_Variable]).validate_python(dashboard.variables)
    TypeAdapter(list[_Link]).validate_python(dashboard.json["links"])


def test_units_are_grafanas(dashboard: Dashboard) -> None:
    used = set()
    for panel in dashboard.panels:
        config = panel.get("fieldConfig", {"defaults": {}, "overrides": []})
        used.add(config["defaults"].get("unit", "short"))
        used |= {p["value"] for p in _properties(config) if p["id"] == "unit"}
    named = {unit for unit in used if unit.startswith("suffix: ")}  # a unit of one's own
    assert used - named <= _UNITS, used - _UNITS


def test_overrides_change_what_their_panel_has(dashboard: Dashboard) -> None:
    models = {"table": common.TableFieldOptions, "timeseries": timeseries.FieldConfig}
    for panel in dashboard.panels:
        for found in _properties(panel.get("fieldConfig", {"overrides": []})):
            kind, _, option = found["id"].rpartition(".")
            if kind == "custom":
                fields = signature(models[panel["type"]]).parameters
                known = option in _NEWER or _snake(option) in fields
                assert known, (panel["title"], found["id"])
            else:
                assert option in _OPTIONS, (panel["title"], found["id"])
            if option == "cellOptions":
                assert found["value"]["type"] in _CELLS


def test_columns_that_are_changed_are_in_the_table(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        if panel["type"] != "table":
            continue
        assert {t["id"] for t in panel["transformations"]} <= _TRANSFORMATIONS
        titles = set(panel["transformations"][-1]["options"]["renameByName"].values())
        changed = {o["matcher"]["options"] for o in panel["fieldConfig"]["overrides"]}
        sorted_by = {order["displayName"] for order in panel["options"].get("sortBy", ())}
        assert changed | sorted_by <= titles, panel["title"]


def test_ids_are_unique_and_panels_do_not_overlap(dashboard: Dashboard) -> None:
    everything = [*dashboard.json["panels"]]
    for row in dashboard.json["panels"]:
        everything += row.get("panels", ())
    assert len({panel["id"] for panel in everything}) == len(everything)
    for one, other in combinations((panel["gridPos"] for panel in everything), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= _COLUMNS for p in everything)


def _properties(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [found for override in config["overrides"] for found in override["properties"]]


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
