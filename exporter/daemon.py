"""The process: what ``run`` and ``run --once`` do, from the start to the last commit."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor as SchedulerThreads
from apscheduler.schedulers.background import BackgroundScheduler

from exporter import __version__
from exporter.assembly import Assembler, Assembly
from exporter.configuration import ConfigurationError
from exporter.ledger.base import Ledger, LedgerError
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.storage import LEDGER_FILE
from exporter.metrics.exposition import Exposition
from exporter.metrics.scrapers import NOBODY
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.overview import rule_statuses, source_status
from exporter.settings import Settings
from exporter.watching import Watch
from exporter.web import LiveWebConfig, Server, create_app
from exporter.web.status import LedgerStatus, ReloadStatus, StatusPage

_log = structlog.get_logger(__name__)

_POLLS_AT_ONCE = 32
"""Threads; most wait for AWS or for a quota, not for a core."""
_HARD_END = 0.9
"""Part of --shutdown-timeout after which nothing more is waited for."""


def run(settings: Settings) -> int:
    """Run the exporter until SIGTERM or SIGINT; the exit code.

    Raises LedgerError, ConfigurationError and ListenError where it cannot start.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # until there is more to end
    with _ledger(settings) as ledger:
        daemon = Daemon(settings, ledger)
        daemon.serve()
    _log.info("stopped")
    sys.stdout.flush()
    sys.stderr.flush()
    # A thread may still wait for an answer of AWS; nothing that it does could be committed.
    os._exit(0)


def run_once(settings: Settings) -> int:
    """Read every source once up to now, print the metrics; the exit code: 1 where one failed.

    Raises LedgerError and ConfigurationError where it cannot start.
    """
    with _ledger(settings) as ledger:
        telemetry = Telemetry()
        series = SeriesStore(birth_hold=None, created=settings.metrics_created)
        series.load(ledger.series())
        assembler = Assembler(
            ledger,
            series,
            telemetry,
            scheduler=_scheduler(),  # never started
            stop=threading.Event(),
            complete=True,
        )
        engine = assembler.assemble(settings.config_file).engine
        with ThreadPoolExecutor(_POLLS_AT_ONCE) as pool:
            list(pool.map(engine.discover, engine.sources))
            states = [(source, s) for source in engine.sources for s in engine.states(source.name)]
            list(pool.map(lambda work: engine.poll(work[0], work[1].partition), states))
        exposition = Exposition(series, telemetry, ledger)
        exposition.reveal(NOBODY)
        sys.stdout.buffer.write(exposition.scrape().body)
        sys.stdout.flush()
    failed = any(engine.failures(source.name) for source in engine.sources)
    return int(failed or any(state.error is not None for _, state in states))


