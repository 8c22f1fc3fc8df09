"""Log events from outside, all the way to the page: two characters of options, then messages.

Messages are separated by RS (U+001E).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from exporter.configuration import RuleConfig, load
from exporter.ledger.base import SeriesTotal
from exporter.ledger.counting import Placement, RuleSpec
from exporter.ledger.judging import Judge
from exporter.ledger.tally import Tally
from exporter.metrics.families import MetricFamily
from exporter.metrics.scrapers import NOBODY
from exporter.metrics.series import SeriesStore
from exporter.model import EventFormat, EventKey, Increment, JudgedEvent, LogEvent, Partition
from exporter.rules import RuleSet
from exporter.rules.labels import MAX_LABEL_LENGTH
from exporter.sources.files import FILE
from exporter.sources.log_groups import LOG_GROUP
from fuzz.exposition import read_samples
from fuzz.folders import own_folder

_FOLDER = own_folder("rules")
_FORMATS: tuple[EventFormat, ...] = ("auto", "cloudtrail", "lines")
_NOW = 1_700_000_000_000
_PARTITIONS = (
    Partition("trail", "111122223333", "eu-west-1"),
    Partition("trail", "111122223333", "eu-west-1", resource='/odd/"group"\\', kind=LOG_GROUP),
    Partition("trail", resource="/var/log/odd\udcff.log", kind=FILE),
)
_CONFIGURATION = r"""
sources: [{name: trail, type: event_history}]
rules:
  - {name: everything, pattern: "", labels: {a: $.a, b: [$.b.c, "$.d[0]", $.e]}, max_series: 3}
  - {name: marked, pattern: "", labels: {a: {from: $.a, after: a, unbounded: true}, b: $.b},
     max_series: 1}
  - {name: any_child, pattern: "{ $.a[*] = * }", labels: {first: "$.a[*]", key: "$.*"}}
  - {name: sums, pattern: "{ $.a > 0 }", metric: sums_total, value: $.a, labels: {e: $.e}}
  - {name: scaled, pattern: "{ $.a = * || $.b = * }", metric: scaled_total, value: $.b,
     scale: 0.001}
  - {name: seconds, pattern: "{ $.a < 9e9 }", metric: sizes, type: histogram, value: $.a,
     buckets: [0.5, 1, 1e3], labels: {e: $.e}}
  - {name: line, pattern: "[ip, ..., size]", metric: line_bytes_total, value: $size,
     labels: {ip: $ip, second: $2}}
  - {name: words, pattern: "?a ?%[0-9]+%", labels: {fixed: 'a\"\n{'}}
  - {name: trail, pattern: '{ $.eventID = "*" }', labels: {user: $.userIdentity.arn, v: $.a}}
"""


def _rules() -> tuple[RuleConfig, ...]:
    path = _FOLDER / "config.yaml"
    path.write_text(_CONFIGURATION)
    return load([path]).rules


_RULES = _rules()
_RULE_SET = RuleSet.of(_RULES)
_FAMILIES = {
    rule.metric: MetricFamily(rule.metric, rule.type, rule.description, rule.buckets or ())
    for rule in _RULES
}
_SPECS = {
    (rule.name, rule.metric): RuleSpec(
        rule.max_series,
        rule.buckets,
        frozenset(name for name, label in rule.labels.items() if label.unbounded),
    )
    for rule in _RULES
}


def check(data: bytes) -> None:
    """No exception escapes; each match is counted once; both pages show the committed totals."""
    options, content = data[:2].ljust(2, b"0"), data[2:]
    event_format = _FORMATS[options[0] % len(_FORMATS)]
    partition = _PARTITIONS[options[1] % len(_PARTITIONS)]
    # Invalid UTF-8 becomes lone surrogates, which JSON's escapes can produce as well.
    messages = content.decode("utf-8", "surrogateescape").split("\x1e")
    events = [LogEvent(message, _NOW + index) for index, message in enumerate(messages)]
    evaluation = _RULE_SET.evaluate(events, partition, event_format)
    _check_increments(evaluation.increments)
    counted = _count(evaluation.events)
    _check_counts(counted, evaluation.events)
    _check_pages([state.shown() for state in counted.changed_series.values()])


def _check_increments(increments: Iterable[Increment]) -> None:
    for increment in increments:
        assert increment.value is None or 0 <= increment.value < math.inf
        own = dict(increment.series.labels)
        assert own.keys() == dict(increment.overflow.labels).keys()
        assert all(len(own[name]) <= MAX_LABEL_LENGTH for name in own if name != "source")


def _count(events: Iterable[JudgedEvent]) -> Placement:
    """Count as the ledger does, from nothing."""
    placement = Placement(_SPECS, now=_NOW)
    placement.add("trail", "", Tally.of(Judge({}).new(events, read_at=None)))
    return placement


def _check_counts(counted: Placement, events: Iterable[JudgedEvent]) -> None:
    expected: Counter[str] = Counter()
    seen: set[EventKey] = set()
    for event in events:
        # An id counts once for all rules that judged it, and all rules judge all events.
        if event.event_id is not None:
            key = (event.scope, event.event_id, event.event_time)
            if key in seen:
                continue
            seen.add(key)
        expected.update(increment.rule for increment in event.increments)
    assert {rule: count.matches for (rule, _), count in counted.rules.items()} == expected


def _check_pages(totals: Iterable[SeriesTotal]) -> None:
    store = SeriesStore(birth_hold=None, clock=lambda: 0.0)
    store.describe(_FAMILIES.values())
    store.apply(totals)
    for openmetrics in (False, True):
        text = "".join(family.text for family in store.render(openmetrics=openmetrics).families)
        assert all(value == 0 for name, _, value in read_samples(text, openmetrics=openmetrics))
    store.recorded(store.due())
    store.reveal(NOBODY)
    for openmetrics in (False, True):
        text = "".join(family.text for family in store.render(openmetrics=openmetrics).families)
        samples = read_samples(text, openmetrics=openmetrics)
        shown = {(name, labels): value for name, labels, value in samples}
        assert len(shown) == len(samples), "a series comes twice"
        for total in totals:
            name = total.key.metric + ("" if total.buckets is None else "_sum")
            labels = tuple(
                (label, value.encode("utf-8", "backslashreplace").decode())
                for label, value in total.key.labels
            )
            assert shown[name, labels] == total.total
            if total.buckets is not None:
                assert shown[total.key.metric + "_count", labels] == sum(total.buckets)
