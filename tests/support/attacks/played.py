"""Log events of any time, counted by the exporter's own rules, ledger and series on a set clock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple, Self

import yaml

from exporter.clock import Clock
from exporter.configuration import load
from exporter.ledger.base import Batch
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.rendering import RenderedFamily, raw_texts
from exporter.metrics.rule_info import THRESHOLD
from exporter.metrics.scrapers import Client
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import LogEvent, Partition
from exporter.runtime.assembly import Assembler
from exporter.runtime.engine import Engine
from exporter.runtime.pipeline import Pipeline
from exporter.runtime.scheduling import Scheduler
from exporter.sources.log_groups import LOG_GROUP

SOURCE: Final = "trail"
REGION: Final = "us-east-1"
BLOCK: Final = 7200
"""Seconds of a block of Prometheus's database; blocks begin at multiples of it."""
_SCRAPER: Final = Client("192.0.2.1", timeout=10.0)


class Logged(NamedTuple):
    """A log event."""

    time: float
    """Seconds since the epoch."""
    account: str
    message: str


class PlayedExporter:
    """An exporter without sources: it counts what it is given and is scraped at any time.

    Use as a context manager.
    """

    def __init__(self, folder: Path, packs: Iterable[str]) -> None:
        """``folder`` is for its configuration and ledger."""
        source = {"name": SOURCE, "type": "log_groups", "log_groups": ["*"], "format": "auto"}
        path = folder / "exporter.yaml"
        path.write_text(yaml.safe_dump({"sources": [source], "rule_packs": list(packs)}))
        self._now = 0.0
        self._ledger = SqliteLedger.open(
            folder, clock=self._time, steady=self._time, temporary=True
        )
        telemetry, clock = Telemetry(), Clock(self._time, self._time)
        self._series = SeriesStore(birth_hold=0.0, clock=self._time)
        assembly = Assembler(self._ledger, telemetry, clock, stop=threading.Event()).assemble(
            load([path])
        )
        engine = Engine(Pipeline(self._ledger, self._series, telemetry, clock), Scheduler())
        assembly.put_in_force(engine, self._series, telemetry)
        self._rules = assembly.rules
        families = (
            family
            for tables in telemetry.tables
            for family in tables.render(openmetrics=False, created=False)
        )
        self._thresholds = [family for family in families if family.name == THRESHOLD]
        self._checkpoints: dict[Partition, str] = {}
        self.matched: dict[str, set[str]] = {}
        """The rules that have matched, by account."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._ledger.close()

    def _time(self) -> float:
        return self._now

    def count(self, events: Sequence[Logged]) -> None:
        """Count log events."""
        batches = []
        by_account: dict[str, list[LogEvent]] = {}
        for event in events:
            by_account.setdefault(event.account, []).append(
                LogEvent(event.message, int(event.time * 1000))
            )
        for account, some in by_account.items():
            partition = Partition(SOURCE, account, REGION, resource="/attacks", kind=LOG_GROUP)
            judged = self._rules.evaluate(some, partition, "auto").events
            before = self._checkpoints.get(partition)
            after = self._checkpoints[partition] = str(int(before or 0) + len(some))
            batches.append(Batch(partition, SOURCE, after, before, judged))
            rules = {one.rule for event in judged for one in event.increments}
            self.matched.setdefault(account, set()).update(rules)
        if batches:
            self._series.apply(self._ledger.commit(*batches).series)

    def scrape(self, at: float) -> bytes:
        """The samples as OpenMetrics with their time, without the last line.

        As with any scrape, a series that is new is at 0 in the first one.
        """
        self._now = at
        due = self._series.due()
        if due:
            self._ledger.reveal(due)
            self._series.recorded(due)
        self._series.reveal(_SCRAPER)
        page = self._series.render(openmetrics=False)
        self._series.delivered(page.edition, _SCRAPER)
        stamp = b" %d\n" % at
        return b"".join(_stamped([*page.families, *self._thresholds], stamp))


def play(
    exporter: PlayedExporter, events: Sequence[Logged], scrapes: Iterable[int], folder: Path
) -> list[Path]:
    """Count events, in the order of their times, and scrape; return a file for each block.

    Each event counts before the first scrape after it. promtool reads the files.
    """
    files, position = [], 0
    for block, times in groupby(scrapes, lambda at: at // BLOCK):
        path = folder / f"{block * BLOCK}.txt"
        files.append(path)
        with path.open("wb") as out:
            for at in times:
                first = position
                while position < len(events) and events[position].time <= at:
                    position += 1
                exporter.count(events[first:position])
                out.write(exporter.scrape(at))
            out.write(b"# EOF\n")
    return files


def _stamped(families: Iterable[RenderedFamily], stamp: bytes) -> Iterator[bytes]:
    for family in families:
        for text in raw_texts(family.parts):
            lines = text.splitlines(keepends=True) if text.startswith(b"#") else [text]
            yield b"".join(one for one in lines if one[:1] != b"#").replace(b"\n", stamp)
