"""Memory of events at size: bytes in the ledger, resident memory, and the cost of looking up.

    python bench/memory.py [events]

The events of 14 days are committed in order, a page at a time; then pages of any time are looked up
and committed once more. CPU time; the look-ups are medians.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from exporter.ledger.base import Batch
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.storage import LEDGER_FILE
from exporter.model import Increment, JudgedEvent, Partition, SeriesKey
from tests.support.counting import load, use

EVENTS = 10_000_000
PAGE = 5_000
LOOKS = 50
DAYS = 14
NOW = 1_790_000_000_000
PARTITION = Partition("trail", "123456789012", "us-east-1")
SERIES = SeriesKey("bench_total", (("account_id", "123456789012"), ("source", "trail")))
ONE = (Increment("r", SERIES, SERIES, 1.0),)
JUDGED = frozenset(["r"])


def page(number: int, step: float) -> list[JudgedEvent]:
    """The events of a page, ``step`` milliseconds apart."""
    first = number * PAGE
    times = [NOW + round((first + n) * step) for n in range(PAGE)]
    return [JudgedEvent(f"{first + n:036}", "", at, at, JUDGED, ONE) for n, at in enumerate(times)]


def resident() -> float:
    """Resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    """Print the table."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    step = DAYS * 86_400_000 / events
    with tempfile.TemporaryDirectory() as folder:
        ledger = SqliteLedger.open(Path(folder), temporary=True)
        load(ledger, {"trail": {"r": use("bench_total", labels=[])}})
        ledger.commit(Batch(PARTITION, "trail", "0", None, page(0, step), "", NOW))
        before, spent, most = resident(), 0.0, 0.0
        for number in range(1, events // PAGE):
            made = page(number, step)
            began = time.process_time()
            ledger.commit(Batch(PARTITION, "trail", "0", "0", made, "", NOW))
            spent += time.process_time() - began
            most = max(most, resident())
        chance = random.Random(1)
        looks, known = [], []
        for _ in range(LOOKS):
            made = page(chance.randrange(events // PAGE), step)
            keys = [(one.scope, one.event_id or "", one.event_time) for one in made]
            began = time.process_time()
            found = ledger.judged("trail", keys)
            looks.append(time.process_time() - began)
            if found != [JUDGED] * PAGE:
                raise SystemExit("an event was forgotten")
            began = time.process_time()
            committed = ledger.commit(Batch(PARTITION, "trail", "0", "0", made, "", NOW))
            known.append(time.process_time() - began)
            if committed.new:
                raise SystemExit("an event counted twice")
            most = max(most, resident())
        ledger.close()
        size = (Path(folder) / LEDGER_FILE).stat().st_size
    print("| events | bytes each | RSS more, MiB | new, µs | looked up, µs | known, µs |")
    print("| --- | --- | --- | --- | --- | --- |")
    each = [1e6 * spent / events, *(1e6 * statistics.median(of) / PAGE for of in (looks, known))]
    print(
        f"| {events:,} | {size / events:.1f} | {most - before:.0f} |"
        f" {' | '.join(f'{one:.2f}' for one in each)} |"
    )


if __name__ == "__main__":
    main()
