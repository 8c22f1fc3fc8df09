"""Tables: their columns, order and style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from generator import style
from generator.panels import WHOLE, Query, by_thresholds, dress, targets

VALUE: Final = "Value"
"""The field of the values of a table with one query; with several, ``Value #A``, ``Value #B`` …"""
UNWANTED: Final = ("Time", "__name__", "job", "instance")


@dataclass(frozen=True)
class Column:
    """A column: ``name`` is the field's, that is a label or a query's values."""

    name: str
    title: str
    unit: str | None = None
    decimals: int | None = None
    width: int | None = None
    bar: bool = False
    """Draw the value as a bar."""
    steps: style.Steps | None = None
    """Colour the value by thresholds."""
    mapping: models.ValueMap | None = None
    """Show the value as a text in a colour."""
    filled: bool = False
    """Colour the whole cell."""
    hidden: bool = False
    """Not shown: links need its value."""
    link: models.DashboardLink | None = None
    """The link of the cell."""

    def properties(self) -> list[models.DynamicConfigValue]:
        """How the column differs from Grafana's defaults."""
        found: dict[str, object | None] = {
            # Or Grafana takes an account's id for a number: 123 Bil.
            "unit": self.unit or (WHOLE if self.name.startswith(VALUE) else "string"),
            "decimals": self.decimals,
            "custom.width": self.width,
            # The first is Grafana's key up to 12.1, the second from 12.2 on.
            "custom.hidden": True if self.hidden else None,
            "custom.hideFrom": {"viz": True} if self.hidden else None,
            "custom.cellOptions": self._cell(),
            "mappings": [self.mapping] if self.mapping else None,
            "links": [self.link] if self.link else None,
        }
        if self.steps is not None:
            found["thresholds"] = style.thresholds(self.steps).build()
            found["color"] = {"mode": "thresholds"}
        if self.bar:
            found["min"] = 0
        return [models.DynamicConfigValue(k, v) for k, v in found.items() if v is not None]

    def _cell(self) -> object | None:
        if self.bar:
            return {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        if self.filled:
            return {"type": "color-background", "mode": "basic"}
        if self.mapping is not None or self.steps is not None:
            return {"type": "color-text"}
        return None


def listing(
    title: str,
    description: str,
    queries: Sequence[str],
    columns: Sequence[Column],
    *,
    sort_by: Sequence[str] = (),
    rest: bool = False,
    hidden: Sequence[str] = (),
) -> table.Panel:
    """A table of instant queries, joined by their labels.

    Args:
        title: of the panel.
        description: its content.
        queries: the first names the rows.
        columns: from left to right; all others are hidden.
        sort_by: titles of columns; with a ``-`` in front the largest come first.
        rest: also show the labels that are not among the columns, after them.
        hidden: fields not to show, with ``rest``.
    """
    fields = [Query(query, "") for query in queries]
    panel = (
        dress(table.Panel(), title, description, "short", style.PLAIN)
        .targets(targets(fields, PromQueryFormat.TABLE))
        .color_scheme(by_thresholds())
        .cell_height(options.TableCellHeight.SM)
        .show_header(True)
        .no_value("-")  # also of cells
    )
    if len(queries) > 1:
        panel = panel.with_transformation(models.DataTransformerConfig("merge", options={}))
    if not rest:
        wanted = "|".join(column.name for column in columns)
        names: object = {"include": {"pattern": f"^({wanted})$"}}
        panel = panel.with_transformation(
            models.DataTransformerConfig("filterFieldsByName", options=names)
        )
    panel = panel.with_transformation(
        models.DataTransformerConfig(
            "organize",
            options={
                "excludeByName": dict.fromkeys((*UNWANTED, *hidden), True) if rest else {},
                "includeByName": {},
                "indexByName": {column.name: i for i, column in enumerate(columns)},
                "renameByName": {column.name: column.title for column in columns},
            },
        )
    )
    for column in columns:
        if properties := column.properties():
            panel = panel.override_by_name(column.title, properties)
    order = [
        common.TableSortByFieldState()
        .display_name(title.removeprefix("-"))
        .desc(title.startswith("-"))
        for title in sort_by
    ]
    return panel.sort_by([*order]) if order else panel
