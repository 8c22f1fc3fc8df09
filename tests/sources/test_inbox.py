"""Messages stay in the inbox until they are deleted, and no failure of SQS loses one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from exporter.aws.queues import Queue, QueueUrl
from exporter.model import SourceError
from exporter.sources import inbox
from exporter.sources.inbox import Inbox
from tests.support.answering import Answer, Answering
from tests.support.aws import open_account

URL = QueueUrl.parse("https://sqs.us-east-1.amazonaws.com/111122223333/events.fifo")
REFUSED = Answer(b'{"__type": "com.amazonaws.sqs#InvalidAddress"}', 400)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    with Answering() as answering:
        for name, value in answering.environment.items():
            monkeypatch.setenv(name, value)
        answering.answers["ChangeMessageVisibilityBatch"] = Answer(b'{"Successful": []}')
        yield answering


@pytest.fixture
def opened(server: Answering) -> Inbox:
    assert server
    return Inbox(Queue(open_account(), URL, "us-east-1"), "events")


def messages(*ids: str) -> Answer:
    found = [{"MessageId": one, "ReceiptHandle": f"r{one}", "Body": "{}"} for one in ids]
    return Answer(json.dumps({"Messages": found}).encode())


def test_messages_that_sqs_did_not_delete_are_named_once_and_come_again(
    server: Answering, opened: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[int] = []
    warning = SimpleNamespace(warning=lambda _, **said: named.append(said["messages"]))
    monkeypatch.setattr(inbox, "_log", warning)
    server.answers["ReceiveMessage"] = messages("1", "2")
    failed = {"Successful": [], "Failed": [{"Id": "1", "SenderFault": True, "Code": "x"}]}
    server.answers["DeleteMessageBatch"] = Answer(json.dumps(failed).encode())
    for receives in (1, 2, 3):
        received, _ = opened.receive(wait=0)
        opened.delete(received)
        assert server.calls["ReceiveMessage"] == receives
    assert named == [1]


def test_messages_of_a_failed_deletion_are_not_held(server: Answering, opened: Inbox) -> None:
    server.answers["ReceiveMessage"] = messages("1")
    server.answers["DeleteMessageBatch"] = REFUSED
    received, _ = opened.receive(wait=0)
    with pytest.raises(SourceError):
        opened.delete(received)
    opened.receive(wait=0)
    assert server.calls["ReceiveMessage"] == 2


def test_a_receive_that_fails_after_a_full_one_loses_no_message(
    server: Answering, opened: Inbox
) -> None:
    full = [str(number) for number in range(10)]
    server.next_answers["ReceiveMessage"] = [messages(*full), REFUSED]
    with pytest.raises(SourceError):
        opened.receive(wait=0)
    received, _ = opened.receive(wait=0)
    assert [one.id for one in received] == full
    assert server.calls["ReceiveMessage"] == 2


@pytest.fixture
def full(server: Answering) -> None:
    """A queue whose receives are full, with different messages each time."""
    server.next_answers["ReceiveMessage"] = [
        messages(*(str(number) for number in range(start, start + 10)))
        for start in range(0, 1000, 10)
    ]


@pytest.mark.usefixtures("full")
def test_each_message_of_a_full_queue_is_received_once_and_in_order(opened: Inbox) -> None:
    received = []
    for _ in range(4):
        more, _ = opened.receive(wait=0)
        received += more
        opened.leave(more)
    assert [one.id for one in received] == [str(number) for number in range(400)]


@pytest.mark.usefixtures("full")
def test_messages_of_a_full_queue_are_deleted_before_later_ones_are_worked_off(
    server: Answering, opened: Inbox
) -> None:
    server.answers["DeleteMessageBatch"] = Answer(b'{"Successful": []}')
    for batch in range(4):
        received, _ = opened.receive(wait=0)
        assert server.calls["DeleteMessageBatch"] == 10 * batch
        opened.delete(received)


@pytest.mark.usefixtures("full")
def test_an_error_of_a_deletion_in_the_background_is_raised_and_loses_no_message(
    server: Answering, opened: Inbox
) -> None:
    server.answers["DeleteMessageBatch"] = REFUSED
    received, _ = opened.receive(wait=0)
    opened.delete(received)
    with pytest.raises(SourceError):
        opened.receive(wait=0)
    more, _ = opened.receive(wait=0)
    assert [one.id for one in more] == [str(number) for number in range(100, 200)]


@pytest.mark.usefixtures("full")
def test_receiving_stops_while_messages_cannot_be_worked_off(
    server: Answering, opened: Inbox
) -> None:
    for _ in range(5):
        kept, _ = opened.receive(wait=0)
    assert [one.id for one in kept] == [str(number) for number in range(200)]
    assert server.calls["ReceiveMessage"] == 20
