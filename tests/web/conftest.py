"""What the tests of the web layer share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.types import ASGIApp

from exporter.metrics.scrapers import Client
from exporter.web import ClientLimits, LiveWebConfig, Server, create_app
from exporter.web.coalescing import Coalescing
from exporter.web.status import (
    LedgerStatus,
    PartitionStatus,
    ReloadStatus,
    RuleStatus,
    SourceStatus,
    StatusPage,
)
from tests.support.certificates import Authority

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def page() -> StatusPage:
    """A status page with one failing partition of three, and one rule."""

    def partition(region: str, **facts: object) -> PartitionStatus:
        return PartitionStatus(
            account_id="111122223333",
            region=region,
            resource="",
            state="failing" if "error" in facts else "ok",
            last_success=NOW - timedelta(seconds=12),
            lag=95.0,
            polls=7,
            events=1234,
            error=str(facts["error"]) if "error" in facts else None,
            next_poll=NOW + timedelta(seconds=48),
            notice=str(facts.get("notice", "")),
        )

    return StatusPage(
        version="1.2.3",
        now=NOW,
        started=NOW - timedelta(hours=3),
        ready=True,
        configuration_files=["/etc/exporter.yml"],
        reload=ReloadStatus(NOW - timedelta(hours=3)),
        ledger=LedgerStatus("/data/ledger.sqlite", 4096),
        sources=[
            SourceStatus(
                "history",
                "event_history",
                60.0,
                1800.0,
                [
                    partition("eu-west-1"),
                    partition("us-east-1"),
                    partition("us-west-2", error="Access denied: allow cloudtrail:LookupEvents."),
                ],
            )
        ],
        rules=[
            RuleStatus(
                name="root_login",
                title="Root sign-in",
                severity="critical",
                pattern='{ $.userIdentity.type = "Root" }',
                metric="aws_root_logins_total",
                sources=["history"],
                matches=1_234_567,
                series=3,
                max_series=1000,
                overflowed=0,
                value_errors=0,
                last_match=NOW - timedelta(minutes=3),
            )
        ],
        api_calls=42,
    )


class Running:
    """A server in a thread of its own."""

    def __init__(
        self, app: ASGIApp, host: str, web_config: LiveWebConfig | None, limits: ClientLimits
    ):
        self.server = Server(app, host, 0, grace=5, web_config=web_config, limits=limits)
        self.port = self.server.port
        scheme = "https" if web_config and web_config.current().context else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop it and wait until every request under way is over."""
        self.server.stop()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the server did not stop"


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """Starts real servers: ``serve(app)`` on loopback, ``serve(app, "")`` everywhere."""
    started: list[Running] = []

    def start(
        app: ASGIApp,
        host: str = "127.0.0.1",
        *,
        web_config: LiveWebConfig | None = None,
        limits: ClientLimits | None = None,
    ) -> Running:
        started.append(Running(app, host, web_config, limits or ClientLimits()))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@dataclass(frozen=True)
class SmallPage:
    """A metrics page."""

    body: bytes = b"up 1\n"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain"})


class SmallMetrics:
    """Metrics that are always the same."""

    def scrape(self, accept: str, accept_encoding: str) -> SmallPage:
        """Return the page."""
        del accept, accept_encoding
        return SmallPage()

    def reveal(self, client: Client) -> None:
        """Reveal nothing."""

    def delivered(self, page: SmallPage, client: Client) -> None:
        """Take no notice."""


@pytest.fixture
def small_app(page: StatusPage) -> ASGIApp:
    """The real application with little in it."""
    return create_app(
        metrics=SmallMetrics(), status=lambda: page, unready=list, reload=Coalescing(list)
    )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Certificates in ``tmp_path/pki``."""
    return Authority(tmp_path / "pki")


@pytest.fixture
def write_web_config(tmp_path: Path) -> Callable[..., Path]:
    """Write ``web.yml``: a text, or sections by name."""

    def write(text: str | None = None, **sections: Any) -> Path:
        path = tmp_path / "web.yml"
        path.write_text(yaml.safe_dump(sections) if text is None else text)
        return path

    return write
