"""Quiet log groups in this process: their lines, DescribeLogGroups and FilterLogEvents."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.aws.records import FilteredLogEvent
from metric_filter_demo.patterns import read_pattern

CODES = 15
_PAGE = 10_000
_DESCRIBED = 50


@dataclass(frozen=True, order=True)
class Line:
    """A log event; times are milliseconds."""

    time: int
    visible: float
    """Seconds since the epoch."""
    event_id: str
    message: str


class LogGroups:
    """Log groups with a line every so often; a twentieth of the lines comes late."""

    def __init__(
        self, groups: int, begin: float, seconds: float, *, apart: float, latest: float
    ) -> None:
        """``apart``: seconds between two lines on average. ``latest``: the longest delay."""
        chance = random.Random(5)
        self.lines: dict[str, list[Line]] = {}
        self._created = round(begin * 1000) - 86_400_000
        for number in range(groups):
            lines = self.lines[f"/bench/{number:03}"] = []
            time = begin
            while (time := time + chance.expovariate(1 / apart)) < begin + seconds:
                late = chance.random() < 0.05
                delay = chance.uniform(0, latest) if late else chance.uniform(1, 4)
                level = "ERROR" if chance.random() < 0.3 else "INFO"
                message = f'{{"level":"{level}","code":{chance.randrange(CODES)}}}'
                lines.append(
                    Line(
                        *(round(time * 1000), time + delay),
                        *(f"{number:03}{len(lines):053}", message),
                    )
                )

    def describe(self, _asked: Mapping[str, Any]) -> Iterator[tuple[Sequence[object], bool]]:
        """The pages of DescribeLogGroups."""
        names = list(self.lines)
        for start in range(0, len(names), _DESCRIBED):
            records = [
                {
                    "logGroupName": name,
                    "creationTime": self._created,
                    "logGroupClass": "STANDARD",
                    "arn": f"arn:aws:logs:eu-central-1:123456789012:log-group:{name}:*",
                }
                for name in names[start : start + _DESCRIBED]
            ]
            yield records, start + _DESCRIBED < len(names)

    def filter(
        self, asked: Mapping[str, Any], now: Callable[[], float]
    ) -> Iterator[tuple[Sequence[object], bool]]:
        """The page of FilterLogEvents: oldest first, both ends inclusive."""
        matches = read_pattern(asked.get("filterPattern", ""))
        lines = self.lines[asked["logGroupName"]]
        found = [
            FilteredLogEvent(line.message, line.time, line.event_id)
            for line in lines
            if asked["startTime"] <= line.time <= asked["endTime"]
            and line.visible <= now()
            and matches(line.message) is not None
        ]
        if len(found) > _PAGE:
            raise RuntimeError("these log groups are not quiet")
        yield found, False

    def expected(self, patterns: Mapping[str, str]) -> Counter[str]:
        """The matches of all lines by rule, as the embedded AWS judges them."""
        lines = Counter(line.message for lines in self.lines.values() for line in lines)
        return Counter(
            {
                rule: sum(
                    times
                    for message, times in lines.items()
                    if read_pattern(pattern)(message) is not None
                )
                for rule, pattern in patterns.items()
            }
        )
