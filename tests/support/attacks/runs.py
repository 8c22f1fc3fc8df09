"""The attacks, a session of root and the quiet day, each played and judged as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

from exporter.configuration.packs import available_packs
from tests.support.alerting import ALERTS
from tests.support.attacks.judged import STEP, Fired, Judge
from tests.support.attacks.played import BLOCK, Logged, PlayedExporter, play
from tests.support.attacks.quiet_day import DAY, busiest, day
from tests.support.attacks.root_session import root_session
from tests.support.attacks.scenarios import Scenario
from tests.support.tools import PrometheusBinaries

START: Final = 1_772_409_600
"""2026-03-02, midnight."""
ANY_DAY: Final = "200000000001"
FIRST_DAY: Final = "200000000002"
ROOT: Final = "200000000003"
MOST_WARNINGS: Final = 5
"""Notifications of severity warning that a quiet day may have."""
MOST_OF_ROOT: Final = 3
"""Series of alerts that a session as root may have."""
_HISTORY_DAYS: Final = 14
_WARM_UP: Final = 600
_HOUR: Final = 3600
_ALERTS_OF: Final = ("cis-", "cloudtrail-", "aws-findings", "eks-audit")


def packs() -> list[str]:
    """The packs of detections."""
    return [name for name in available_packs() if name.startswith(_ALERTS_OF)]


def rule_files() -> list[Path]:
    """Their alerts."""
    return [ALERTS / f"{pack}.yaml" for pack in packs()]


@dataclass
class Outcome:
    """What came of a run."""

    fired: list[Fired]
    matched: dict[str, set[str]] = field(default_factory=dict)
    """The rules that matched, by account."""

    def loud(self, account: str) -> set[str]:
        """The alerts of an account that are warnings or critical."""
        return {one.alert for one in self.of(account) if one.severity != "info"}

    def of(self, account: str) -> list[Fired]:
        """The series of alerts of an account."""
        return [one for one in self.fired if one.account == account]


def short_run(binaries: PrometheusBinaries, folder: Path, scenarios: Sequence[Scenario]) -> Outcome:
    """Scenarios, a session as root and the busiest hour of the quiet day, in an account each.

    What the hour has also happened 14 days and a day before.
    """
    start, before = START + _WARM_UP, (START - 14 * DAY - BLOCK, START - DAY)
    events = [event for one in scenarios for event in one.events(start)]
    events += root_session(ROOT, start)
    events += busiest(ANY_DAY, start, seconds=_HOUR)
    for at in before:
        events += busiest(ANY_DAY, at, seconds=_HOUR, is_past=True)
    scrapes = [at + 600 * n for at in before for n in range(12)]
    return _run(binaries, folder, sorted(events), [*scrapes, *range(START, START + BLOCK, STEP)])


def quiet_run(binaries: PrometheusBinaries, folder: Path, *, seed: int) -> Outcome:
    """The quiet day in an account with 14 days of history and in one without."""
    events = list(
        chain.from_iterable(
            day(ANY_DAY, START - n * DAY, seed=seed + n, is_past=True)
            for n in range(_HISTORY_DAYS, 0, -1)
        )
    )
    today = day(ANY_DAY, START, seed=seed)
    events += today
    events += [
        one._replace(account=FIRST_DAY, message=one.message.replace(ANY_DAY, FIRST_DAY))
        for one in today
    ]
    # What alerts compare with: the day before, the same hours a week and 14 days ago.
    watched = [range(START - n * DAY - BLOCK, START - (n - 1) * DAY, 300) for n in (7, 1)]
    past = chain(
        range(START - _HISTORY_DAYS * DAY, START, 6 * 3600),
        range(START - _HISTORY_DAYS * DAY - BLOCK, START - (_HISTORY_DAYS - 1) * DAY, 1800),
        *watched,
    )
    scrapes = [*sorted(set(past)), *range(START, START + DAY, STEP)]
    return _run(binaries, folder, sorted(events), scrapes, recorded=watched)


def _run(
    binaries: PrometheusBinaries,
    folder: Path,
    events: Sequence[Logged],
    scrapes: Sequence[int],
    *,
    recorded: Sequence[range] = (),
) -> Outcome:
    with PlayedExporter(folder, packs()) as exporter:
        files = play(exporter, events, scrapes, folder)
    judge = Judge(binaries, folder / "prometheus", files)
    fired = judge.fired(rule_files(), START, scrapes[-1], recorded=recorded)
    return Outcome(fired, exporter.matched)
