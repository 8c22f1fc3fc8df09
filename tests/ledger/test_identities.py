"""What makes a log event count once, also when its source changes its format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.configuration import load
from exporter.ledger.base import Batch
from exporter.ledger.sqlite import SqliteLedger
from exporter.model import EventFormat, LogEvent, Partition
from exporter.rules import RuleSet
from exporter.sources.log_groups import LOG_GROUP
from tests.rules.test_cloudtrail import AUDIT, CALL
from tests.support.counting import SOURCE, load_one

GROUPS = [
    Partition(SOURCE, "1", "us-east-1", resource=name, kind=LOG_GROUP) for name in ("/a", "/b")
]
FORMATS: tuple[EventFormat, ...] = ("auto", "cloudtrail", "lines")
RECORD, LOOKALIKE, LINE = json.dumps(CALL), json.dumps(AUDIT), "eventID only in a text"


@pytest.fixture
def rules(tmp_path: Path) -> RuleSet:
    path = tmp_path / "rules.yaml"
    source = {"name": SOURCE, "type": "log_groups", "log_groups": ["*"]}
    rule = {"name": "logins", "sources": [SOURCE], "pattern": "eventID", "metric": "logins_total"}
    path.write_text(yaml.safe_dump({"sources": [source], "rules": [rule]}))
    return RuleSet.of(load([path]).rules)


class Counter:
    """Reads log groups by one format after the other, and counts."""

    def __init__(self, ledger: SqliteLedger, rules: RuleSet) -> None:
        self._ledger, self._rules = ledger, rules

    def read(self, partition: Partition, event_format: EventFormat, *events: LogEvent) -> int:
        """How many of the events were new."""
        judged = self._rules.evaluate(events, partition, event_format).events
        before = self._ledger.checkpoint(partition)
        read = Batch(partition, SOURCE, "c", before, judged, event_format, remember_from=0)
        return len(self._ledger.commit(read).new)


@pytest.fixture
def counter(ledger: SqliteLedger, rules: RuleSet) -> Counter:
    return Counter(ledger, rules)


def event(message: str, number: int, *, time: int | None = None) -> LogEvent:
    return LogEvent(message, number if time is None else time, f"cloudwatch-{number}")


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    messages=st.lists(st.sampled_from([RECORD, LOOKALIKE, LINE]), min_size=1, max_size=5),
    formats=st.lists(st.sampled_from(FORMATS), min_size=2, max_size=5),
)
def test_a_change_of_format_counts_nothing_again(
    tmp_path_factory: pytest.TempPathFactory,
    rules: RuleSet,
    messages: list[str],
    formats: list[EventFormat],
) -> None:
    ledger = SqliteLedger.open(tmp_path_factory.mktemp("ledger"))
    load_one(ledger, "logins")
    counter = Counter(ledger, rules)
    events = [event(message, number) for number, message in enumerate(messages)]
    counted = [
        one.id
        for event_format in formats
        for one in events
        if counter.read(GROUPS[0], event_format, one)
    ]
    assert len(set(counted)) == len(counted)
    assert counted
    ledger.close()


def test_lines_with_the_id_of_a_record_take_nothings_place(counter: Counter) -> None:
    stolen = json.dumps({"eventID": CALL["eventID"], "eventTime": "2000-01-01T00:00:00Z"})
    copy = json.dumps(CALL | {"awsRegion": "eu-west-9"})
    assert counter.read(GROUPS[0], "auto", event(stolen, 1), event(stolen, 2), event(copy, 3)) == 3
    assert counter.read(GROUPS[1], "auto", event(stolen, 4), event(RECORD, 5)) == 2
    # A line beside its record, of the same millisecond.
    assert counter.read(GROUPS[1], "auto", event(stolen, 6, time=5)) == 1
    assert counter.read(GROUPS[1], "auto", event(RECORD, 7), event(RECORD, 8)) == 0


def test_a_record_counts_once_over_all_log_groups_that_are_declared(counter: Counter) -> None:
    assert counter.read(GROUPS[0], "cloudtrail", event(RECORD, 1)) == 1
    assert counter.read(GROUPS[1], "cloudtrail", event(RECORD, 2)) == 0
