"""A rule, ready to evaluate, and its definition: the text that the ledger keeps of its versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from exporter.configuration import DEFAULT_METRIC, LabelValue, Reference, RuleConfig, ValueSpec
from exporter.configuration.names import DEFAULT_METRIC_LABEL
from exporter.configuration.references import parse_label_value, parse_value
from exporter.configuration.selection_criteria import SelectionCriteria, parse_criteria
from exporter.model import OVERFLOW, Increment, SeriesKey
from exporter.patterns import FilterPattern, compile_pattern
from exporter.rules.places import Place


def definition(rule: RuleConfig) -> str:
    """What decides a rule's matches and increments, as canonical JSON: equal text, equal rule."""
    value = rule.value
    criteria = rule.field_selection_criteria
    return json.dumps(
        {
            # Definitions without criteria stay as they were stored.
            **({} if criteria is None else {"criteria": criteria.text}),
            "pattern": rule.pattern,
            "metric": rule.metric,
            "uses_default_metric": rule.uses_default_metric,
            "type": rule.type,
            "value": value.written,
            "scale": str(value.scale),
            "max_value": value.max_value,
            "buckets": rule.buckets,
            "labels": {name: label.written for name, label in rule.labels.items()},
        },
        sort_keys=True,
        separators=(",", ":"),
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """A version of a rule: what it matches, and what a match adds to which series."""

    name: str
    pattern: FilterPattern
    metric: str
    value: ValueSpec
    literal: Mapping[str, str]
    """Labels whose values are known before any match."""
    dynamic: Mapping[str, Sequence[Reference]]
    """Labels that take their values from the log event."""
    criteria: SelectionCriteria | None = None
    """The accounts and regions whose events it judges; None for all."""

    @classmethod
    def of(cls, name: str, definition: str, patterns: Mapping[str, FilterPattern]) -> Rule:
        """Read a definition.

        ``patterns`` are compiled already, by their texts. Raises ValueError, or whatever Python
        raises for JSON of another shape, if this exporter cannot read the definition.
        """
        fields = json.loads(definition)
        text, metric = fields["pattern"], fields["metric"]
        labels = {label: parse_label_value(given) for label, given in fields["labels"].items()}
        if metric == DEFAULT_METRIC:
            labels[DEFAULT_METRIC_LABEL] = LabelValue(literal=name)
        return cls(
            name,
            patterns.get(text) or compile_pattern(text, aws_limits=False),
            metric,
            replace(
                parse_value(fields["value"]),
                scale=Decimal(fields["scale"]),
                max_value=float(fields["max_value"]),
            ),
            literal={k: v.literal for k, v in labels.items() if v.literal is not None},
            dynamic={k: v.references for k, v in labels.items() if v.literal is None},
            criteria=parse_criteria(fields.get("criteria", "")),
        )

    def increment_at(self, place: Place, values: Sequence[str], value: float | None) -> Increment:
        """What a match adds that has these values of the dynamic labels, in their order."""
        series = overflow = self.series(place, values)
        if values:
            overflow = self.series(place, [OVERFLOW] * len(values))
        return Increment(self.name, series, overflow, value)

    def series(self, place: Place, values: Sequence[str]) -> SeriesKey:
        """The series with these values of the dynamic labels, in their order."""
        labels = {**self.literal, **dict(zip(self.dynamic, values, strict=True))}
        labels.update(place.labels)
        return SeriesKey(self.metric, tuple(sorted(labels.items())))
