"""The increments of a rule, made once for all matches that have the same label values."""

from __future__ import annotations

from exporter.model import EXCLUDED_METRIC, Increment, SeriesKey
from exporter.rules.places import Place
from exporter.rules.rule import Rule

MOST_KEPT = 2048
"""Label sets of a rule whose series are kept; whoever writes log events can invent any number."""

_Kept = Increment | tuple[SeriesKey, SeriesKey]


class Increments:
    """Makes the increments of a rule. Thread-safe; can be pickled.

    The same place and label values give the same SeriesKey objects, and if the rule adds a
    constant, the same Increment object: the ledger groups a batch by object first. The objects are
    dropped when there are too many, so only speed may depend on this.
    """

    __slots__ = ("_count", "_kept", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._kept: dict[Place, dict[tuple[str, ...], _Kept]] = {}
        self._count = 0

    def make(self, place: Place, values: tuple[str, ...], value: float | None) -> Increment:
        """What a match adds, and where.

        ``values``: of the rule's dynamic labels, in their order. ``value``: the amount, which is
        always the same for a rule that adds a constant; None is a value error.
        """
        there = self._kept.get(place)
        kept = None if there is None else there.get(values)
        if kept is None:
            kept = self._keep(place, values, value)
        if isinstance(kept, Increment):
            return kept
        return Increment(self.rule.name, kept[0], kept[1], value)

    def _keep(self, place: Place, values: tuple[str, ...], value: float | None) -> _Kept:
        if self._count >= MOST_KEPT:
            self._kept, self._count = {}, 0
        increment = self.rule.increment_at(place, values, value)
        kept: _Kept = increment
        is_excluded = increment.series.metric == EXCLUDED_METRIC
        if self.rule.value.reference is not None and not is_excluded:
            kept = increment.series, increment.overflow
        self._kept.setdefault(place, {})[values] = kept
        self._count += 1
        return kept

    def __reduce__(self) -> tuple[object, tuple[Rule]]:
        return Increments, (self.rule,)
