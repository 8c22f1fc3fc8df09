"""What a scrape sees of the committed series; who has to see a new one first: test_born.py."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.ledger.base import LedgerError
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.exposition import Exposition, Page
from exporter.metrics.families import MetricFamily
from exporter.metrics.scrapers import NOBODY, Client
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from tests.support.counting import METRIC, batch, commit, increment, key, load_one, total

HOLD = 60.0
PROMETHEUS = Client("192.0.2.1", 10.0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> SeriesStore:
    return SeriesStore(HOLD, clock)


def shown(store: SeriesStore) -> dict[str, float]:
    """What a scrape that breaks off would have seen, by user."""
    text = "".join(family.text for family in store.render(openmetrics=False).families)
    return {
        sample.labels.get("user", ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == METRIC
    }


def test_a_revealed_series_is_shown_at_once(store: SeriesStore) -> None:
    store.load([total("a", 5.0, revealed=True), total("b", 5.0)])
    assert shown(store) == {"a": 5.0, "b": 0.0}


def test_a_commit_from_before_the_reveal_does_not_hide_it() -> None:
    store = SeriesStore(None)
    store.apply([total("a", 1.0)])
    store.recorded(store.due())
    store.reveal(NOBODY)
    store.apply([total("a", 2.0, revealed=False)])
    assert shown(store) == {"a": 2.0}


def test_what_the_ledger_has_recorded_is_shown_by_no_commit_before_its_scraper_has_seen_it_at_0(
    store: SeriesStore,
) -> None:
    store.apply([total("a", 1.0)])
    store.apply([total("a", 2.0, revealed=True)])
    assert shown(store) == {"a": 0.0}


def test_commits_that_report_in_the_other_order_never_lower_a_series(store: SeriesStore) -> None:
    store.apply([total("a", 1.0, revealed=True)])
    store.apply([total("a", 3.0, revealed=True)])
    store.apply([total("a", 2.0, revealed=True)])
    assert shown(store) == {"a": 3.0}
    # An observation of 0 adds to a histogram's count only.
    for counts in ((1, 0), (2, 0), (1, 0)):
        store.apply([total("h", 1.0, metric="h", buckets=counts, revealed=True)])
    (histogram, _) = store.render(openmetrics=False).families
    assert histogram.text.endswith(
        'h_count{account_id="111122223333",region="us-east-1",source="history",user="h"} 2\n'
    )


def test_without_a_hold_everything_is_due_at_once() -> None:
    store = SeriesStore(None)
    store.apply([total("a", 3.0)])
    assert store.due() == [key("a")]


def test_a_scrape_sees_one_moment_between_two_commits() -> None:
    store = SeriesStore(None)
    users = [f"user-{number}" for number in range(50)]
    store.load(total(user, revealed=True) for user in users)
    stop = threading.Event()

    def commit() -> None:
        for value in itertools.count(1):
            if stop.is_set():
                return
            store.apply([total(user, float(value), revealed=True) for user in users])

    committing = threading.Thread(target=commit)
    committing.start()
    try:
        pages = [shown(store) for _ in range(50)]
    finally:
        stop.set()
        committing.join()
    assert all(len(set(page.values())) == 1 for page in pages)
    assert pages[-1]["user-0"] > 0


@pytest.fixture
def ledger(tmp_path: Path) -> SqliteLedger:
    opened = SqliteLedger.open(tmp_path)
    load_one(opened)
    return opened


def scrape(exposition: Exposition, client: Client = PROMETHEUS) -> Page:
    exposition.record()
    exposition.reveal(client)
    page = exposition.scrape()
    exposition.delivered(page, client)
    return page


def value(page: Page, name: str = METRIC, **labels: str) -> float:
    return next(
        sample.value
        for family in text_string_to_metric_families(page.body.decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_a_first_match_goes_from_zero_to_one_and_stays_over_a_restart(
    ledger: SqliteLedger, clock: Clock, tmp_path: Path
) -> None:
    store = SeriesStore(HOLD, clock)
    exposition = Exposition(store, Telemetry(), ledger)
    store.apply(commit(ledger, batch(increment("root", event_id="1"))).series)
    for clock.now in (0, 30, HOLD - 1):
        assert value(scrape(exposition)) == 0
    clock.now = HOLD
    assert value(scrape(exposition)) == 1
    ledger.close()

    reopened = SqliteLedger.open(tmp_path)
    restarted = SeriesStore(HOLD, clock)
    restarted.load(reopened.series())
    assert value(Exposition(restarted, Telemetry(), reopened).scrape()) == 1
    reopened.close()


def test_where_the_ledger_fails_the_page_is_served_and_nothing_is_revealed(
    ledger: SqliteLedger, clock: Clock
) -> None:
    store = SeriesStore(0.0, clock)
    exposition = Exposition(store, Telemetry(), ledger)
    store.apply(commit(ledger, batch(increment("root", event_id="1"))).series)
    for clock.now in (0, 15):
        scrape(exposition)
    ledger.close()
    clock.now = 30
    page = scrape(exposition)
    assert value(page) == 0
    errors = "metric_filter_exporter_ledger_errors_total"
    assert value(page, errors, operation="reveal") == 1


def test_run_once_shows_values_as_they_are_or_fails(ledger: SqliteLedger) -> None:
    store = SeriesStore(None)
    exposition = Exposition(store, Telemetry(), ledger)
    store.describe([MetricFamily(METRIC, "counter", "Logins.")])
    store.apply(commit(ledger, batch(increment("a", event_id="1"))).series)
    assert value(scrape(exposition, NOBODY)) == 1
    assert [series.revealed for series in ledger.series()] == [True]
    store.apply(commit(ledger, batch(increment("b", event_id="2"))).series)
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        scrape(exposition, NOBODY)
