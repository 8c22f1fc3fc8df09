"""A log group with many lines a second, on loopback, in a separate process.

Serves the exporter's calls (FilterLogEvents, DescribeLogGroups, GetCallerIdentity) with little CPU
time: pages of up to 1 MiB of messages or 10,000 log events, as AWS does. The lines are those of an
Application Load Balancer, 0.5 kB each. Each line follows from its number alone, so every count can
be checked.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qs

REGION = "us-east-1"
ACCOUNT = "123456789012"
LOG_GROUP = "/bench/alb"
_PAGE_BYTES = 2**20
_PAGE_EVENTS = 10_000
_CYCLE = 997
"""Lines after which clients, requests and statuses repeat; prime, so the other values of a line
repeat at other times."""
_IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
    f"<GetCallerIdentityResult><Account>{ACCOUNT}</Account></GetCallerIdentityResult>"
    "</GetCallerIdentityResponse>"
)


@dataclass(frozen=True)
class Line:
    """The values of a line that the pack ``http-access`` counts."""

    status: int
    sent: int
    """Bytes."""
    target_milliseconds: int
    """-1 if no target answered."""


class Lines:
    """The lines of a load balancer, by their number; the same in every process."""

    def __init__(self) -> None:
        chance = random.Random(1)
        statuses = random.Random(2).choices(
            (200, 201, 204, 301, 304, 400, 401, 403, 404, 429, 500, 502, 503, 504),
            (700, 40, 20, 30, 80, 10, 10, 10, 50, 5, 10, 5, 5, 5),
            k=_CYCLE,
        )
        self._statuses = statuses
        self._parts = [_parts(chance, status) for status in statuses]

    def counted(self, number: int) -> Line:
        """The values of a line that count."""
        status = self._statuses[number % _CYCLE]
        unanswered = status in (502, 503, 504)
        return Line(
            status,
            (number * 2_654_435_761) % 65_536,
            -1 if unanswered else (number * 7919) % 2_000,
        )

    def message(self, number: int, second: str, milliseconds: int) -> str:
        """The line, in JSON's spelling; ``second`` is its time without the fraction."""
        head, middle, tail = self._parts[number % _CYCLE]
        line = self.counted(number)
        target = f"{line.target_milliseconds / 1000:.3f}" if line.target_milliseconds >= 0 else "-1"
        return (
            f"https {second}.{milliseconds:03}000Z {head} 0.001 {target} 0.000 {middle} {line.sent}"
            f" {tail}{number:024x}"
            '\\" \\"shop.example.com\\" \\"session-reused\\" 0 '
            f'{second}.{milliseconds:03}000Z \\"forward\\" \\"-\\" \\"-\\"'
        )


def _parts(chance: random.Random, status: int) -> tuple[str, str, str]:
    client = (
        f"198.51.{chance.randrange(256)}.{chance.randrange(256)}:{chance.randrange(1024, 65536)}"
    )
    method = chance.choice(("GET", "GET", "GET", "GET", "POST", "PUT", "DELETE", "HEAD"))
    path = f"/{chance.choice(('products', 'orders', 'cart', 'search'))}/{chance.randrange(10**6)}"
    target = f"10.0.{chance.randrange(4)}.{chance.randrange(256)}:8080"
    answered = "-" if status in (502, 503, 504) else str(status)
    request = (
        f"{method} https://shop.example.com:443{path}?session={chance.randrange(10**9)} HTTP/2.0"
    )
    agent = (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko)"
        f" Chrome/{chance.randrange(90, 130)}.0.0.0"
    )
    group = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/shop/0123456789abcdef"
    return (
        f"app/shop/0123456789abcdef {client} {target}",
        f"{status} {answered} {chance.randrange(100, 2000)}",
        f'\\"{request}\\" \\"{agent}\\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 {group} \\"Root=1-',
    )


@dataclass(frozen=True)
class Traffic:
    """The lines of a log group and how its API behaves."""

    lines_per_second: int = 3_000
    quota: float | None = None
    """Pages a second, beyond which FilterLogEvents throttles; None for no quota."""
    latency: float = 0.0
    """Seconds until an answer."""
    late_every: int = 0
    """One line in so many arrives late; 0 for none."""
    latest: float = 0.0
    """Seconds that a line arrives late at most."""


