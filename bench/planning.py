"""Requests, delays and freshness of reading: everything each time, by the schedule, by plans.

    python -m bench.planning [--rates 1 10 60 300] [--minutes 90]

The exporter's own source, schedule, thinning, quotas, planner, rules and ledger read a simulated
CloudTrail on virtual time: 90 % of its events are read-only, and each shows after a delay (median
3 minutes, at times 15 and more). AWS allows two calls a second. Then 100 quiet log groups are read
under a quota of five. The exit code is 1 if a count is not exact where it has to be.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.measuring import table
from bench.simulated_aws import SimulatedAccount
from bench.simulated_trail import ACCOUNT, REGION, Trail, number_of
from bench.simulation import Simulation
from bench.virtual_time import VirtualTime
from exporter.logs import configure_logging
from exporter.model import JudgedEvent
from exporter.sources.base import Environment
from exporter.sources.event_history import EventHistory, EventHistoryConfig
from exporter.sources.regional import RegionalConfig

BEGIN = 1_800_000_000.0
INTERVAL, LOOKBACK = 60.0, 1800.0
_WARM = LOOKBACK
"""Seconds before requests are counted: until then there is less than a lookback to read again."""
DENIED = "cis_unauthorized_api_calls"
"""CIS 4.1, the only rule of the pack that needs the read-only events of everyone."""
WAYS = ("everything each time", "schedule", "schedule and plan")


class History(EventHistory):
    """Fetches no page ahead: calls are shorter than the time between two tokens."""

    busy_partitions = 0

    def __init__(
        self, config: EventHistoryConfig, environment: Environment, time: VirtualTime
    ) -> None:
        super().__init__(config, environment, {})
        self._monotonic = time


class EverythingHistory(History):
    """The same without plans."""


@dataclass(frozen=True)
class Outcome:
    """What a run has shown."""

    requests_an_hour: float
    reads: float
    """Of an event."""
    scheduled: tuple[int, int]
    """Re-reads of a slice: the fewest and the most that the schedule had at a time."""
    delays: Sequence[float]
    """Seconds from when AWS shows an event that counts until it is counted."""
    freshness: Sequence[float]
    throttled: int
    """Calls that AWS refused after the first minute."""
    counted: int
    expected: int
    exact: bool


def read_trail(rate: float, way: str, without: Sequence[str], minutes: float) -> Outcome:
    """Read the events of some minutes, and then until all are found."""
    time = VirtualTime(BEGIN)
    trail = Trail(rate, BEGIN + 1, minutes * 60, latest=LOOKBACK - 2 * INTERVAL)
    account = SimulatedAccount(
        time, ACCOUNT, REGION, {"LookupEvents": lambda asked: trail.lookup(asked, time)}
    )
    pack = {"name": "cis-aws-foundations", **({"without": list(without)} if without else {})}
    source = {"name": "history", "type": "event_history", "regions": [REGION]}
    delays: list[float] = []

    def note(event: JudgedEvent) -> None:
        delays.append(time() - trail.visible[number_of(str(event.event_id))])

    def make(config: RegionalConfig, environment: Environment, time: VirtualTime) -> EventHistory:
        if not isinstance(config, EventHistoryConfig):
            raise TypeError
        made = History if way == WAYS[2] else EverythingHistory
        return made(config, environment, time)

    with Simulation(
        time,
        account,
        {"sources": [source], "rule_packs": [pack]},
        make,
        on_new=note,
        complete=way == WAYS[0],
    ) as simulation:
        end = BEGIN + minutes * 60
        simulation.run(BEGIN + _WARM)
        calls = account.calls["LookupEvents"]
        simulation.run(end)
        calls = account.calls["LookupEvents"] - calls
        freshness = [behind for at, behind in simulation.freshness if at > BEGIN + 60]
        reads = simulation.reads[:]
        simulation.run(end + LOOKBACK + 3 * INTERVAL)
        rules = {rule.name: rule.pattern for rule in simulation.configuration.rules}
        expected, counted = trail.expected(rules), +simulation.counted
    return Outcome(
        calls / (minutes * 60 - _WARM) * 3600,
        trail.served / len(trail.times),
        (min(reads), max(reads)),
        delays,
        freshness,
        sum(at > BEGIN + 60 for at in account.throttled),
        counted.total(),
        expected.total(),
        counted == expected,
    )


HEAD = (
    *("events/s", "reading", "requests/h", "reads an event", "re-reads of a slice"),
    *("counted after AWS shows it, s: median", "p99", "freshness, s: median", "worst"),
    *("throttled", "counts"),
)


def row(rate: float, way: str, outcome: Outcome) -> Sequence[object]:
    """A row of the table."""
    delays = sorted(outcome.delays) or [0.0]
    fewest, most = outcome.scheduled
    exact = "exact" if outcome.exact else f"{outcome.counted:,} of {outcome.expected:,}"
    return (
        *(f"{rate:g}", way, f"{outcome.requests_an_hour:,.0f}", f"{outcome.reads:.1f}"),
        f"{fewest}" if fewest == most else f"{fewest} to {most}",
        f"{statistics.median(delays):.0f}",
        f"{delays[int(len(delays) * 0.99)]:.0f}",
        f"{statistics.median(outcome.freshness):.0f}",
        f"{max(outcome.freshness):.0f}",
        *(outcome.throttled, exact),
    )


def main() -> int:
    """Print the tables."""
    configure_logging("error", "logfmt")
    parser = argparse.ArgumentParser()
    parser.add_argument("--rates", type=float, nargs="*", default=[1, 10, 60, 300])
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--ways", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    rows = []
    failed = False
    for rate in options.rates:
        for number in options.ways:
            way = WAYS[number]
            outcome = read_trail(rate, way, (), options.minutes)
            rows.append(row(rate, way, outcome))
            print(rows[-1], file=sys.stderr)
    print(table(HEAD, rows))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
