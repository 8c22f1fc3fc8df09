"""Requests, delays and freshness of reading: everything each time, by the schedule, by plans.

    python -m bench.planning [--rates 1 10 60 300] [--minutes 90] [--groups 100]

The exporter's own sources, schedule, thinning, quotas, planner, rules and ledger on virtual time.
First the event history of one account with the CIS pack: 90 % of the events are read-only, and
each is visible after a delay (median 3 minutes, at times 15 and more). AWS allows two calls a
second. From 100 events a second on, the pack is without CIS 4.1 and 4.3, the rules that
count read-only events too. Then quiet log groups under a quota of five calls a second.

The exit code is 1 if reading by plans is not exact, is throttled after the first minute, or reads
fresh events later than two intervals.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.measuring import table
from bench.simulated_aws import Pages, SimulatedAccount
from bench.simulated_log_groups import CODES, LogGroups
from bench.simulated_trail import ACCOUNT, REGION, Trail, number_of
from bench.simulation import SAMPLED_EVERY, MakeSource, Simulation
from bench.virtual_time import VirtualTime
from exporter.logs import configure_logging
from exporter.model import JudgedEvent
from exporter.planning.plan import READ_EVERYTHING
from exporter.sources import log_groups
from exporter.sources.base import Environment
from exporter.sources.event_history import EventHistory, EventHistoryConfig
from exporter.sources.regional import RegionalConfig

BEGIN = 1_800_000_000.0
INTERVAL, LOOKBACK = 60.0, 1800.0
GROUPS_REGION = "eu-central-1"
GROUPS_INTERVAL = 30.0
MOST_READ_WHOLE = 100.0
"""Events a second above which two calls a second do not return everything once."""
NEED_READS = ["cis_unauthorized_api_calls", "cis_root_usage"]
"""CIS 4.1 and 4.3, which count read-only events too."""
WAYS = ("everything each time", "schedule", "schedule and plan")


class History(EventHistory):
    """Fetches no page ahead: a call is shorter than the time between two tokens."""

    busy_partitions = 0

    def __init__(
        self,
        config: EventHistoryConfig,
        environment: Environment,
        time: VirtualTime,
        *,
        planned: bool,
    ) -> None:
        super().__init__(config, environment, {})
        self._monotonic = time
        if not planned:
            self.plans = lambda patterns: (READ_EVERYTHING,)  # noqa: ARG005


class Groups(log_groups.LogGroups):
    """Log groups on virtual time, without pages that are fetched ahead."""

    busy_partitions = 0

    def __init__(
        self, config: log_groups.LogGroupsConfig, environment: Environment, time: VirtualTime
    ) -> None:
        super().__init__(config, environment, {})
        self._monotonic = time


@dataclass(frozen=True)
class Outcome:
    """What a run has shown."""

    requests_an_hour: float
    scheduled: tuple[int, int]
    """Reads of a slice: the fewest and the most that the schedule had at a time."""
    freshness: Sequence[float]
    """Seconds, of the partition that is furthest behind."""
    throttled: int
    """Calls that AWS refused after the first minute."""
    counted: Counter[str]
    expected: Counter[str]

    @property
    def exact(self) -> bool:
        """Whether every rule has counted what it should."""
        return self.counted == self.expected

    @property
    def counts(self) -> str:
        """For a table."""
        if self.exact:
            return "exact"
        return f"{self.counted.total():,} of {self.expected.total():,}"


def observe(
    account: SimulatedAccount,
    operation: str,
    simulation: Simulation,
    expected: Callable[[Mapping[str, str]], Counter[str]],
    *,
    seconds: float,
    lookback: float,
) -> Outcome:
    """Run for so many seconds, and then until all late events can be found.

    Requests count from when there is a whole lookback to read again.
    """
    simulation.run(BEGIN + lookback)
    calls = account.calls[operation]
    simulation.run(BEGIN + seconds)
    calls = account.calls[operation] - calls
    freshness = [behind for at, behind in simulation.freshness if at > BEGIN + 60]
    reads = simulation.reads[:]
    # The oldest slices are read in turns of a third of the lookback.
    simulation.run(BEGIN + seconds + lookback * 4 / 3 + 10 * INTERVAL)
    return Outcome(
        calls / (seconds - lookback) * 3600,
        (min(reads, default=0), max(reads, default=0)),
        freshness,
        sum(at > BEGIN + 60 for at in account.throttled),
        +simulation.counted,
        expected({rule.name: rule.pattern for rule in simulation.configuration.rules}),
    )


def read_trail(rate: float, way: str, minutes: float) -> tuple[Outcome, Trail, Sequence[float]]:
    """Read an event history; also returns the delays from when AWS shows an event that counts."""
    time, delays = VirtualTime(BEGIN), list[float]()
    trail = Trail(rate, BEGIN + 1, minutes * 60, latest=LOOKBACK - 2 * INTERVAL)
    lookup: Pages = lambda asked: trail.lookup(asked, time)  # noqa: E731
    account = SimulatedAccount(time, ACCOUNT, REGION, {"LookupEvents": lookup})
    pack: dict[str, Any] = {"name": "cis-aws-foundations"}
    if rate >= MOST_READ_WHOLE:
        pack["without"] = NEED_READS
    source = {"name": "history", "type": "event_history", "regions": [REGION]}

    def note(event: JudgedEvent) -> None:
        delays.append(time() - trail.visible[number_of(str(event.event_id))])

    def make(config: RegionalConfig, environment: Environment) -> EventHistory:
        if not isinstance(config, EventHistoryConfig):
            raise TypeError
        return History(config, environment, time, planned=way == WAYS[2])

    with Simulation(
        *(time, account, {"sources": [source], "rule_packs": [pack]}, make),
        on_new=note,
        complete=way == WAYS[0],
    ) as simulation:
        outcome = observe(
            *(account, "LookupEvents", simulation, trail.expected),
            seconds=minutes * 60,
            lookback=LOOKBACK,
        )
    return outcome, trail, delays


def read_groups(groups: int, budget: int, minutes: float) -> Outcome:
    """Read quiet log groups with a share of the quota."""
    time, seconds = VirtualTime(BEGIN), minutes * 60
    made = LogGroups(groups, BEGIN + 1, seconds, apart=60, latest=LOOKBACK - 300)
    operations: Mapping[str, Pages] = {
        "DescribeLogGroups": made.describe,
        "FilterLogEvents": lambda asked: made.filter(asked, time),
    }
    account = SimulatedAccount(time, ACCOUNT, GROUPS_REGION, operations)
    source = {
        **{"name": "apps", "type": "log_groups", "regions": [GROUPS_REGION]},
        **{"log_groups": ["/bench/*"], "lookback": "30m", "budget": f"{budget}%"},
    }
    rules = [
        {"name": f"code_{code}", "pattern": f"{{ $.level = ERROR && $.code = {code} }}"}
        for code in range(CODES)
    ]

    def make(config: RegionalConfig, environment: Environment) -> Groups:
        if not isinstance(config, log_groups.LogGroupsConfig):
            raise TypeError
        return Groups(config, environment, time)

    built: MakeSource = make
    with Simulation(
        *(time, account, {"sources": [source], "rules": rules}, built), on_new=lambda _: None
    ) as simulation:
        return observe(
            *(account, "FilterLogEvents", simulation, made.expected),
            seconds=seconds,
            lookback=LOOKBACK,
        )


HEAD = (
    *("events/s", "reading", "requests/h", "reads an event", "reads of a slice"),
    *("counted after AWS shows it, s: median", "p99", "freshness, s: median", "worst"),
    *("throttled", "counts"),
)
GROUPS_HEAD = (
    *("log groups", "rules", "share of the quota", "requests a group and interval"),
    *("freshness, s: median", "worst", "throttled", "counts"),
)


def row(
    rate: float, way: str, outcome: Outcome, trail: Trail, delays: Sequence[float]
) -> Sequence[object]:
    """A row of the table."""
    late = sorted(delays) or [0.0]
    fewest, most = outcome.scheduled
    return (
        *(f"{rate:g}", way, f"{outcome.requests_an_hour:,.0f}"),
        f"{trail.served / len(trail.times):.1f}",
        ("" if not most else f"{fewest}" if fewest == most else f"{fewest} to {most}"),
        *(f"{statistics.median(late):,.0f}", f"{late[int(len(late) * 0.99)]:,.0f}"),
        *(f"{statistics.median(outcome.freshness):,.0f}", f"{max(outcome.freshness):,.0f}"),
        *(outcome.throttled, outcome.counts),
    )


def groups_row(groups: int, budget: int, outcome: Outcome) -> Sequence[object]:
    """A row of the table of log groups."""
    each = outcome.requests_an_hour / 3600 * GROUPS_INTERVAL / groups
    return (
        *(groups, CODES, f"{budget} %", f"{each:.2f}"),
        *(f"{statistics.median(outcome.freshness):.0f}", f"{max(outcome.freshness):.0f}"),
        *(outcome.throttled, outcome.counts),
    )


def main() -> int:
    """Print the tables."""
    configure_logging("error", "logfmt")
    parser = argparse.ArgumentParser()
    parser.add_argument("--rates", type=float, nargs="*", default=[1, 10, 60, 300])
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--groups", type=int, default=100)
    options = parser.parse_args()
    rows, broken = [], False
    for rate in options.rates:
        for way in WAYS:
            outcome, trail, delays = read_trail(rate, way, options.minutes)
            rows.append(row(rate, way, outcome, trail, delays))
            print(*rows[-1], sep=" | ", file=sys.stderr)
            late = max(outcome.freshness) > 2 * INTERVAL + SAMPLED_EVERY
            broken |= way == WAYS[2] and (not outcome.exact or late or outcome.throttled > 0)
    if rows:
        print(table(HEAD, rows))
    rows = []
    for budget in (100, 50) if options.groups else ():
        outcome = read_groups(options.groups, budget, options.minutes)
        rows.append(groups_row(options.groups, budget, outcome))
        broken |= not outcome.exact or outcome.throttled > 0
    if rows:
        print(table(GROUPS_HEAD, rows))
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
