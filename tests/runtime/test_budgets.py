"""A quota that the reads do not fit into is named once, with what it means and what to do."""

from __future__ import annotations

from dataclasses import replace

import structlog

from exporter.aws.bucket import QuotaState
from exporter.runtime.budgets import Budgets, shortage

FITS = QuotaState(
    "LookupEvents",
    "111122223333",
    "us-east-1",
    limit=2,
    used=0.5,
    needed=0.6,
    fewest=0.2,
    sources=("history",),
    has_budget=False,
)
THINNED = replace(FITS, needed=3.3, fewest=0.7)
SHORT = replace(FITS, operation="FilterLogEvents", limit=2.5, needed=1.4, fewest=1.4)


def test_it_says_what_happens_and_what_to_do() -> None:
    assert shortage(THINNED) == (
        "LookupEvents in account 111122223333, region us-east-1: the scheduled reads need 330% of"
        " the 2 requests a second. Some re-reads are left out: late events are counted later, and"
        " nothing is lost. Read a trail in S3 or an event bus instead, use fewer rules that need"
        " read-only events, or raise `interval`."
    )
    text = shortage(replace(SHORT, has_budget=True))
    assert "140% of the 2.5 requests a second that `budget` allows" in text
    assert "Even the fewest reads need 140%: all partitions are read later" in text
    assert text.endswith("A larger `budget` leaves less to other tools.")


def test_it_is_logged_once_and_again_when_it_fits() -> None:
    states = [FITS]
    budgets = Budgets(lambda: states)
    with structlog.testing.capture_logs() as logs:
        for needed in (0.6, 1.2, 1.5, 0.95, 1.1, 0.8, 0.7):
            states[:] = [replace(FITS, needed=needed)]
            budgets.look()
    assert [log["event"] for log in logs] == [
        "request quota is short",
        "request quota is sufficient again",
    ]
    assert logs[0]["why"] == shortage(replace(FITS, needed=1.2))
    assert logs[0]["region"] == "us-east-1"


def test_the_status_page_has_it_at_the_sources_that_it_concerns() -> None:
    budgets = Budgets(lambda: [FITS, THINNED, replace(SHORT, sources=("apps",))])
    assert budgets.notices("history") == [shortage(THINNED)]
    assert len(budgets.notices("apps")) == 1
    assert budgets.notices("files") == []
