"""A CloudTrail event history in this process: the events of an account, and LookupEvents."""

from __future__ import annotations

import bisect
import json
import math
import random
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from exporter.aws.records import HistoryEvent
from metric_filter_demo.patterns import read_pattern
from metric_filter_demo.trail_records import Callers, Records

ACCOUNT = "123456789012"
REGION = "us-east-1"
PAGE = 50
# AWS: "CloudTrail typically delivers events within an average of about 5 minutes", at times 15 and
# more. Log-normal.
_MEDIAN_DELAY = 180.0
_DELAY_SIGMA = 0.75
_TIME, _ID = "2000-01-01T00:00:00Z", "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Kind:
    """Events that differ in their ids and times only."""

    share: float
    parts: tuple[str, str, str]
    """The message around its time and its id."""
    attributes: Mapping[str, str]
    """AWS: the attributes of LookupEvents."""

    def message(self, time: str, event_id: str) -> str:
        """The record."""
        return f"{self.parts[0]}{time}{self.parts[1]}{event_id}{self.parts[2]}"


class Trail:
    """Events of so many a second on average, each visible after CloudTrail's delay."""

    def __init__(self, rate: float, begin: float, seconds: float, *, latest: float) -> None:
        """``latest``: the longest delay, seconds."""
        chance = random.Random(7)
        self.kinds = _kinds()
        shares = [kind.share for kind in self.kinds]
        self.times, self.visible, self._kind = array("d"), array("d"), array("B")
        time = begin
        while (time := time + chance.expovariate(rate)) < begin + seconds:
            delay = min(latest, _MEDIAN_DELAY * math.exp(chance.gauss(0, _DELAY_SIGMA)))
            self.times.append(time)
            self.visible.append(time + delay)
        self._kind.extend(chance.choices(range(len(shares)), shares, k=len(self.times)))
        self.served = 0
        """Records in answers."""
        self._indexes: dict[tuple[str, str], Sequence[int]] = {}

    def lookup(
        self, parameters: Mapping[str, Any], now: Callable[[], float]
    ) -> Iterator[tuple[Sequence[HistoryEvent], bool]]:
        """The pages of LookupEvents: newest first, whole seconds, both ends inclusive."""
        start, end = parameters["StartTime"].timestamp(), parameters["EndTime"].timestamp() + 1
        chosen = self._chosen(parameters.get("LookupAttributes"))
        low = bisect.bisect_left(chosen, start, key=self.times.__getitem__)
        high = bisect.bisect_left(chosen, end, key=self.times.__getitem__)
        page: list[HistoryEvent] = []
        for place in range(high - 1, low - 1, -1):
            number = chosen[place]
            if self.visible[number] > now():
                continue
            if len(page) == PAGE:
                yield page, True
                page = []
            page.append(self.record(number))
            self.served += 1
        yield page, False

    def expected(self, patterns: Mapping[str, str]) -> Counter[str]:
        """The matches of all events by rule, as the embedded AWS judges them."""
        events = Counter(self._kind)
        matches: Counter[str] = Counter()
        for number, kind in enumerate(self.kinds):
            message = kind.message(_TIME, _ID)
            for rule, pattern in patterns.items():
                if read_pattern(pattern)(message) is not None and events[number]:
                    matches[rule] += events[number]
        return matches

    def _chosen(self, attributes: Sequence[Mapping[str, str]] | None) -> Sequence[int]:
        """The numbers of the events with an attribute, in the order of time."""
        if not attributes:
            return range(len(self.times))
        (one,) = attributes
        wanted = one["AttributeKey"], one["AttributeValue"]
        if wanted not in self._indexes:
            fits = [kind.attributes.get(wanted[0]) == wanted[1] for kind in self.kinds]
            numbers = (number for number, kind in enumerate(self._kind) if fits[kind])
            self._indexes[wanted] = array("L", numbers)
        return self._indexes[wanted]

    def record(self, number: int) -> HistoryEvent:
        """An event."""
        second = int(self.times[number])
        text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event_id = f"{number:08x}-0000-4000-8000-000000000000"
        return HistoryEvent(
            self.kinds[self._kind[number]].message(text, event_id), second, event_id
        )


def number_of(event_id: str) -> int:
    """The number of the event with an id."""
    return int(event_id[:8], 16)


def _kinds() -> list[Kind]:
    """90 % of the events are read-only; about 2 % count for a rule of the CIS pack."""
    chance = random.Random(3)
    callers, records = Callers(chance, ACCOUNT), Records(chance, ACCOUNT)
    role = callers.role("deploy", "pipeline", "192.0.2.7")
    user, root = callers.user("maya", "192.0.2.8"), callers.root("198.51.100.9")
    reads = ("ec2:DescribeInstances", "s3:ListBuckets", "sts:AssumeRole", "kms:Decrypt")
    writes = ("ec2:RunInstances", "logs:CreateLogStream", "ec2:CreateTags", "lambda:TagResource")
    changes = ("iam:AttachRolePolicy", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateRoute")
    denied = ("AccessDenied", "not authorized")
    made: list[tuple[float, dict[str, Any]]] = [
        *((22.2, records.call(role, name, REGION, read_only=True)) for name in reads),
        (1.0, records.call(role, "s3:GetBucketPolicy", REGION, read_only=True, error=denied)),
        (0.2, records.call(root, "ec2:DescribeInstances", REGION, read_only=True)),
        *((2.25, records.call(role, name, REGION)) for name in writes),
        *((0.25, records.call(user, name, REGION)) for name in changes),
        (0.1, records.console_login(user, REGION, mfa=True)),
        (0.1, records.console_login(user, REGION, mfa=False, failed=True)),
        (0.05, records.console_login(root, REGION, mfa=False)),
    ]
    return [_kind(share, record) for share, record in made]


def _kind(share: float, record: dict[str, Any]) -> Kind:
    text = json.dumps(record | {"eventTime": _TIME, "eventID": _ID})
    before, rest = text.split(_TIME)
    between, after = rest.split(_ID)
    is_root = record["userIdentity"]["type"] == "Root"
    attributes = {
        "EventName": record["eventName"],
        "EventSource": record["eventSource"],
        "ReadOnly": str(record["readOnly"]).lower(),
        "Username": "root" if is_root else "someone",
    }
    return Kind(share, (before, between, after), attributes)
