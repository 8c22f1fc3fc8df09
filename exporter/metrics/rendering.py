"""The series of one metric as rendered text, which changes series by series."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, MutableSequence, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from exporter.compression import Deflated
from exporter.ledger.base import SeriesTotal
from exporter.metrics.blocks import Block, Blocks, Pieces, Text
from exporter.metrics.families import (
    MetricFamily,
    counter_lines,
    histogram_lines,
    kind_of,
    series_key,
    unknown_family,
)
from exporter.metrics.text import label_value
from exporter.model import SeriesKey

State: TypeAlias = float | SeriesTotal
"""What is kept of a series besides its text: a counter's total; all of a histogram, since its
lines depend on the configured buckets."""


@dataclass(frozen=True, slots=True)
class RenderedFamily:
    """One metric family's part of a page."""

    name: str
    """The family's name in the format it is rendered in."""
    parts: Sequence[Text | Deflated]

    @property
    def text(self) -> str:
        """The family's text; it must not have been rendered ``compressed``."""
        return b"".join(raw_texts(self.parts)).decode()


class FamilyText:
    """The series of one metric, in the order of their labels. All are counters or histograms."""

    def __init__(self, first: SeriesTotal, described: MetricFamily | None, *, created: bool):
        """``first``: a series of the metric. ``created``: OpenMetrics has ``_created`` lines."""
        self.kind = kind_of(first)
        self._created = created
        self._described = self._fitting(first.key.metric, described)
        self._exposed = self._no_blocks()
        self._hidden = self._no_blocks()
        """Series that no configured rule feeds."""

    def __bool__(self) -> bool:
        """Whether there is any series."""
        return bool(self._exposed or self._hidden)

    def describe(self, described: MetricFamily | None) -> None:
        """Set the metric's description; None if no configured rule has it."""
        before = self._described
        self._described = self._fitting(before.name, described)
        if self._described.buckets != before.buckets:
            for blocks in (self._exposed, self._hidden):
                for block in blocks:
                    self._render_again(block)
        if self._described.rules != before.rules:
            self._sort_out()

    def has(self, key: SeriesKey) -> bool:
        """Whether the series is there."""
        return self._find(series_key(key)[0]) is not None

    def advance(self, total: SeriesTotal) -> bool:
        """Show a series at this total unless it is lower; return whether the series is there."""
        key, shown = series_key(total.key)
        found = self._find(key)
        if found is None:
            return False
        block, index = found
        if not is_behind(total, block.states[index]):
            block.replace(index, self._pieces(shown, total), self._state(total))
        return True

    def add(self, total: SeriesTotal) -> None:
        """Show a series that is not there yet."""
        key, shown = series_key(total.key)
        if key is not shown:
            self._exposed.separate_keys()
            self._hidden.separate_keys()
        blocks = self._exposed if self._described.exposes(total.key) else self._hidden
        blocks.add(key, self._pieces(shown, total), self._state(total))

    def remove(self, key: SeriesKey) -> None:
        """Take a series out, if it is there."""
        unique = series_key(key)[0]
        self._exposed.remove(unique)
        self._hidden.remove(unique)

    def render(self, *, openmetrics: bool, compressed: bool) -> RenderedFamily:
        """The text at this moment. ``compressed``: see ``Blocks.render``."""
        described = self._described
        return RenderedFamily(
            described.base if openmetrics else described.name,
            [
                Text(described.header(openmetrics=openmetrics).encode()),
                *self._exposed.render(openmetrics=openmetrics, compressed=compressed),
            ],
        )

    def _fitting(self, metric: str, described: MetricFamily | None) -> MetricFamily:
        if described is None or described.type != self.kind:
            return unknown_family(metric, self.kind)
        return described

    def _no_blocks(self) -> Blocks[State]:
        if self.kind == "counter":
            return Blocks(cast(MutableSequence[State], array("d")), separate_keys=False)
        return Blocks([], separate_keys=True)

    def _find(self, key: bytes) -> tuple[Block[State], int] | None:
        return self._exposed.find(key) or self._hidden.find(key)

    def _state(self, total: SeriesTotal) -> State:
        return total.total if self.kind == "counter" else total

    def _pieces(self, shown: bytes, total: SeriesTotal) -> Pieces:
        if self.kind == "counter":
            return counter_lines(shown, total, self._described, created=self._created)
        return histogram_lines(total, self._described, created=self._created)

    def _render_again(self, block: Block[State]) -> None:
        for index, state in enumerate(block.states):
            if isinstance(state, SeriesTotal):
                pieces = histogram_lines(state, self._described, created=self._created)
                block.replace(index, pieces, state)

    def _sort_out(self) -> None:
        """Part the series that configured rules feed from the others."""
        before = (self._exposed, self._hidden)
        self._exposed, self._hidden = self._no_blocks(), self._no_blocks()
        if any(blocks.has_separate_keys for blocks in before):
            self._exposed.separate_keys()
            self._hidden.separate_keys()
        rules = self._described.rules
        for blocks in before:
            for key, pieces, state in blocks.series():
                line = pieces[0].decode()
                exposed = rules is None or label_value(line, "rule") in rules
                (self._exposed if exposed else self._hidden).add(key, pieces, state)


def raw_texts(parts: Iterable[Text | Deflated]) -> list[bytes]:
    """The texts of parts that are not compressed."""
    return [part.raw for part in parts if isinstance(part, Text)]


def is_behind(total: SeriesTotal, state: State) -> bool:
    """Whether a total is from before a state of the same series."""
    if isinstance(state, float):
        return total.total < state
    return progress_of(total) < progress_of(state)


def progress_of(state: State) -> tuple[int, float]:
    """Numbers that only grow from commit to commit."""
    if isinstance(state, SeriesTotal):
        return sum(state.buckets or ()), state.total
    return 0, state
