"""The event history brings every event of a time span, as AWS wrote it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.aws.accounts import AwsAccounts
from exporter.model import Partition, SourceError
from exporter.sources.event_history import EventHistory
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.aws import ACCOUNT, event_history, open_account

PARTITION = Partition("history", ACCOUNT, "us-east-1")
NOW = int(time.time()) - 3600  # seconds


def _record(number: int, second: int) -> dict[str, Any]:
    happened = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "eventVersion": "1.08",
        "eventID": f"event-{number}",
        "eventName": "RunInstances",
        "eventTime": happened,
        "requestParameters": {"maxResults": 1.0},
    }


def _ids(history: EventHistory, start: int, end: int) -> list[str | None]:
    return [event.id for page in history.pages(PARTITION, start, end) for event in page.events]


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seconds=st.lists(st.integers(0, 20), max_size=40),
    span=st.tuples(st.integers(-1, 21), st.integers(0, 8)),
    sizes=st.tuples(st.integers(1, 4), st.integers(4, 50)),
    seed=st.integers(0, 1000),
)
def test_every_event_of_the_span_comes_however_it_is_paged(
    aws: EmbeddedAws, seconds: list[int], span: tuple[int, int], sizes: tuple[int, int], seed: int
) -> None:
    region = f"eu-west-{time.time_ns()}"  # each example has an event history of its own
    for number, second in enumerate(seconds):
        aws.record(ACCOUNT, region, _record(number, NOW + second))
    aws.faults = Faults(page_size=sizes, empty_page=0.3, duplicate=0.1, seed=seed)
    history = event_history("history", open_account(), [region])
    start, end = NOW + span[0], NOW + span[0] + span[1]

    pages = history.pages(Partition("history", ACCOUNT, region), start * 1000, end * 1000)
    found = {(event.id, event.time) for page in pages for event in page.events}

    def within(last: int) -> set[tuple[str | None, int]]:
        return {
            (f"event-{number}", (NOW + second) * 1000)
            for number, second in enumerate(seconds)
            if start <= NOW + second < last
        }

    assert within(end) <= found <= (within(end + 1) if end > start else set())


def test_the_record_comes_as_it_was_written(aws: EmbeddedAws) -> None:
    aws.record(ACCOUNT, "us-east-1", _record(1, NOW))
    history = event_history("history", open_account(), ["us-east-1"])
    (page,) = history.pages(PARTITION, NOW * 1000, (NOW + 1) * 1000)
    (event,) = page.events

    assert json.loads(event.message) == _record(1, NOW)
    assert '"maxResults":1.0' in event.message
    assert (event.id, event.time) == ("event-1", NOW * 1000)
    assert page.undecodable == 0


def test_each_region_is_a_partition_of_the_account(aws: EmbeddedAws) -> None:
    history = event_history("history", open_account(), ["eu-west-1", "us-east-1"])
    discovery = history.discover()

    assert list(discovery.partitions) == [
        Partition("history", ACCOUNT, "eu-west-1"),
        Partition("history", ACCOUNT, "us-east-1"),
    ]
    assert not discovery.failures
    assert history.created_at(PARTITION) is None
    assert aws.calls.count("LookupEvents") == 0


@pytest.mark.usefixtures("aws")
def test_the_session_s_region_is_the_default() -> None:
    discovery = event_history("history", open_account(region="eu-west-3")).discover()

    assert list(discovery.partitions) == [Partition("history", ACCOUNT, "eu-west-3")]


@pytest.mark.usefixtures("aws")
def test_without_any_region_the_user_is_told_to_name_one() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_REGION")
        patch.delenv("AWS_DEFAULT_REGION")
        ((scope, error),) = event_history("history", AwsAccounts()).discover().failures

    assert scope == Partition("history")
    assert "AWS_REGION" in str(error)


def test_a_failing_sts_is_a_failure_of_each_region_until_it_answers(aws: EmbeddedAws) -> None:
    history = event_history("history", open_account(), ["eu-west-1", "us-east-1"])
    aws.faults = Faults(expired=True)
    discovery = history.discover()
    assert not discovery.partitions
    assert [scope for scope, _ in discovery.failures] == [
        Partition("history", region="eu-west-1"),
        Partition("history", region="us-east-1"),
    ]
    assert {error.reason for _, error in discovery.failures} == {"expired_credentials"}

    aws.faults = Faults()
    assert len(history.discover().partitions) == 2


def test_a_denied_region_does_not_stop_the_others(aws: EmbeddedAws) -> None:
    aws.record(ACCOUNT, "us-east-1", _record(1, NOW))
    aws.faults = Faults(denied={"eu-west-1": {"LookupEvents"}})
    history = event_history("history", open_account(), ["eu-west-1", "us-east-1"])
    denied = Partition("history", ACCOUNT, "eu-west-1")

    with pytest.raises(SourceError, match="allow cloudtrail:LookupEvents") as caught:
        list(history.pages(denied, NOW * 1000, (NOW + 1) * 1000))
    assert caught.value.reason == "access_denied"
    assert _ids(history, NOW * 1000, (NOW + 1) * 1000) == ["event-1"]


def test_a_poll_reads_the_event_history_through_the_schedule(aws: EmbeddedAws) -> None:
    happened = int(time.time()) - 5
    for number in range(120):
        aws.record(ACCOUNT, "us-east-1", _record(number, happened))
    source = event_history("history", open_account(), ["us-east-1"], interval=1, start=600)
    (partition,) = source.discover().partitions
    readings = list(source.poll(partition, None, own_starts={}))

    assert {event.id for reading in readings for event in reading.events} == {
        f"event-{number}" for number in range(120)
    }
