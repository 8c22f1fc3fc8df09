"""Compiled rules beside the straightforward evaluator: random rules, random messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from exporter.exactness import RuleVersion
from exporter.model import EventFormat, EventKey, JudgedEvent, LogEvent, Partition, Records
from exporter.patterns import FilterPattern, PatternError, compile_pattern
from exporter.rules import RuleSet
from exporter.rules.rule import Rule
from exporter.sources.files import FILE
from exporter.sources.log_groups import LOG_GROUP
from fuzz.choosing import Choices
from fuzz.reference import judged_event

_FORMATS: tuple[EventFormat, ...] = ("auto", "cloudtrail", "lines")
_NOW = 1_700_000_000_000
_PARTITIONS = (
    Partition("trail", "111122223333", "eu-west-1"),
    Partition("trail", "111122223333", "eu-west-1", resource="/app", kind=LOG_GROUP),
    Partition("trail", resource="/var/log/trail.log", kind=FILE),
)
_LINES = ("", "a", "?a ?b", "-a", "[a, b=1]", "[..., a=%[0-9]%]")


def check(data: bytes) -> None:
    """Compiled rules judge each event as the straightforward evaluator does, to the label."""
    choices = Choices(data)
    definitions = [_definition(choices) for _ in range(1 + choices.below(8))]
    versions = [
        RuleVersion(f"rule_{number}", None, None, definition)
        for number, definition in enumerate(definitions)
    ]
    rules = [Rule.of(one.rule, one.definition, _Patterns()) for one in versions]
    rule_set = RuleSet({"trail": versions})
    for _ in range(4):
        event_format, partition = choices.one(_FORMATS), choices.one(_PARTITIONS)
        messages = [choices.message() for _ in range(choices.below(5))]
        ids = None if partition.kind is FILE else "id"
        events = [
            LogEvent(message, _NOW + number, ids and f"{ids}-{number}")
            for number, message in enumerate(messages)
        ]
        _check_events(rules, rule_set, events, partition, event_format)
        _check_records(rules, rule_set, messages, partition, event_format)


def _check_events(
    rules: Sequence[Rule],
    rule_set: RuleSet,
    events: Sequence[LogEvent],
    partition: Partition,
    event_format: EventFormat,
) -> None:
    found = [judged_event(rules, event, partition, event_format) for event in events]
    expected = [one for one in found if one is not None]
    assert rule_set.evaluate(events, partition, event_format).events == expected
    names = frozenset(rule.name for rule in rules)
    first = {(one.scope, one.event_id, one.event_time) for one in expected[:1] if one.event_id}

    def known(keys: Sequence[EventKey]) -> list[frozenset[str] | None]:
        return [names if key in first else None for key in keys]

    left = [one for one in expected if (one.scope, one.event_id, one.event_time) not in first]
    again = rule_set.evaluate(events, partition, event_format, watermark=0, known=known)
    assert again.events == left


def _check_records(
    rules: Sequence[Rule],
    rule_set: RuleSet,
    messages: Sequence[str],
    partition: Partition,
    event_format: EventFormat,
) -> None:
    """A document of records is judged as its records are one at a time."""
    objects = [message for message in messages if _is_object(message)]
    document = '{"Records": [' + ", ".join(objects) + "]}"
    events = [LogEvent(message, _NOW) for message in objects]
    records = Records(document.encode("utf-8", "surrogatepass"), _NOW, lambda _document: events)
    found = [judged_event(rules, event, partition, event_format) for event in events]
    expected: list[JudgedEvent] = [one for one in found if one is not None]
    assert rule_set.evaluate(records, partition, event_format).events == expected
    assert len(records) == len(objects)


def _is_object(message: str) -> bool:
    try:
        return isinstance(json.loads(message), dict)
    except (ValueError, RecursionError):
        return False


class _Patterns(dict[str, FilterPattern]):
    """Patterns by their texts, compiled once."""

    def get(self, text: str, _default: object = None) -> FilterPattern:
        return _compiled(text)


@lru_cache(maxsize=1000)
def _compiled(text: str) -> FilterPattern:
    return compile_pattern(text, aws_limits=False)


def _part(choices: Choices) -> dict[str, str]:
    return choices.one(({"after": "a"}, {"before": "."}, {"after": "-", "before": "1"}))


def _definition(choices: Choices) -> str:
    pattern = choices.one(_LINES) if not choices.below(6) else f"{{ {choices.condition()} }}"
    try:
        _compiled(pattern)
    except PatternError:
        pattern = '{ $.a = "a" }'
    labels: dict[str, object] = {}
    for name in ("one", "two")[: choices.below(3)]:
        references = [choices.selector() for _ in range(1 + choices.below(2))]
        labels[name] = references if choices.below(3) else {"from": references, **_part(choices)}
    value: object = 1.0 if choices.below(3) else choices.selector()
    if value != 1.0 and not choices.below(3):
        value = {"from": value, **_part(choices)}
    return json.dumps(
        {
            "pattern": pattern,
            "metric": "matches_total",
            "uses_default_metric": False,
            "type": "counter",
            "value": value,
            "scale": choices.one(("1", "1", "0.001")),
            "max_value": 1e9,
            "buckets": None,
            "labels": labels,
        }
    )
