"""Log lines of a small shop: two Lambda functions, an access log and an application."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

CHECKOUT = "/aws/lambda/checkout"
THUMBNAILER = "/aws/lambda/thumbnailer"
ACCESS = "/ecs/storefront/access"
APPLICATION = "/ecs/storefront/app"
LOG_GROUPS = (CHECKOUT, THUMBNAILER, ACCESS, APPLICATION)

_TIMEOUT_SECONDS = 6.0
_ROUTES = ("/", "/products", "/products/{id}", "/cart", "/checkout", "/account")
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15",
    "shop-app/4.2 (Android 15)",
    "uptime-check/1.8",
)
_TRACEBACK = """[ERROR] KeyError: 'currency'
Traceback (most recent call last):
  File "/var/task/handler.py", line 41, in handle
    total = price(cart, event["currency"])
KeyError: 'currency'"""


@dataclass(frozen=True, slots=True)
class Line:
    """A log event to be: group, stream and message."""

    group: str
    stream: str
    message: str


class LogLines:
    """Makes log lines; ``rng`` decides their content."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def invocation(self, group: str, *, outcome: str = "ok") -> list[Line]:
        """Messages of Lambda and a function; ``outcome``: ``ok``, ``error`` or ``timeout``."""
        request = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        typical = 180.0 if group == CHECKOUT else 900.0
        duration = min(self._rng.lognormvariate(0, 0.6) * typical, _TIMEOUT_SECONDS * 900)
        messages = [f"START RequestId: {request} Version: $LATEST\n"]
        if outcome == "error":
            messages.append(f"{_TRACEBACK}\n")
        elif outcome == "timeout":
            duration = _TIMEOUT_SECONDS * 1000
            messages.append(
                f"{_now():%Y-%m-%dT%H:%M:%S.000Z} {request}"
                f" Task timed out after {_TIMEOUT_SECONDS:.2f} seconds\n\n"
            )
        messages.append(f"END RequestId: {request}\n")
        size, used = 256, self._rng.randint(71, 190)
        report = (
            f"REPORT RequestId: {request}\tDuration: {duration:.2f} ms"
            f"\tBilled Duration: {int(duration) + 1} ms\tMemory Size: {size} MB"
            f"\tMax Memory Used: {used} MB\t"
        )
        if self._rng.random() < 0.05:
            report += f"Init Duration: {self._rng.uniform(180, 420):.2f} ms\t"
        messages.append(report + "\n")
        stream = f"{_now():%Y/%m/%d}/[$LATEST]{self._rng.choice(('a3f1', '9c04'))}{'0' * 28}"
        return [Line(group, stream, message) for message in messages]

    def request(self) -> list[Line]:
        """A line of an access log in the combined format."""
        path = self._rng.choice(_ROUTES).replace("{id}", str(self._rng.randint(1, 400)))
        method = "POST" if path == "/checkout" else "GET"
        status = self._rng.choices((200, 304, 302, 401, 404, 500, 503), (78, 8, 4, 2, 5, 2, 1))[0]
        size = "-" if status == 304 else str(int(self._rng.lognormvariate(8.3, 0.9)))
        client = f"203.0.113.{self._rng.randint(1, 254)}"
        message = (
            f'{client} - - [{_now():%d/%b/%Y:%H:%M:%S} +0000] "{method} {path} HTTP/1.1"'
            f' {status} {size} "-" "{self._rng.choice(_AGENTS)}"'
        )
        return [Line(ACCESS, f"web/storefront/{self._rng.choice(('7d1e', 'b820'))}", message)]

    def application(self) -> list[Line]:
        """A line of the application's JSON log."""
        level = self._rng.choices(("info", "warn", "error"), (88, 8, 4))[0]
        route = self._rng.choice(_ROUTES)
        says = {"info": "request served", "warn": "slow upstream", "error": "payment refused"}
        content = {
            "time": _now().isoformat(timespec="milliseconds"),
            "level": level,
            "route": route,
            "latency_ms": round(self._rng.lognormvariate(3.6, 0.7), 1),
            "message": says[level],
            "order": {"items": self._rng.randint(1, 6), "coupon": None},
        }
        return [self._app(json.dumps(content))]

    def complaint(self) -> list[Line]:
        """A plain line in the application's log that says ERROR."""
        host = self._rng.choice(("payments", "inventory", "mail"))
        message = f"ERROR connection pool: no answer from {host}.internal after 3 attempts"
        return [self._app(message)]

    def _app(self, message: str) -> Line:
        return Line(APPLICATION, f"app/storefront/{self._rng.choice(('41aa', 'e6d3'))}", message)


def _now() -> datetime:
    return datetime.now(UTC)
