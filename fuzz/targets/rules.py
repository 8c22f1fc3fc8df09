"""Log events from outside, all the way to the page: two characters of options, then messages.

Messages are separated by RS (U+001E).
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Iterable

from exporter.configuration import RuleConfig, load
from exporter.ledger.base import Committed, SeriesRule, SeriesTotal
from exporter.ledger.counting import BatchCount
from exporter.ledger.storage import DatabaseFile
from exporter.metrics.families import MetricFamily
from exporter.metrics.scrapers import NOBODY
from exporter.metrics.series import SeriesStore
from exporter.model import EventFormat, Increment, LogEvent, Partition
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
_RULE_SET = RuleSet(_RULES)
_FAMILIES = {
    rule.metric: MetricFamily(rule.metric, rule.type, rule.description, rule.buckets or ())
    for rule in _RULES
}
_SERIES_RULES = {
    rule.name: SeriesRule(rule.name, rule.max_series, rule.buckets, rule.metric) for rule in _RULES
}


def _database() -> sqlite3.Connection:
    connection = DatabaseFile.open(_FOLDER / "ledger.db").connection
    assert connection is not None
    connection.execute("INSERT INTO checkpoints VALUES (1, 'trail', x'', x'', NULL, 0)")
    return connection


_DATABASE = _database()


def check(data: bytes) -> None:
    """Nothing escapes; each match is counted once; both pages say what was committed."""
    options, content = data[:2].ljust(2, b"0"), data[2:]
    event_format = _FORMATS[options[0] % len(_FORMATS)]
    partition = _PARTITIONS[options[1] % len(_PARTITIONS)]
    # What is not UTF-8 becomes lone surrogates, which JSON's escapes can make as well.
    messages = content.decode("utf-8", "surrogateescape").split("\x1e")
    events = [LogEvent(message, _NOW + index) for index, message in enumerate(messages)]
    evaluation = _RULE_SET.evaluate(events, partition, event_format)
    assert len(evaluation.facts) == len(events)
    _check_increments(evaluation.increments)
    committed = _commit(evaluation.increments)
    _check_counts(committed, evaluation.increments)
    _check_pages(committed.series)


def _check_increments(increments: Iterable[Increment]) -> None:
    for increment in increments:
        assert increment.value is None or 0 <= increment.value < math.inf
        own = dict(increment.series.labels)
        assert own.keys() == dict(increment.overflow.labels).keys()
        assert all(len(own[name]) <= MAX_LABEL_LENGTH for name in own if name != "source")


def _commit(increments: Iterable[Increment]) -> Committed:
    """Count as the ledger does; nothing stays, so that each input stands alone."""
    cursor = _DATABASE.cursor()
    cursor.execute("BEGIN")
    try:
        batch = BatchCount(cursor, "trail", _SERIES_RULES, checkpoint=1, now=_NOW)
        batch.count(increments)
        return batch.committed()
    finally:
        cursor.execute("ROLLBACK")
        cursor.close()


def _check_counts(committed: Committed, increments: Iterable[Increment]) -> None:
    proposed = Counter(increment.rule for increment in increments)
    ids: Counter[str] = Counter()
    for rule, event_id in {(one.rule, one.event_id) for one in increments if one.event_id}:
        assert event_id
        ids[rule] += 1
    ids.update(increment.rule for increment in increments if not increment.event_id)
    assert all(ids[rule] <= count for rule, count in proposed.items())
    assert {total.rule: total.matches for total in committed.rules} == {
        rule: count for rule, count in ids.items() if count
    }


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
