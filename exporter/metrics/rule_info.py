"""The metrics ``metric_filter_rule_info`` and ``metric_filter_threshold``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from exporter.configuration.thresholds import Threshold
from exporter.metrics.families import MetricFamily
from exporter.metrics.tables import Row, Table, Tables
from exporter.metrics.text import labels_text

RULE_INFO: Final = "metric_filter_rule_info"
THRESHOLD: Final = "metric_filter_threshold"
_FACTS: Final = ("rule", "title", "severity", "metric", "type", "pack", "controls")


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """A rule's facts for ``metric_filter_rule_info`` and its limit."""

    rule: str
    title: str
    severity: str
    metric: str
    type: str
    max_series: int
    pack: str = ""
    """Empty for a rule of the user's own."""
    controls: str = ""
    """In short: ``cis-v1.2.0/3.3 cis-v3.0.0/4.3``."""


class RuleInfos(Tables):
    """The facts of all rules: replaced as a whole, a scrape never sees half of the rules."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def set(self, rules: Iterable[RuleInfo]) -> None:
        """Replace the facts of all rules."""
        rows = []
        for rule in rules:
            facts = (rule.rule, rule.title, rule.severity, rule.metric, rule.type)
            values = (*facts, rule.pack, rule.controls)
            rows.append(Row(values, labels_text(tuple(zip(_FACTS, values, strict=True))), 1.0))
        self._rows = rows

    def tables(self) -> Iterator[Table]:
        """See ``Tables.tables``."""
        text = "Facts of each configured rule; always 1."
        yield Table(MetricFamily(RULE_INFO, "gauge", text), _FACTS, self._rows)


class Thresholds(Tables):
    """The thresholds of rule packs, for their alerts. Replaced as a whole."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def set(self, thresholds: Iterable[Threshold]) -> None:
        """Replace all thresholds."""
        rows = []
        for one in thresholds:
            for account_id, value in (("", one.value), *one.accounts.items()):
                labels = [("name", one.name)]
                if account_id:
                    labels.insert(0, ("account_id", account_id))
                rows.append(Row((account_id, one.name), labels_text(tuple(labels)), value))
        self._rows = rows

    def tables(self) -> Iterator[Table]:
        """See ``Tables.tables``."""
        text = "Number that alerts of a rule pack compare with; with account_id, in that account."
        if self._rows:
            yield Table(MetricFamily(THRESHOLD, "gauge", text), ("account_id", "name"), self._rows)
