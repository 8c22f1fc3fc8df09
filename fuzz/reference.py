"""The straightforward evaluator: each rule for itself, on the exactly decoded message.

It says what the compiled rules must do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exporter.model import EventFormat, Increment, JudgedEvent, LogEvent, Partition
from exporter.patterns import MISSING, Document, Match
from exporter.rules.cloudtrail import FIELDS
from exporter.rules.labels import label_value, metric_value
from exporter.rules.places import Place
from exporter.rules.records import aliases, facts
from exporter.rules.rule import Rule


class DictFields:
    """The fields of a decoded message that an event's facts are read from."""

    def __init__(self, message: dict[str, Any]) -> None:
        for name in FIELDS:
            setattr(self, name, message.get(name, MISSING))


def increment(rule: Rule, document: Document, match: Match, place: Place) -> Increment:
    """What one match of a rule adds, and where."""
    labels = [label_value(each, document, match) for each in rule.dynamic.values()]
    value = rule.value.number
    if rule.value.reference is not None:
        value = metric_value(rule.value, document, match)
    return rule.increment_at(place, labels, value)


def judged_event(
    rules: Iterable[Rule], event: LogEvent, partition: Partition, event_format: EventFormat
) -> JudgedEvent | None:
    """What rules make of a log event."""
    rules = tuple(rules)
    document = Document(event.message)
    fields: Any = None if document.json is None else DictFields(document.json)
    fact = facts(event, fields, partition, event_format)
    place = Place.of(fact.account_id, fact.region, partition)
    increments: list[Increment] = []
    for rule in rules:
        match = rule.pattern.match_document(document)
        if match is None:
            continue
        increments.append(increment(rule, document, match, place))
    if not increments:
        return None
    return JudgedEvent(
        event_id=fact.event_id,
        scope=fact.scope,
        time=event.time,
        event_time=fact.event_time,
        judged=frozenset(rule.name for rule in rules),
        increments=tuple(increments),
        aliases=aliases(event, fields, partition, fact),
    )
