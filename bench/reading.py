"""The cost of the reading schedule, compared with reading the whole lookback at every poll.

A simulated CloudTrail: events at random times, each visible after a delay (log-normal, median 3
minutes, at most the lookback). Counted are the calls and how often each event is read. Both ways
find every event.

    python bench/reading.py
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from exporter.sources.schedule import Schedule, Window, merge

MINUTE = 60_000
PAGE = 50
RUNS = ((30, 1, 6), (30, 20, 6), (120, 20, 6), (720, 5, 18))
"""Lookback in minutes, events a minute, hours."""


@dataclass
class Outcome:
    """The result of a simulated run."""

    calls: int = 0
    reads: int = 0
    found: int = 0
    worst: float = 0.0
    """The largest age at which an event was found, in units of 2·delay + 2 intervals."""


def simulate(
    events: list[tuple[int, int]],
    polls: range,
    windows_at: Callable[[int], list[Window]],
    interval: int,
) -> Outcome:
    """Poll at each time what ``windows_at`` says, over events of (time, visible at)."""
    outcome = Outcome()
    found: set[int] = set()
    for now in polls:
        for window in windows_at(now):
            hits = [
                n
                for n, (time, visible) in enumerate(events)
                if window.start <= time < window.end and visible <= now
            ]
            outcome.calls += max(1, math.ceil(len(hits) / PAGE))
            outcome.reads += len(hits)
            for n in hits:
                if n not in found:
                    found.add(n)
                    time, visible = events[n]
                    bound = 2 * (visible - time) + 2 * interval
                    outcome.worst = max(outcome.worst, (now - time) / bound)
    outcome.found = len(found)
    return outcome


def compare(
    lookback: int, interval: int, per_minute: float, hours: float
) -> tuple[Outcome, Outcome]:
    """The schedule and the whole lookback over the same events."""
    chance = random.Random(1)
    span = round(hours * 60 * MINUTE)
    events = []
    for _ in range(round(per_minute * hours * 60)):
        time = chance.randrange(span)
        delay = min(chance.lognormvariate(math.log(3 * MINUTE), 0.8), lookback)
        events.append((time, round(time + delay)))
    polls = range(0, span + lookback + 2 * interval, interval)
    schedule = Schedule(interval, lookback, resolution=1000)
    sweep = schedule.begin(0)

    def scheduled(now: int) -> list[Window]:
        nonlocal sweep
        windows = merge(schedule.due(sweep, now), per_minute / MINUTE, PAGE)
        for window in windows:
            sweep = schedule.advance(sweep, window, now)
        return windows

    def whole(now: int) -> list[Window]:
        return [Window(max(0, now - lookback), now)]

    return simulate(events, polls, scheduled, interval), simulate(events, polls, whole, interval)


def main() -> None:
    """Print a row for each lookback and rate."""
    print(
        "| lookback | events/min | calls: schedule / whole (ratio)"
        " | reads an event: schedule / whole (ratio) | found | worst age / bound |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for lookback_minutes, per_minute, hours in (
        (30, 1, 6),
        (30, 20, 6),
        (120, 20, 6),
        (720, 5, 18),
    ):
        ours, whole = compare(lookback_minutes * MINUTE, MINUTE, per_minute, hours)
        events = round(per_minute * hours * 60)
        print(
            f"| {lookback_minutes} min | {per_minute} "
            f"| {ours.calls} / {whole.calls} ({whole.calls / ours.calls:.1f}x) "
            f"| {ours.reads / events:.1f} / {whole.reads / events:.1f}"
            f" ({whole.reads / ours.reads:.1f}x) "
            f"| {ours.found} of {events} | {ours.worst:.2f} |"
        )


if __name__ == "__main__":
    main()