class Daemon:
    """The long-running exporter: an engine at work, and a web server."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        """Load the configuration and listen; nothing is read yet.

        Raises ConfigurationError, LedgerError and ListenError.
        """
        self._settings = settings
        self._ledger = ledger
        self._started = datetime.now(UTC)
        self._telemetry = Telemetry()
        self._series = SeriesStore(settings.metrics_birth_hold, created=settings.metrics_created)
        self._series.load(ledger.series())
        self._scheduler = _scheduler()
        self._stopping = threading.Event()
        self._assembler = Assembler(
            ledger, self._series, self._telemetry, scheduler=self._scheduler, stop=self._stopping
        )
        self._reloading = threading.Lock()
        self._ready = False
        self._assembly = self._assemble()
        address = settings.web_listen_address
        self._server = Server(
            create_app(
                metrics=Exposition(self._series, self._telemetry, ledger),
                status=self.status,
                ready=self.ready,
                reload=self.reload if settings.web_enable_lifecycle else None,
                telemetry_path=settings.web_telemetry_path,
            ),
            address.host,
            address.port,
            grace=settings.shutdown_timeout / 2,
            web_config=self._web_config(),
        )

    def serve(self) -> None:
        """Poll and answer until told to stop; then everything is committed or abandoned."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        signal.signal(
            signal.SIGHUP,
            lambda *_: threading.Thread(target=self.reload, name="reload", daemon=True).start(),
        )
        threading.Thread(target=self._end_in_time, name="end", daemon=True).start()
        if self._settings.config_watch:
            watch = Watch(lambda: self._assembler.footprint, self.reload)
            threading.Thread(
                target=watch.run, args=(self._stopping,), name="watch", daemon=True
            ).start()
        self._scheduler.start()
        self._assembly.engine.start()
        _log.info(
            "listening",
            address=f"{self._settings.web_listen_address.host}:{self._server.port}",
            version=__version__,
        )
        self._server.run()
        self.stop()
        self._scheduler.shutdown(wait=False)
        with self._reloading:
            self._assembly.engine.stop()

    def stop(self) -> None:
        """Make ``serve`` return soon; may be called from a signal handler."""
        self._stopping.set()
        self._server.stop()

    def _end_in_time(self) -> None:
        """End the process where a disk or a thread that hangs would keep it."""
        self._stopping.wait()
        time.sleep(self._settings.shutdown_timeout * _HARD_END)
        _log.warning("stopped before all was closed; the ledger stands at its last commit")
        os._exit(0)

    def ready(self) -> bool:
        """Whether each partition has finished its first attempt; once true, it stays true."""
        self._ready = self._ready or self._assembly.engine.attempted
        return self._ready

    def reload(self) -> list[str]:
        """Load the configuration anew; why it could not be, if so: then the old one stays."""
        with self._reloading:
            if self._stopping.is_set():
                return ["The exporter is stopping."]
            try:
                assembly = self._assemble()
            except (ConfigurationError, LedgerError) as error:
                _log.error("reload failed", error=str(error))
                self._telemetry.config_last_reload_successful.set(0)
                self._reload = ReloadStatus(datetime.now(UTC), [str(error)])
                return [str(error)]
            self._assembly.engine.stop()
            self._assembly = assembly
            assembly.engine.start()
        _log.info("reloaded")
        return []

    def _assemble(self) -> Assembly:
        assembly = self._assembler.assemble(self._settings.config_file)
        now = datetime.now(UTC)
        self._reload = ReloadStatus(now)
        self._telemetry.config_last_reload_successful.set(1)
        self._telemetry.config_last_reload_success_timestamp_seconds.set(now.timestamp())
        return assembly

    def _web_config(self) -> LiveWebConfig | None:
        path = self._settings.web_config_file
        loaded = self._telemetry.web_config_last_reload_successful
        return LiveWebConfig(path, on_load=loaded.set) if path else None

    def status(self) -> StatusPage:
        """Everything that the status page shows."""
        configuration, engine = self._assembly.configuration, self._assembly.engine
        path = self._settings.storage_path / LEDGER_FILE
        return StatusPage(
            version=__version__,
            now=datetime.now(UTC),
            started=self._started,
            ready=self.ready(),
            configuration_files=[str(file) for file in self._settings.config_file],
            reload=self._reload,
            ledger=LedgerStatus(str(path), path.stat().st_size if path.exists() else None),
            sources=[source_status(source, engine) for source in configuration.sources],
            rules=rule_statuses(configuration.rules, self._ledger.rule_totals()),
            api_calls=self._telemetry.api_calls(),
        )


@contextmanager
def _ledger(settings: Settings) -> Iterator[Ledger]:
    ledger = SqliteLedger.open(settings.storage_path)
    try:
        yield ledger
    finally:
        ledger.close()


def _scheduler() -> BackgroundScheduler:
    """Each job once at a time; a poll that is due while the last one runs is left out."""
    return BackgroundScheduler(
        executors={"default": SchedulerThreads(_POLLS_AT_ONCE)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone=UTC,
    )
