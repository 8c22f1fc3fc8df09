"""A round: the exporter goes through troubles, and at its end every event is counted once."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from metric_filter_demo.faults import Faults
from tests.support.chaos.configuration import (
    ACCOUNTS,
    GROUPS,
    LOG_REGION,
    LOOKBACK,
    write_configuration,
)
from tests.support.chaos.credentials import Credentials
from tests.support.chaos.scraper import Scraper, counted, differences
from tests.support.chaos.traffic import Counts, Traffic
from tests.support.chaos.troubles import TROUBLES, Scene, Trouble, account_switched
from tests.support.iam import RecordingAws, denied, policy_for
from tests.support.processes import Exporter
from tests.support.waiting import wait_for
from tests.support.wall_clock import WallClock

USUAL = Faults(
    throttle=0.08,
    error=0.05,
    drop=0.02,
    empty_page=0.2,
    page_size=(1, 20),
    duplicate=0.1,
    operations=["LookupEvents", "FilterLogEvents", "DescribeLogGroups"],
)
UNUSUAL: tuple[Mapping[str, Any], ...] = (
    {"hollow": 0.15},
    {"odd": 0.2},
    {"endless": 0.05},
    {"gzip": 0.5},
    {"drip": 0.01},
    {"refuse": 0.1},
    {"slow": (0.0, 0.5)},
)
"""What comes beside the usual faults: one or two of these at a time."""
QUICK = tuple(faults for faults in UNUSUAL if "drip" not in faults)
"""Without answers that hold a call for as long as its deadline allows."""
SETTLES_WITHIN = 60.0
"""Seconds after the last trouble, and the last call under way, within which all is counted."""
CALL_ENDS_WITHIN = 60.0
"""Seconds: the exporter's deadline for a call whose answer drips."""


def deal(seed: int, troubles: Sequence[Trouble] = TROUBLES) -> list[Trouble]:
    """All the troubles in an order of the seed's."""
    return random.Random(seed).sample(troubles, len(troubles))


def run_round(
    folder: Path,
    *,
    seed: int,
    troubles: Sequence[Trouble],
    pause: tuple[float, float] = (1, 6),
    unusual: Sequence[Mapping[str, Any]] = UNUSUAL,
) -> int:
    """Run the exporter through troubles, ``pause`` seconds before each; the number of events made.

    ``unusual``: fields of Faults, one or two of which come beside the usual faults.

    AssertionError where, at the end, an event was not counted or counted twice, or where on the
    way a series went down, vanished, or was first scraped at anything but 0, or where the exporter
    called what ``iam-policy`` does not allow.
    """
    configuration, storage = folder / "exporter.yaml", folder / "data"
    write_configuration(configuration)
    chance = random.Random(seed)
    accounts = ACCOUNTS if account_switched in troubles else ACCOUNTS[:1]
    quotas = {"LookupEvents": math.inf, "FilterLogEvents": math.inf}
    with RecordingAws(quotas=quotas) as aws:
        for account in ACCOUNTS:
            for group in GROUPS:
                aws.log_group_create(LOG_REGION, group, account)
        clock, credentials = WallClock(folder), Credentials(aws, folder)
        exporter = Exporter(
            configuration,
            storage,
            arguments=("--metrics.birth-hold=1s",),
            environment=credentials.environment(),
            wall_clock=clock,
        )
        scene = Scene(exporter, aws, clock, credentials, configuration, storage, chance)
        with exporter:
            exporter.wait_until_ready()
            traffic = Traffic(aws, seed, accounts=accounts, lookalikes=True)
            scraper = Scraper(exporter)
            traffic.start()
            scraper.start()
            for trouble in troubles:
                aws.faults = _faults(chance, unusual)
                scene.pause(*pause)
                trouble(scene)
            expected = traffic.stop()
            aws.faults = Faults()
            settle(
                exporter,
                expected,
                within=CALL_ENDS_WITHIN + SETTLES_WITHIN,
                accounts=accounts,
                credentials=credentials,
            )
            assert scraper.stop() == []
            assert scraper.scrapes > len(troubles)
        forbidden = aws.requests
        for account in accounts:
            forbidden = set(denied(policy_for(configuration, account), forbidden))
        assert forbidden == set()
    return traffic.made


def _faults(chance: random.Random, unusual: Sequence[Mapping[str, Any]]) -> Faults:
    faults = replace(USUAL, seed=chance.randrange(2**31))
    for fields in chance.sample(unusual, chance.choice([1, 2])):
        faults = replace(faults, **fields)
    return faults


def settle(
    exporter: Exporter,
    expected: Counts,
    *,
    within: float = SETTLES_WITHIN,
    lookback: int = LOOKBACK,
    accounts: Sequence[str] = ACCOUNTS[:1],
    credentials: Credentials | None = None,
) -> None:
    """Wait until every event is counted, account by account, and see that none comes twice."""
    for account in reversed(accounts):
        if credentials is not None:
            credentials.use(account)
        of_account = Counter({key: n for key, n in expected.items() if key[1] == account})
        wait_until_exact(exporter, of_account, account=account, within=within)
    # Every slice is read once more at the age of the lookback.
    end = time.monotonic() + lookback + 3
    wait_for("the last sweep", lambda: time.monotonic() > end, timeout=lookback + 5)
    assert differences(counted(exporter.scrape()), expected) == {}


def wait_until_exact(exporter: Exporter, expected: Counts, *, account: str, within: float) -> None:
    """Wait until an account's events are counted; AssertionError with what differs.

    The differences are by metric, account and label: ``counted/expected``.
    """

    def is_exact() -> bool:
        counts = counted(exporter.scrape())
        of_account = Counter({key: n for key, n in counts.items() if key[1] == account})
        wrong = differences(of_account, expected)
        assert wrong == {}, wrong
        return True

    try:
        wait_for(f"every event of {account} to be counted", is_exact, timeout=within)
    except AssertionError as error:
        raise AssertionError(f"{error}; counted/expected: {error.__cause__}") from None
