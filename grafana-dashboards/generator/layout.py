"""The layout of panels: a dashboard is a list of lines, each 24 columns wide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from grafana_foundation_sdk.models import dashboard as models

from generator.panels import PanelBuilder

COLUMNS: Final = 24


@dataclass(frozen=True)
class Line:
    """Panels side by side. ``widths``: by default they share the line evenly."""

    height: int
    panels: Sequence[PanelBuilder]
    widths: Sequence[int] = ()

    def columns(self) -> Sequence[int]:
        """The width of each panel."""
        widths = self.widths or [COLUMNS // len(self.panels)] * len(self.panels)
        if len(widths) != len(self.panels) or sum(widths) != COLUMNS:
            raise ValueError(f"{len(self.panels)} panels do not fill a line with {widths}")
        return widths


@dataclass(frozen=True)
class Section:
    """A heading and the lines below it."""

    title: str
    lines: Sequence[Line]
    collapsed: bool = False


Block: TypeAlias = Line | Section


def arrange(blocks: Sequence[Block]) -> list[models.Panel | models.RowPanel]:
    """Give each panel its place and an id; ids follow the order."""
    return _Arrangement().arrange(blocks)


class _Arrangement:
    def __init__(self) -> None:
        self._y = 0
        self._id = 0

    def arrange(self, blocks: Sequence[Block]) -> list[models.Panel | models.RowPanel]:
        panels: list[models.Panel | models.RowPanel] = []
        for block in blocks:
            if isinstance(block, Line):
                panels.extend(self._line(block))
                continue
            row = models.RowPanel(
                title=block.title,
                collapsed=block.collapsed,
                id_val=self._next_id(),
                grid_pos=models.GridPos(h=1, w=COLUMNS, x=0, y=self._y),
            )
            self._y += 1
            inside = [panel for line in block.lines for panel in self._line(line)]
            if block.collapsed:
                row.panels = inside
            panels.append(row)
            if not block.collapsed:
                panels.extend(inside)
        return panels

    def _line(self, line: Line) -> list[models.Panel]:
        panels, x = [], 0
        for builder, width in zip(line.panels, line.columns(), strict=True):
            panel = builder.build()
            panel.id_val = self._next_id()
            panel.grid_pos = models.GridPos(h=line.height, w=width, x=x, y=self._y)
            panels.append(panel)
            x += width
        self._y += line.height
        return panels

    def _next_id(self) -> int:
        self._id += 1
        return self._id
