"""A scrape from the request to the ledger, with the real parts behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.samples import Sample

from exporter.ledger.base import Ledger
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.exposition import Exposition
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import Increment, JudgedEvent, SeriesKey
from exporter.runtime.scheduling import Scheduler
from exporter.web import create_app
from exporter.web.coalescing import Coalescing
from exporter.web.status import StatusPage
from tests.support.counting import batch, load_one
from tests.support.expositions import parse_exposition
from tests.support.http import PLAIN_HTTP
from tests.support.waiting import wait_for

SERIES = SeriesKey("root_logins_total", (("source", "history"), ("user", "root")))
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PLAIN = "text/plain;version=0.0.4"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with one match of one rule."""
    ledger = SqliteLedger.open(tmp_path)
    load_one(ledger, "root", metric=SERIES.metric)
    match = Increment("root", SERIES, SERIES, 1.0)
    event = JudgedEvent("event-1", "", 1000, 1000, frozenset(["root"]), (match,))
    ledger.commit(batch(event))
    yield ledger
    ledger.close()


@pytest.fixture
def running(ledger: Ledger, page: StatusPage, serve: Callable[..., Any]) -> Iterator[Any]:
    """A server whose new series are held until one scrape has seen them at 0."""
    telemetry = Telemetry()
    store = SeriesStore(birth_hold=0)
    store.load(ledger.series())
    exposition = Exposition(store, telemetry, ledger)
    scheduler = Scheduler()
    scheduler.every(0.01, exposition.record, queue="recording")
    scheduler.start()
    app = create_app(metrics=exposition, status=lambda: page, unready=list, reload=Coalescing(list))
    yield serve(app)
    scheduler.stop()


def request(running: Any, method: str = "GET", **headers: str) -> httpx.Response:
    return PLAIN_HTTP.request(method, f"{running.url}/metrics", headers=headers)


def value(answer: httpx.Response) -> float | None:
    return parse_exposition(answer.text).value("root_logins_total", user="root")


def wait_until_shown(running: Any) -> None:
    """Scrape until a scrape after a finished one is answered."""
    wait_for("the total", lambda: value(request(running, Accept=PLAIN)) == 1)


def test_a_series_is_shown_at_its_total_once_a_scrape_has_seen_it_at_zero(
    running: Any, ledger: Ledger
) -> None:
    assert value(request(running, Accept=PLAIN)) == 0
    wait_until_shown(running)
    assert [series.revealed for series in ledger.series()] == [True]


def test_a_head_request_has_seen_no_series(running: Any) -> None:
    request(running, "HEAD", Accept=PLAIN)
    assert value(request(running, Accept=PLAIN)) == 0


def test_the_format_is_the_one_that_the_client_prefers(running: Any) -> None:
    assert request(running).headers["content-type"].startswith("text/plain; version=0.0.4")
    wait_until_shown(running)
    answer = request(running, Accept=f"{OPENMETRICS},text/plain;q=0.5")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    samples: list[Sample] = [
        sample
        for sample in parse_exposition(answer.text, openmetrics=True)
        .families["root_logins"]
        .samples
        if sample.name == "root_logins_total"
    ]
    assert [sample.exemplar.labels for sample in samples if sample.exemplar] == [
        {"event_id": "event-1"}
    ]


def test_it_is_compressed_for_who_accepts_that(running: Any) -> None:
    packed = request(running, **{"Accept-Encoding": "gzip"})
    plain = request(running, **{"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    assert "Accept-Encoding" in packed.headers["vary"]