class BusyLogGroup:
    """A log group whose lines come from ``begin`` to ``end``; a context manager.

    Its process ends with the context.
    """

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        context = multiprocessing.get_context("spawn")
        # Begin and end of the lines (ms), then pages, log events and throttles served.
        self._shared = context.Array("q", 5)
        port = context.Queue()
        self._process = context.Process(
            target=_serve, args=(traffic, self._shared, port), daemon=True
        )
        self._process.start()
        self.port: int = port.get(timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.join()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead an SDK here."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        return cast("int", self._process.pid)

    def begin(self) -> float:
        """Let lines come from now on; returns the time of the first, seconds since the epoch."""
        now = round(time.time() * 1000)
        self._shared[0] = now
        return now / 1000

    def end(self) -> int:
        """Let the lines end; returns their number."""
        self._shared[1] = round(time.time() * 1000)
        return _lines_before(self.traffic, self._shared[0], self._shared[1])

    def made(self, at: float) -> int:
        """The number of lines before a time, in seconds since the epoch."""
        return _lines_before(self.traffic, self._shared[0], round(at * 1000))

    @property
    def pages(self) -> int:
        """Answers of FilterLogEvents with log events or without."""
        return int(self._shared[2])

    @property
    def served(self) -> int:
        """Log events in these answers."""
        return int(self._shared[3])

    @property
    def throttled(self) -> int:
        """Calls of FilterLogEvents that were refused by the quota."""
        return int(self._shared[4])


def _lines_before(traffic: Traffic, begin: int, end: int) -> int:
    """The number of lines with a time before ``end``; line n comes at begin + n / rate."""
    return max(0, -(-(end - begin) * traffic.lines_per_second // 1000))


def _serve(traffic: Traffic, shared: Any, port: Any) -> None:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.group = _Group(traffic, shared)
    port.put(server.server_port)
    server.serve_forever()


class _Group:
    """The log group in the server's process."""

    def __init__(self, traffic: Traffic, shared: Any) -> None:
        self._traffic = traffic
        self._shared = shared
        self._lines = Lines()
        self._lock = threading.Lock()
        self._answers: deque[float] = deque()

    def answer(self, operation: str, request: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body."""
        match operation:
            case "GetCallerIdentity":
                return 200, _IDENTITY.encode()
            case "DescribeLogGroups":
                group = {
                    "logGroupName": LOG_GROUP,
                    "logGroupClass": "STANDARD",
                    "creationTime": 1_700_000_000_000,
                    "arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{LOG_GROUP}:*",
                }
                return 200, json.dumps({"logGroups": [group]}).encode()
            case "FilterLogEvents":
                if not self._admitted():
                    error = {"__type": "ThrottlingException", "message": "Rate exceeded"}
                    return 400, json.dumps(error).encode()
                if self._traffic.latency:
                    time.sleep(self._traffic.latency)
                return 200, self._page(request)
            case _:
                return 400, b'{"__type": "InvalidOperationException"}'

    def _admitted(self) -> bool:
        """Whether a call is within the quota, a sliding second."""
        if self._traffic.quota is None:
            return True
        with self._lock:
            now = time.monotonic()
            while self._answers and self._answers[0] <= now - 1:
                self._answers.popleft()
            if len(self._answers) >= self._traffic.quota:
                self._shared[4] += 1
                return False
            self._answers.append(now)
            return True

    def _page(self, request: dict[str, Any]) -> bytes:
        begin, end = self._shared[0], self._shared[1]
        now = round(time.time() * 1000)
        first, last = 0, 0
        if begin:
            last = _lines_before(self._traffic, begin, min(now, end or now, request["endTime"] + 1))
            first = _lines_before(self._traffic, begin, request["startTime"])
        if "nextToken" in request:
            first = int(request["nextToken"])
        events, following = self._events(first, last, begin, now)
        with self._lock:
            self._shared[2] += 1
            self._shared[3] += len(events)
        token = f',"nextToken":"{following}"' if following < last else ""
        return f'{{"events":[{",".join(events)}],"searchedLogStreams":[]{token}}}'.encode()

    def _events(self, first: int, last: int, begin: int, now: int) -> tuple[list[str], int]:
        """The visible events of a page, and the number of the line after it."""
        events: list[str] = []
        size, rate, before, second = 0, self._traffic.lines_per_second, -1, ""
        message = self._lines.message
        for number in range(first, min(last, first + 2 * _PAGE_EVENTS)):
            at = begin + number * 1000 // rate
            arrived = at + self._delay(number)
            if arrived > now:
                continue
            whole, milliseconds = divmod(at, 1000)
            if whole != before:
                before = whole
                second = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            text = message(number, second, milliseconds)
            size += len(text)
            if size > _PAGE_BYTES or len(events) == _PAGE_EVENTS:
                return events, number
            events.append(
                f'{{"logStreamName":"app/shop/0123456789abcdef","timestamp":{at},"message":"{text}"'
                f',"ingestionTime":{arrived},"eventId":"{37_000_000_000_000 + at:014}'
                f'{number:042}"}}'
            )
        return events, min(last, first + 2 * _PAGE_EVENTS)

    def _delay(self, number: int) -> int:
        """Milliseconds from a line's time until it is visible."""
        every = self._traffic.late_every
        if not every or number % every:
            return 0
        return round(number // every % 64 / 63 * self._traffic.latest * 1000)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    group: _Group


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        request = json.loads(body) if operation else {}
        operation = operation or parse_qs(body.decode())["Action"][0]
        status, answer = cast("_Server", self.server).group.answer(operation, request)
        head = (
            f"HTTP/1.1 {status} -\r\nDate: {formatdate(usegmt=True)}\r\n"
            f"Content-Type: application/x-amz-json-1.1\r\nContent-Length: {len(answer)}\r\n\r\n"
        )
        self.wfile.write(head.encode() + answer)


def expected(lines: int) -> dict[str, Counter[str]]:
    """Matches by rule and totals by metric that ``http-access`` makes of the first lines."""
    matches: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for line in _counted(lines):
        matches[f"http_alb_requests_{line.status // 100}xx"] += 1
        matches["http_alb_response_bytes"] += 1
        totals["http_response_bytes_total"] += line.sent
        totals["http_requests_total"] += 1
        if line.target_milliseconds >= 0:
            matches["http_alb_target_duration"] += 1
        if line.status >= 400:
            matches[f"http_alb_{'client' if line.status < 500 else 'server'}_errors"] += 1
    return {"matches": matches, "totals": totals}


def _counted(lines: int) -> Iterator[Line]:
    made = Lines()
    return (made.counted(number) for number in range(lines))
