"""How detections are measured: scrapes of new series, what fires how long, what is notified."""

from __future__ import annotations

import random
from pathlib import Path

from tests.support.attacks.actors import actor, call, filled
from tests.support.attacks.judged import Fired, firing, notifications
from tests.support.attacks.played import BLOCK, Logged, PlayedExporter, play
from tests.support.attacks.quiet_day import day
from tests.support.attacks.scenarios import scenarios

START = 1_772_409_600
ACCOUNT = "222233334444"


def test_a_new_series_is_zero_in_its_first_scrape_and_counts_in_the_next(tmp_path: Path) -> None:
    text = call(actor("stolen_key"), "cloudtrail:StopLogging", request={"name": "main"})
    event = Logged(START + 90, ACCOUNT, filled(text, START + 90, random.Random(0), ACCOUNT, {}))
    with PlayedExporter(tmp_path, ["cloudtrail-security"]) as exporter:
        (file,) = play(exporter, [event], range(START, START + 300, 60), tmp_path)
    samples = [
        line.rsplit(" ", 2)[1:]
        for line in file.read_text().splitlines()
        if line.startswith("aws_security_trail_tampering_total{")
    ]
    assert samples == [["0", f"{START + 120}"], ["1", f"{START + 180}"], ["1", f"{START + 240}"]]
    assert START // BLOCK * BLOCK == START


def test_an_alert_waits_for_its_time_and_is_kept() -> None:
    assert firing([0, 60, 120], 0, 1800) == [(0, 1980)]
    assert firing([0, 60, 120], 120, 0) == [(120, 180)]
    assert firing([0, 60, 300], 120, 0) == []
    assert firing([0, 300], 0, 600) == [(0, 960)]
    assert firing([0, 3600], 0, 600) == [(0, 660), (3600, 4260)]


def test_an_alert_and_account_notify_again_after_their_end() -> None:
    def fired(account: str, *times: tuple[float, float], alert: str = "A") -> Fired:
        return Fired(alert, "warning", account, {}, times)

    counts = notifications(
        [
            fired("1", (0, 100), (300, 400)),
            fired("1", (50, 200)),  # joins the first
            fired("2", (0, 100)),
            fired("1", (0, 100), alert="B"),
        ]
    )
    assert counts == {("warning", "A"): 3, ("warning", "B"): 1}


def test_a_seed_makes_the_same_day() -> None:
    assert day(ACCOUNT, START, seed=1) == day(ACCOUNT, START, seed=1)


def test_each_scenario_has_a_name_and_an_account_of_its_own() -> None:
    found = scenarios()
    assert len({one.name for one in found}) == len({one.account for one in found}) == len(found)
