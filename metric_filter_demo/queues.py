"""SQS queues of the embedded AWS: moto's, filled and disturbed from inside."""

from __future__ import annotations

from moto.backends import get_backend
from moto.sqs.models import Queue, SQSBackend


def queue_create(account: str, region: str, name: str) -> None:
    """Create a queue; nothing happens if it is there."""
    _sqs(account, region).create_queue(name)


def message_send(account: str, region: str, name: str, body: str, *, delay: int = 0) -> None:
    """Send a message to an existing queue, to be seen after a delay in seconds."""
    _sqs(account, region).send_message(name, body, delay_seconds=delay)


def visibility_expire(account: str, region: str, name: str) -> None:
    """Make all messages visible that were received and not deleted."""
    queue = _sqs(account, region).get_queue(name)
    for message in list(queue._messages):
        message.change_visibility(0)


def messages_left(account: str, region: str, name: str) -> int:
    """Messages that are not deleted, visible or not."""
    queue: Queue = _sqs(account, region).get_queue(name)
    return len(queue._messages)


def _sqs(account: str, region: str) -> SQSBackend:
    return get_backend("sqs")[account][region]
