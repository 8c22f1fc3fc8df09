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


def test_what_is_received_while_the_inbox_is_released_is_given_back_at_once(
    server: Answering, opened: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["ReceiveMessage"] = messages("1")
    receive = Queue.receive

    def released_meanwhile(queue: Queue, *, wait: int, visibility: int) -> object:
        opened.release()
        return receive(queue, wait=wait, visibility=visibility)

    monkeypatch.setattr(Queue, "receive", released_meanwhile)
    assert opened.receive(wait=0) == ([], 0)
    assert server.calls["ChangeMessageVisibilityBatch"] == 1
    assert opened.receive(wait=0) == ([], 0)
    assert server.calls["ReceiveMessage"] == 1
