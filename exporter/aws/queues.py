"""SQS queues: their URLs, and the calls on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from exporter.aws.calls import Call

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts

MOST_AT_ONCE: Final = 10
"""AWS: messages of a receive, and of a batch."""
LONGEST_WAIT: Final = 20
"""AWS: seconds that a receive may wait for messages."""

_PATH = re.compile("/([0-9]{12})/([A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}[.]fifo)")
# sqs.<region>.amazonaws.com, sqs-fips.<region>.…, sqs.<region>.api.aws, <id>.sqs.<region>.vpce.…
_REGION = re.compile(r"(?:^|\.)sqs(?:-fips)?\.([a-z]{2,5}(?:-[a-z]+)+-[0-9]+)\.")
_LEGACY = re.compile(r"^(?:([a-z]{2,5}(?:-[a-z]+)+-[0-9]+)\.)?queue\.amazonaws\.com(?:\.cn)?$")
_LEGACY_REGION = "us-east-1"
_OF_AWS = re.compile(r"\.(amazonaws\.com(\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)$")
_PRIVATE = ".vpce."
_FIPS = "sqs-fips."


@dataclass(frozen=True, slots=True)
class QueueUrl:
    """The URL of a queue, and what it says: its account, region, name and endpoint."""

    url: str
    account_id: str
    name: str
    region: str | None
    """None if the URL names none, as one of an emulator may."""
    endpoint: str
    """Where it is called; empty if that is the environment's endpoint for the region."""

    @classmethod
    def parse(cls, url: str) -> QueueUrl:
        """Read a URL; raises ValueError."""
        parts = urlsplit(url)
        path = _PATH.fullmatch(parts.path)
        if parts.scheme not in ("http", "https") or not parts.hostname or path is None:
            raise ValueError(
                "must be a queue's URL, such as"
                " https://sqs.us-east-1.amazonaws.com/111122223333/events"
            )
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("must be a queue's URL, without credentials, query or fragment")
        host = parts.hostname
        named, legacy = _REGION.search(host), _LEGACY.fullmatch(host)
        region = named[1] if named else None
        if legacy:
            region = legacy[1] or _LEGACY_REGION
        is_public = bool(_OF_AWS.search(host)) and _PRIVATE not in host and _FIPS not in host
        endpoint = "" if is_public else f"{parts.scheme}://{parts.netloc}"
        return cls(url, path[1], path[2], region, endpoint)


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was received, and is invisible to others for a while."""

    id: str
    """The same each time that it is received."""
    receipt: str
    """By which this receive of it is deleted or kept invisible."""
    body: str
    sent: int
    """When it was sent to the queue, milliseconds."""


class Queue:
    """The calls on a queue; each raises SourceError. Thread-safe."""

    def __init__(self, accounts: AwsAccounts, url: QueueUrl, region: str) -> None:
        self._accounts = accounts
        self._url = url
        self._region = region

    def receive(self, *, wait: int, visibility: int) -> tuple[list[Message], int]:
        """Up to MOST_AT_ONCE messages, and the number of those that are malformed.

        ``wait``: seconds to wait for one. ``visibility``: seconds for which they are invisible.
        """
        answer = self._answer(
            "ReceiveMessage",
            MaxNumberOfMessages=MOST_AT_ONCE,
            WaitTimeSeconds=wait,
            VisibilityTimeout=visibility,
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        received = answer.get("Messages") or []
        messages = [one for one in map(_message, received) if one is not None]
        return messages, len(received) - len(messages)

    def delete(self, messages: Sequence[Message]) -> int:
        """Delete messages; returns how many AWS did not delete, which come again."""
        return sum(
            len(self._answer("DeleteMessageBatch", Entries=entries).get("Failed") or [])
            for entries in _batches(messages)
        )

    def extend(self, messages: Sequence[Message], *, visibility: int) -> None:
        """Keep messages invisible for so many seconds from now on."""
        for entries in _batches(messages, VisibilityTimeout=visibility):
            self._answer("ChangeMessageVisibilityBatch", Entries=entries)

    def attributes(self) -> Mapping[str, str]:
        """All attributes of the queue, such as ``Policy`` and ``RedrivePolicy``."""
        answer = self._answer("GetQueueAttributes", AttributeNames=["All"])
        return dict(answer.get("Attributes") or {})

    def _answer(self, operation: str, **parameters: object) -> Mapping[str, Any]:
        url = self._url
        call = Call(
            "sqs",
            operation,
            url.account_id,
            self._region,
            f"queue {url.name}",
            endpoint=url.endpoint,
            any_signer=True,
        )
        return self._accounts.answer(call, {"QueueUrl": url.url, **parameters})


def _message(received: object) -> Message | None:
    if not isinstance(received, Mapping):
        return None
    name, receipt, body = (received.get(key) for key in ("MessageId", "ReceiptHandle", "Body"))
    if not (isinstance(name, str) and isinstance(receipt, str) and isinstance(body, str)):
        return None
    attributes = received.get("Attributes")
    sent = attributes.get("SentTimestamp") if isinstance(attributes, Mapping) else None
    milliseconds = int(sent) if isinstance(sent, str) and sent.isdecimal() else 0
    return Message(name, receipt, body, milliseconds)


def _batches(messages: Sequence[Message], **options: object) -> Iterator[list[dict[str, object]]]:
    for start in range(0, len(messages), MOST_AT_ONCE):
        yield [
            {"Id": str(number), "ReceiptHandle": one.receipt, **options}
            for number, one in enumerate(messages[start : start + MOST_AT_ONCE])
        ]
