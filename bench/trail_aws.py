"""S3 and SQS on loopback in a process of their own, which costs little and can go wrong.

    python -m bench.trail_aws '{"records": 50, "begin": 1790000000, "step": 1}'

It prints its port. The calls that the exporter makes are answered, and these for the benchmark:
``POST /-/put`` (objects and their messages), ``/-/faults``, ``/-/show`` (messages become visible)
and ``GET /-/state``.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
import uuid
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final, cast
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from bench.trail_objects import BUCKET, DAMAGED, MISSING, TrailObjects

ACCOUNT: Final = "111122223333"
QUEUE: Final = "trail"
_MOST_RECEIVES: Final = 3
"""Receives of a message whose object cannot be read, before the redrive policy takes it."""
_LOOK_EVERY: Final = 0.05
"""Seconds between two looks for a message, while a receive waits."""
_REASONS: Final = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Slow Down"}


@dataclass(slots=True)
class Faults:
    """What goes wrong, each with a probability."""

    fail: float = 0.0
    """Calls that are refused with 500 or 503."""
    cut: float = 0.0
    """Answers that end in the middle."""
    expire: float = 0.0
    """Received messages that others may receive at once."""
    repeat: float = 0.0
    """Deleted messages that come again."""
    late: float = 0.0
    """Seconds that an object may be missing in listings."""
    reorder: bool = False
    """Whether messages come in any order."""


@dataclass(slots=True)
class Answer:
    """An answer to a call."""

    body: bytes
    status: int = 200
    kind: str = "application/x-amz-json-1.0"


class QueueOfObjects:
    """Messages that name objects: visible ones, and received ones until their time is over."""

    def __init__(self, faults: Faults, rng: random.Random) -> None:
        self.faults = faults
        self._rng = rng
        self._visible: list[tuple[str, int, float, int]] = []
        """Ids of messages, the numbers of their objects, when they were sent, and receives."""
        self._received: dict[str, tuple[float, tuple[str, int, float, int]]] = {}
        """By receipt: until when they are invisible."""
        self._next = 0
        """The first visible one, if they come in order."""

    @property
    def left(self) -> int:
        """Messages that are not deleted."""
        return len(self._visible) - self._next + len(self._received)

    def put(self, number: int) -> None:
        """Send a message."""
        self._visible.append(
            (uuid.UUID(int=self._rng.getrandbits(128)).hex, number, time.time(), 0)
        )

    def show(self, *, everything: bool = False) -> None:
        """Let messages be visible again whose time is over, or all."""
        now = time.monotonic()
        over = [one for one, (end, _) in self._received.items() if everything or end <= now]
        self._visible += [self._received.pop(receipt)[1] for receipt in over]

    def receive(self, most: int, visibility: float) -> list[tuple[str, str, int, float]]:
        """Receipts, ids, objects and times of up to so many messages."""
        self.show()
        found: list[tuple[str, str, int, float]] = []
        while self._next < len(self._visible) and len(found) < most:
            if self.faults.reorder:
                chosen = self._rng.randrange(self._next, len(self._visible))
                last = self._visible[self._next]
                self._visible[self._next], self._visible[chosen] = self._visible[chosen], last
            name, number, sent, receives = self._visible[self._next]
            self._next += 1
            receipt = f"{name}-{receives}"
            expires = self._rng.random() < self.faults.expire
            end = time.monotonic() + (0 if expires else visibility)
            self._received[receipt] = (end, (name, number, sent, receives + 1))
            found.append((receipt, name, number, sent))
        if self._next > 100_000:
            del self._visible[: self._next]
            self._next = 0
        return found

    def extend(self, receipt: str, visibility: float) -> None:
        """Keep a message invisible."""
        if receipt in self._received:
            message = self._received[receipt][1]
            self._received[receipt] = (time.monotonic() + visibility, message)

    def delete(self, receipt: str) -> None:
        """Delete a message."""
        _, message = self._received.pop(receipt, (0.0, None))
        if message is None:
            name = receipt.rpartition("-")[0]
            self._visible[self._next :] = [m for m in self._visible[self._next :] if m[0] != name]
        elif self._rng.random() < self.faults.repeat:
            self.put(message[1])

    def redrive(self, is_poison: Callable[[int], bool]) -> None:
        """Take messages away that were received too often and are poison."""
        for receipt, (_, (_, number, _, receives)) in list(self._received.items()):
            if is_poison(number) and receives >= _MOST_RECEIVES:
                del self._received[receipt]


class Emulator:
    """Answers calls."""

    def __init__(self, objects: TrailObjects, *, seed: int = 0) -> None:
        self.objects = objects
        self.rng = random.Random(seed)
        self.faults = Faults()
        self.queue = QueueOfObjects(self.faults, self.rng)
        self.keys: list[str] = []
        """That are listed, in order."""
        self.hidden: list[tuple[float, str]] = []
        """When keys will be listed."""
        self.calls: Counter[str] = Counter()

    def answer(
        self, method: str, target: str, action: str, body: bytes, *, again: bool
    ) -> Answer | None:
        """The answer to a call; None if it has to wait for a message.

        ``again``: whether it has waited.
        """
        if target.startswith("/-/"):
            return self._control(target, json.loads(body or b"{}"))
        if action:
            operation = action.rpartition(".")[2]
        elif method == "POST":
            operation = "GetCallerIdentity"
        else:
            operation = "ListObjectsV2" if "list-type=2" in target else "GetObject"
        self.calls[operation] += not again
        if self.rng.random() < self.faults.fail:
            return _failure(operation)
        match operation:
            case "GetObject":
                return self._object(unquote(urlsplit(target).path))
            case "ListObjectsV2":
                return self._list(parse_qs(urlsplit(target).query, keep_blank_values=True))
            case "GetCallerIdentity":
                return _identity()
            case _:
                return self._queue(operation, json.loads(body))

    def _control(self, target: str, given: dict[str, Any]) -> Answer:
        match target:
            case "/-/put":
                for number in range(given["first"], given["first"] + given["count"]):
                    self._put(number, messages=given["messages"])
            case "/-/faults":
                self.faults = self.queue.faults = Faults(**given)
            case "/-/show":
                self.queue.show(everything=True)
        state = {"left": self.queue.left, "hidden": len(self.hidden), "calls": self.calls}
        return Answer(json.dumps(state).encode())

    def _put(self, number: int, *, messages: bool) -> None:
        if messages:
            self.queue.put(number)
            return
        if self.objects.bucket(number) != BUCKET:
            return  # only messages name it
        key = self.objects.key(number)
        if self.faults.late:
            self.hidden.append((time.monotonic() + self.rng.random() * self.faults.late, key))
        else:
            insort(self.keys, key)

    def _object(self, path: str) -> Answer:
        _, bucket, key = path.split("/", 2)
        number = self.objects.number(key)
        content = None
        if bucket == BUCKET and number is not None and self.objects.key(number) == key:
            content = self.objects.content(number)
        if content is None:
            return _s3_error(404, "NoSuchKey")
        return Answer(content, kind="application/x-gzip")

    def _list(self, query: dict[str, list[str]]) -> Answer:
        given = {name: values[0] for name, values in query.items()}
        now = time.monotonic()
        for one in [one for one in self.hidden if one[0] <= now]:
            self.hidden.remove(one)
            insort(self.keys, one[1])
        prefix, delimiter = given.get("prefix", ""), given.get("delimiter", "")
        most = int(given.get("max-keys", 1000))
        after = given.get("continuation-token") or given.get("start-after", "")
        keys: list[str] = []
        folders: list[str] = []
        at = max(bisect_left(self.keys, prefix), bisect_right(self.keys, after) if after else 0)
        while at < len(self.keys) and self.keys[at].startswith(prefix):
            if len(keys) + len(folders) == most:
                return _listing(prefix, keys, folders, after)
            after = self.keys[at]
            cut = after.find(delimiter, len(prefix)) if delimiter else -1
            if cut < 0:
                keys.append(after)
                at += 1
            else:
                folders.append(after[: cut + 1])
                after = f"{folders[-1]}\U0010ffff"
                at = bisect_right(self.keys, after)
        return _listing(prefix, keys, folders, "")

    def _queue(self, operation: str, given: dict[str, Any]) -> Answer | None:
        queue = self.queue
        entries = given.get("Entries", [])
        result: dict[str, Any] = {}
        match operation:
            case "ReceiveMessage":
                found = queue.receive(given["MaxNumberOfMessages"], given["VisibilityTimeout"])
                if not found and given.get("WaitTimeSeconds"):
                    return None
                for receipt, _, number, _ in found:
                    if self._is_poison(number):
                        queue.extend(receipt, 1)
                result = {"Messages": [self._message(*one) for one in found]}
                queue.redrive(self._is_poison)
            case "DeleteMessageBatch":
                for entry in entries:
                    queue.delete(entry["ReceiptHandle"])
            case "ChangeMessageVisibilityBatch":
                for entry in entries:
                    queue.extend(entry["ReceiptHandle"], entry["VisibilityTimeout"])
            case "GetQueueAttributes":
                result = {"Attributes": self._attributes()}
        if entries:
            result = {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}
        return Answer(json.dumps(result).encode())

    def _is_poison(self, number: int) -> bool:
        return self.objects.kind(number) in (DAMAGED, MISSING)

    def _attributes(self) -> dict[str, str]:
        return {
            "ApproximateNumberOfMessages": str(self.queue.left),
            "ApproximateNumberOfMessagesNotVisible": "0",
        }

    def _message(self, receipt: str, name: str, number: int, sent: float) -> dict[str, Any]:
        made = {"bucket": {"name": self.objects.bucket(number)}}
        key = quote(self.objects.key(number))
        record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": made}
        body = {"Records": [{**record, "s3": {**made, "object": {"key": key}}}]}
        return {
            "MessageId": name,
            "ReceiptHandle": receipt,
            "Body": json.dumps(body),
            "Attributes": {"SentTimestamp": str(round(sent * 1000))},
        }


def _failure(operation: str) -> Answer:
    if operation in ("GetObject", "ListObjectsV2"):
        return _s3_error(503, "SlowDown")
    fault = {"__type": "com.amazonaws.sqs#InternalFailure", "message": "made to fail"}
    return Answer(json.dumps(fault).encode(), 500)


def _s3_error(status: int, code: str) -> Answer:
    error = f"<Error><Code>{code}</Code><Message>made up</Message><RequestId>1</RequestId></Error>"
    return Answer(error.encode(), status, "application/xml")


def _identity() -> Answer:
    result = f"<UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"
    result += f"<Arn>arn:aws:iam::{ACCOUNT}:user/bench</Arn>"
    text = (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<GetCallerIdentityResult>{result}</GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )
    return Answer(text.encode(), kind="text/xml")


def _listing(prefix: str, keys: list[str], folders: list[str], token: str) -> Answer:
    modified = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>{modified}</LastModified>"
        "<Size>12000</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for key in keys
    )
    found = "".join(
        f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in folders
    )
    more = f"<NextContinuationToken>{escape(token)}</NextContinuationToken>" if token else ""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix>"
        f"<KeyCount>{len(keys) + len(folders)}</KeyCount><MaxKeys>1000</MaxKeys>"
        f"<IsTruncated>{str(bool(token)).lower()}</IsTruncated>{more}{contents}{found}"
        "</ListBucketResult>"
    )
    return Answer(text.encode(), kind="application/xml")


class Connection(asyncio.Protocol):
    """Reads requests of a kept connection, one after the other."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._read = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See Protocol."""
        self._read += data
        head, separator, body = self._read.partition(b"\r\n\r\n")
        if not separator:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        if len(body) < int(headers.get("content-length", 0)):
            return
        self._read = b""
        method, target, _ = first.split(" ")
        self._reply(method, target, headers.get("x-amz-target", ""), body)

    def _reply(
        self, method: str, target: str, action: str, body: bytes, waited: float = 0.0
    ) -> None:
        if self._transport.is_closing():
            return
        answer = self._emulator.answer(method, target, action, body, again=waited > 0)
        if answer is None:
            if waited < json.loads(body)["WaitTimeSeconds"]:
                asyncio.get_running_loop().call_later(
                    _LOOK_EVERY, self._reply, method, target, action, body, waited + _LOOK_EVERY
                )
                return
            answer = Answer(b"{}")
        head = (
            f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\n"
            f"Date: {formatdate(usegmt=True)}\r\nServer: bench\r\nx-amz-request-id: 1\r\n"
            f'ETag: "1"\r\nLast-Modified: {formatdate(usegmt=True)}\r\n'
            f"Content-Type: {answer.kind}\r\nContent-Length: {len(answer.body)}\r\n\r\n"
        )
        faults = self._emulator.faults
        if not target.startswith("/-/") and self._emulator.rng.random() < faults.cut:
            self._transport.write(head.encode() + answer.body[: len(answer.body) // 2])
            self._transport.close()
        else:
            self._transport.write(head.encode() + answer.body)


async def _serve(emulator: Emulator) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(emulator), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    at = options.pop("seed", 0)
    asyncio.run(_serve(Emulator(TrailObjects(**options), seed=at)))
