"""Each rule pack on its own kind of log events: from the bytes of messages to a commit.

    python -m bench.packs [--rounds 5] [PACK ...]

In this process: decoded messages become log events of a log group, RuleSet.evaluate judges pages
of 1 MB of them, and SqliteLedger.commit writes each page to a new ledger. All events are new. The
first three pages, which make most of the series, are not measured.
Beside it, the time in which the patterns alone match the same messages one at a time, as ``match``
and ``explain`` do. Exits with 1 if the two find different numbers of matches.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import structlog
import yaml

from bench.lines import CLOUDTRAIL, PACKS, lines
from bench.measuring import in_turns, machine, ratio, table
from exporter.configuration import Configuration, load
from exporter.ledger.base import Batch
from exporter.ledger.sqlite import SqliteLedger
from exporter.model import EventFormat, LogEvent, Partition
from exporter.patterns import Document
from exporter.rules import RuleSet
from exporter.runtime.assembly import kept_versions, rule_uses

PAGES, WARM_UP = 10, 3
PAGE_BYTES, MOST = 1_000_000, 2500
ACCOUNT, REGION, GROUP = "111122223333", "eu-west-1", "/bench"
NOW = 1_795_132_800_000
"""Milliseconds: before the event times of all messages."""

Page = list[bytes]


class Bench:
    """A set of packs and pages of their messages."""

    def __init__(self, folder: Path, packs: Sequence[str]) -> None:
        self.format: EventFormat = "cloudtrail" if packs[0] in CLOUDTRAIL else "lines"
        source = {"name": "bench", "type": "log_groups", "regions": [REGION], "log_groups": [GROUP]}
        content = {"sources": [{**source, "format": self.format}], "rule_packs": list(packs)}
        path = folder / "exporter.yaml"
        path.write_text(yaml.safe_dump(content))
        self.configuration: Configuration = load([path])
        kind = self.configuration.sources[0].kind
        self.partition = Partition("bench", ACCOUNT, REGION, GROUP, kind)
        self.pages = list(_pages(packs[0]))
        self.matches = 0
        """In the measured pages, by the last measurement of ``matching`` or ``counting``."""

    @property
    def events(self) -> int:
        """Log events of the pages that are measured."""
        return sum(map(len, self.pages[WARM_UP:]))

    def counting(self) -> float:
        """CPU seconds an event: evaluated and committed."""
        with (
            tempfile.TemporaryDirectory() as folder,
            closing(SqliteLedger.open(Path(folder))) as ledger,
        ):
            loaded = ledger.load_rules(
                rule_uses(self.configuration, (), NOW),
                now=NOW,
                keep=kept_versions(self.configuration),
                generation="bench",
            )
            formats = {"bench": self.configuration.formats_of("bench")}
            rules = RuleSet(loaded.versions, self.configuration.rules, formats=formats)
            took, before = 0.0, None
            for number, page in enumerate(self.pages):
                if number == WARM_UP:
                    self.matches, took = 0, 0.0
                took += self._count(page, ledger, rules, before, str(number))
                before = str(number)
        return took / self.events

    def _count(
        self, page: Page, ledger: SqliteLedger, rules: RuleSet, before: str | None, after: str
    ) -> float:
        """CPU seconds of a page."""
        began = time.process_time()
        first = int(after) * len(page)
        events = [
            LogEvent(line.decode(), NOW + (first + number) // 8, f"{after}-{number:050}")
            for number, line in enumerate(page)
        ]
        evaluation = rules.evaluate(events, self.partition, self.format, watermark=NOW)
        batch = Batch(
            self.partition,
            feed="bench",
            checkpoint=after,
            expected=before,
            events=evaluation.events,
            format=self.format,
        )
        ledger.commit(batch)
        took = time.process_time() - began
        self.matches += len(evaluation.increments)
        return took

    def matching(self) -> float:
        """CPU seconds an event: the patterns alone, one at a time."""
        patterns = [rule.compiled for rule in self.configuration.rules]
        began, self.matches = time.process_time(), 0
        for line in itertools.chain.from_iterable(self.pages[WARM_UP:]):
            document = Document(line.decode())
            self.matches += sum(p.match_document(document) is not None for p in patterns)
        return (time.process_time() - began) / self.events


def _pages(pack: str) -> Iterator[Page]:
    """Pages of up to 1 MB, as of FilterLogEvents; of small messages not as many as AWS sends."""
    sample = lines(pack, 100)
    events = min(MOST, PAGE_BYTES * len(sample) // sum(map(len, sample)))
    whole = lines(pack, events * PAGES)
    return (whole[start : start + events] for start in range(0, len(whole), events))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packs", nargs="*", help="all, unless some are named")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rows, equal = [], True
    for packs in (CLOUDTRAIL, *((pack,) for pack in PACKS)):
        if given.packs and packs[0] not in given.packs:
            continue
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder), packs)
        costs = in_turns(given.rounds, {"all": bench.counting, "patterns": bench.matching})
        matched = bench.matches
        bench.counting()
        equal &= matched == bench.matches
        rows.append(
            (
                " + ".join(packs),
                len(bench.configuration.rules),
                f"{bench.matches / bench.events:.2f}",
                *(f"{statistics.median(each) * 1e6:.1f}" for each in costs.values()),
                f"{ratio(costs['patterns'], costs['all']):.1f}",
                "" if matched == bench.matches else f"patterns alone found {matched}",
            )
        )
    head = ("pack", "rules", "matches/event", "us/event", "patterns alone", "ratio", "")
    print(f"{machine()}\n")
    print(table(head, rows))
    return int(not equal)


if __name__ == "__main__":
    sys.exit(main())
