"""An AWS in memory that selects by attribute or filter pattern, as the sources ask for it."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from exporter.aws.calls import Call
from exporter.aws.quotas import CallCost, Quotas
from exporter.model import SourceError
from metric_filter_demo.patterns import InvalidPattern, read_pattern

ACCOUNT, REGION = "123456789012", "eu-west-1"


@dataclass(frozen=True)
class Happening:
    """A log event, and when it can be read: seconds."""

    id: str
    time: int
    visible_at: float
    message: str


def record(number: int, time: int, **fields: Any) -> str:
    """A CloudTrail record."""
    return json.dumps(
        {
            "eventVersion": "1.09",
            "eventID": f"00000000-0000-4000-8000-{number:012d}",
            "eventTime": datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "awsRegion": REGION,
            "recipientAccountId": ACCOUNT,
            **fields,
        }
    )


@dataclass
class SelectingAws:
    """Stands in for ``AwsAccounts``; pages have random sizes, and some are empty."""

    now: Callable[[], float]
    events: Sequence[Happening]
    chance: random.Random
    page_size: int = 50
    refuses: Callable[[str], bool] = lambda _: False
    """Whether it does not accept a filter pattern or the value of an attribute."""
    random_pages: bool = True
    asked: Counter[str] = field(default_factory=Counter)
    """Calls by what they select; empty for everything."""

    def cost(self, call: Call) -> CallCost:
        """No quota that could be waited for."""
        return CallCost(Quotas(lambda *_: None), call.operation, call.account_id, call.region)

    def pages(self, call: Call, parameters: Mapping[str, Any]) -> Iterator[Sequence[object]]:
        """The records of LookupEvents or FilterLogEvents."""
        if call.operation == "LookupEvents":
            yield from self._lookup(parameters)
        else:
            yield from self._filter(parameters)

    def _lookup(self, parameters: Mapping[str, Any]) -> Iterator[Sequence[object]]:
        start, end = parameters["StartTime"].timestamp(), parameters["EndTime"].timestamp()
        (wanted,) = parameters.get("LookupAttributes", [{}])
        key, value = wanted.get("AttributeKey"), wanted.get("AttributeValue", "")

        def selected(one: Happening) -> bool:
            fields = json.loads(one.message)
            attributes = {
                "EventName": fields.get("eventName"),
                "EventSource": fields.get("eventSource"),
                "ReadOnly": str(fields["readOnly"]).lower(),
            }
            return key is None or attributes[key] == value

        for some in self._paged(value, selected, start, end):
            yield [
                {"CloudTrailEvent": one.message, "EventTime": one.time, "EventId": one.id}
                for one in some
            ]

    def _filter(self, parameters: Mapping[str, Any]) -> Iterator[Sequence[object]]:
        text = parameters.get("filterPattern", "")
        try:
            match = read_pattern(text)
        except InvalidPattern as error:
            raise _refused(text) from error
        start, end = parameters["startTime"] / 1000, parameters["endTime"] / 1000
        for some in self._paged(text, lambda one: match(one.message) is not None, start, end):
            yield [
                {"message": one.message, "timestamp": one.time * 1000, "eventId": one.id}
                for one in some
            ]

    def _paged(
        self, text: str, selected: Callable[[Happening], bool], start: float, end: float
    ) -> Iterator[Sequence[Happening]]:
        if text and self.refuses(text):
            raise _refused(text)
        left = [
            one
            for one in self.events
            if start <= one.time <= end and one.visible_at <= self.now() and selected(one)
        ]
        while True:
            self.asked[text] += 1
            sizes = [0, 1, 3, self.page_size] if self.random_pages else [self.page_size]
            size = self.chance.choice(sizes)
            yield left[:size]
            left = left[size:]
            if not left:
                return


def _refused(text: str) -> SourceError:
    return SourceError(f"InvalidParameterException: {text}", reason="invalid_request")
