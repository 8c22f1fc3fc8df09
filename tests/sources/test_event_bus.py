"""An SQS queue that EventBridge feeds, in an AWS on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from exporter.aws.accounts import AwsAccounts
from exporter.aws.queues import QueueUrl
from exporter.clock import Clock
from exporter.model import SourceError
from exporter.sources import inbox, queue_source
from exporter.sources.base import Environment, Reading, Source
from exporter.sources.event_bus import EventBusConfig
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.envelopes import envelope, finding
from tests.support.waiting import wait_for


class Bus:
    """A queue, and a source that reads it."""

    def __init__(self, *, fifo: bool = False) -> None:
        self.sqs: Any = boto3.client("sqs")
        attributes = {"FifoQueue": "true"} if fifo else {}
        name = "events.fifo" if fifo else "events"
        self.url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self._group = {"MessageGroupId": "g"} if fifo else {}
        self.sent = 0

    def send(self, *bodies: Any) -> None:
        for body in bodies:
            self.sent += 1
            text = body if isinstance(body, str) else json.dumps(body)
            only = {**self._group, "MessageDeduplicationId": str(self.sent)} if self._group else {}
            self.sqs.send_message(QueueUrl=self.url, MessageBody=text, **only)

    def source(self, *, stop: threading.Event | None = None, **options: Any) -> Source:
        config = EventBusConfig(name="bus", queue_url=self.url, **options)
        return config.source(Environment(AwsAccounts(stop=stop), Clock(), complete=True), {})

    @property
    def counts(self) -> tuple[int, int]:
        """Messages that are visible, and those that are not."""
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        visible, hidden = (int(found["Attributes"][name]) for name in names)
        return visible, hidden


@pytest.fixture
def bus(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> Bus:  # noqa: ARG001 - it answers
    monkeypatch.setattr(queue_source, "_ONCE_WAIT", 0)
    return Bus()


def poll(source: Source) -> Iterator[Reading]:
    (partition,) = source.discover().partitions
    return source.poll(partition, "{}", own_starts={})


def ids(readings: list[Reading]) -> list[str]:
    return [json.loads(event.message)["id"] for one in readings for event in one.events]


@pytest.mark.parametrize("fifo", [False, True])
def test_everything_queued_is_read_and_deleted_in_few_readings(bus: Bus, fifo: bool) -> None:
    queue = Bus(fifo=True) if fifo else bus
    sent = [envelope() for _ in range(24)]
    queue.send(*sent[:-2], sent[-2:])
    readings = list(poll(queue.source()))
    assert sorted(ids(readings)) == sorted(one["id"] for one in sent)
    # A FIFO queue gives no more of a group until what was received is deleted.
    assert len([one for one in readings if one.events]) == (3 if fifo else 1)
    assert queue.counts == (0, 0)
    last = readings[-1].queue
    assert last is not None
    assert last.oldest is None


def test_a_message_is_deleted_after_its_commit_and_not_before(bus: Bus) -> None:
    bus.send(envelope())
    reading = poll(bus.source())
    next(reading)
    assert bus.counts == (0, 1)
    next(reading)
    assert bus.counts == (0, 0)


def test_what_could_not_be_committed_is_worked_off_by_the_next_poll(bus: Bus) -> None:
    """Without another receive, so a failing ledger does not use up the redrive policy's."""
    bus.send(envelope())
    source = bus.source()
    first = poll(source)
    before = next(first)
    del first
    again = poll(source)
    assert next(again).events == before.events
    assert bus.counts == (0, 1)
    assert [list(one.events) for one in again] == [[]]
    assert bus.counts == (0, 0)


def test_a_source_that_is_released_gives_its_messages_back(bus: Bus) -> None:
    bus.send(envelope())
    source = bus.source()
    reading = poll(source)
    next(reading)
    source.release(source.discover().partitions[0])
    wait_for("the message", lambda: bus.counts == (1, 0))


def test_a_poll_that_begins_when_its_source_is_released_takes_no_message(bus: Bus) -> None:
    """A reload may release it while the poll waits for the ledger."""
    bus.send(envelope())
    source = bus.source()
    reading = poll(source)
    source.release(source.discover().partitions[0])
    assert [list(one.events) for one in reading] == [[]]
    assert bus.counts == (1, 0)


