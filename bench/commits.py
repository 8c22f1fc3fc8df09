"""CPU time of commits: new matches, known ones, and small batches alone and together.

    python bench/commits.py

The events are lines of a load balancer's log group that four rules match, as the evaluator makes
them: equal increments are one object. Medians of rounds; each round is a new ledger.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from exporter.ledger.base import Batch
from exporter.ledger.sqlite import SqliteLedger
from exporter.model import Increment, JudgedEvent, Partition, SeriesKey
from tests.support.counting import load, use

ROUNDS = 7
PAGES = 20
LINES = 2_000
"""Lines of a page of 1 MB, half a kilobyte each."""
RULES = ("requests", "errors", "seconds", "bytes")
STATUSES = ("200", "301", "404", "500")
FILES = 200
NOW = 1_790_000_000_000
GROUP = Partition("alb", "123456789012", "us-east-1", "/alb")


def increments() -> dict[tuple[str, str], Increment]:
    """One increment for each rule and status."""
    made = {}
    for rule in RULES:
        for status in STATUSES:
            labels = (("account_id", GROUP.account_id), ("region", GROUP.region))
            key = SeriesKey(f"{rule}_total", (*labels, ("source", "alb"), ("status", status)))
            over = SeriesKey(key.metric, (*key.labels[:-1], ("status", "__overflow__")))
            made[rule, status] = Increment(rule, key, over, 1.0)
    return made


def page(number: int, lines: int, rules: tuple[str, ...] = RULES) -> list[JudgedEvent]:
    """The events of a page."""
    made, judged = increments(), frozenset(RULES)
    return [
        JudgedEvent(
            f"{number:020}{line:036}",
            GROUP.key,
            NOW + (number * lines + line) // 3,
            NOW + (number * lines + line) // 3,
            judged,
            tuple(made[rule, STATUSES[line % len(STATUSES)]] for rule in rules),
        )
        for line in range(lines)
    ]


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU time."""
    began = time.process_time()
    work()
    return time.process_time() - began


def opened(folder: Path) -> SqliteLedger:
    """A new ledger that has loaded the rules."""
    ledger = SqliteLedger.open(folder, temporary=True)
    load(ledger, {"alb": {rule: use(f"{rule}_total", labels=["status"]) for rule in RULES}})
    return ledger


def pages() -> tuple[float, float, float]:
    """Microseconds for a new match, a known match, and an event that is only looked up."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = opened(Path(folder))
        batches = [
            Batch(GROUP, "alb", f"{n}", str(n - 1) if n else None, page(n, LINES), "auto", NOW)
            for n in range(PAGES)
        ]
        new = cpu(lambda: [ledger.commit(one) for one in batches])
        again = [
            replace(one, expected=f"{PAGES - 1}", checkpoint=f"{PAGES - 1}") for one in batches
        ]
        known = cpu(lambda: [ledger.commit(one) for one in again])
        keys = [[(e.scope, e.event_id or "", e.event_time) for e in one.events] for one in batches]
        judged = cpu(lambda: [ledger.judged("alb", of) for of in keys])
        ledger.close()
    events = PAGES * LINES
    each = 1e6 / (events * len(RULES))
    return new * each, known * each, judged * 1e6 / events


def files(together: int) -> float:
    """Microseconds for a batch with three matches, of commits of so many."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = opened(Path(folder))
        ledger.commit(Batch(GROUP, "alb", "0", None, page(0, len(STATUSES))))
        batches = []
        for number in range(FILES):
            file = Partition("alb", resource=f"/logs/{number}.json.gz")
            batches.append(Batch(file, "alb", "{}", None, page(number + 1, 3, RULES[:1])))
        groups = [batches[at : at + together] for at in range(0, FILES, together)]
        spent = cpu(lambda: [ledger.commit(*group) for group in groups])
        ledger.close()
    return spent * 1e6 / FILES


def main() -> None:
    """Print the table."""
    rounds = [(*pages(), files(1), files(20)) for _ in range(ROUNDS)]
    names = (
        "new match",
        "known match",
        "look-up of an event",
        "batch of 3 matches",
        "the same, 20 in a commit",
    )
    print("| work | CPU, µs |")
    print("| --- | --- |")
    for name, values in zip(names, zip(*rounds, strict=True), strict=True):
        print(f"| {name} | {statistics.median(values):.2f} |")


if __name__ == "__main__":
    main()