def test_messages_stay_invisible_while_they_are_worked_on(
    bus: Bus, aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "VISIBILITY", 1)
    monkeypatch.setattr(inbox, "_EXTEND_AFTER", 0.05)
    bus.send(envelope())
    reading = poll(bus.source())
    next(reading)
    extended = threading.Event()
    operation = "ChangeMessageVisibilityBatch"
    while not extended.wait(0.02):
        if sum(n for call, n in aws.calls.snapshot().items() if call.operation == operation) > 2:
            extended.set()
    assert bus.counts == (0, 1)
    next(reading)


def test_a_message_of_another_shape_is_left_and_told_once(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[dict[str, object]] = []
    monkeypatch.setattr(
        queue_source, "_log", SimpleNamespace(warning=lambda _, **f: named.append(f))
    )
    bus.send({"user": "root"}, envelope(), [envelope(), "odd"])
    source = bus.source()
    readings = list(poll(source))
    assert len(ids(readings)) == 2
    assert [dict(one.queue.outcomes) for one in readings if one.queue] == [
        {"read": 1, "unreadable": 2},
        {"read": 0, "unreadable": 0},
    ]
    assert bus.counts == (0, 2)
    assert len({one["message_id"] for one in named}) == len(named) == 2
    assert "root" not in str(named)


def test_other_events_have_the_id_of_their_message(bus: Bus) -> None:
    data = {"Data": {"id": "x"}, "SystemMetadata": {"aws:EventId": "e-1"}}
    bus.send([finding(), data])
    (first, second) = next(poll(bus.source())).events
    assert first.id is not None
    assert first.id.endswith("/0")
    assert second.id == "e-1"


def test_a_denied_queue_is_an_error_with_its_name(bus: Bus, aws: EmbeddedAws) -> None:
    aws.faults = Faults(denied={"us-east-1": {"ReceiveMessage"}})
    with pytest.raises(SourceError, match="sqs:ReceiveMessage on queue events") as caught:
        list(poll(bus.source()))
    assert caught.value.reason == "access_denied"


def test_a_queue_that_does_not_exist_is_an_error(bus: Bus) -> None:
    bus.sqs.delete_queue(QueueUrl=bus.url)
    with pytest.raises(SourceError) as caught:
        list(poll(bus.source()))
    assert caught.value.reason == "not_found"


def test_a_waiting_receive_ends_when_the_exporter_stops(bus: Bus) -> None:
    stop = threading.Event()
    config = EventBusConfig(name="bus", queue_url=bus.url, interval=21.0)
    source = config.source(Environment(AwsAccounts(stop=stop), Clock()), {})
    ended: list[str] = []

    def wait() -> None:
        try:
            list(poll(source))
        except SourceError as error:
            ended.append(error.reason)

    waiting = threading.Thread(target=wait)
    waiting.start()
    stop.set()
    waiting.join(5)
    assert ended == ["stopping"]


@pytest.mark.parametrize(
    ("url", "region", "endpoint"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/111122223333/q", "eu-west-1", ""),
        ("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/q", "cn-north-1", ""),
        (
            "https://sqs-fips.us-east-1.amazonaws.com/111122223333/q",
            "us-east-1",
            "https://sqs-fips.us-east-1.amazonaws.com",
        ),
        ("https://sqs.us-east-2.api.aws/111122223333/q.fifo", "us-east-2", ""),
        ("https://eu-west-1.queue.amazonaws.com/111122223333/q", "eu-west-1", ""),
        ("https://queue.amazonaws.com/111122223333/q", "us-east-1", ""),
        (
            "https://vpce-1-a.sqs.us-east-1.vpce.amazonaws.com/111122223333/q",
            "us-east-1",
            "https://vpce-1-a.sqs.us-east-1.vpce.amazonaws.com",
        ),
        ("http://localhost:4566/000000000000/q", None, "http://localhost:4566"),
    ],
)
def test_the_url_says_where_the_queue_is(url: str, region: str | None, endpoint: str) -> None:
    queue = QueueUrl.parse(url)
    assert (queue.region, queue.endpoint) == (region, endpoint)


@pytest.mark.parametrize(
    "url",
    [
        "q",
        "arn:aws:sqs:us-east-1:111122223333:q",
        "https://sqs.us-east-1.amazonaws.com/q",
        "https://sqs.us-east-1.amazonaws.com/111122223333/q.r",
        "https://user:pass@sqs.us-east-1.amazonaws.com/111122223333/q",
        "ftp://sqs.us-east-1.amazonaws.com/111122223333/q",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="queue's URL"):
        QueueUrl.parse(url)
