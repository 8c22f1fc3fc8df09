"""The process of ``run``, from the start to the last commit."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from contextlib import closing
from datetime import UTC, datetime

import structlog

from exporter import __version__
from exporter.clock import Clock
from exporter.configuration import Configuration, ConfigurationError
from exporter.ledger.base import Ledger, LedgerError
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.exposition import Exposition
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.runtime.assembly import Assembler, Assembly, workers_of
from exporter.runtime.budgets import Budgets
from exporter.runtime.changes import loses_most_rules, summary
from exporter.runtime.collecting import LongLived
from exporter.runtime.engine import Engine
from exporter.runtime.migrating import answering
from exporter.runtime.pipeline import Pipeline
from exporter.runtime.scheduling import Scheduler
from exporter.runtime.status import ledger_status, match_statuses, rule_statuses, source_status
from exporter.runtime.watching import Watch
from exporter.settings import Settings
from exporter.web import LiveWebConfig, Server, create_app
from exporter.web.coalescing import Coalescing
from exporter.web.status import MatchStatus, ReloadStatus, StatusPage

_log = structlog.get_logger(__name__)

_SWITCH_INTERVAL = 0.0005
"""Seconds after which a busy thread lets another one have the interpreter: with eight of them and
Python's 5 ms, an answer of the web server would take 40 ms a turn."""
_BETWEEN_RELOADS = 1.0
"""Seconds, so reloads in a loop leave time for reading."""
_LOOK_EVERY = 5.0
_BUDGETS_EVERY = 60.0
_REVEAL_EVERY = 0.25
"""Seconds: at most half the interval of a scraper, so that each new series is shown as early as
all have seen it at 0."""
_HARD_END = 0.9
"""Part of --shutdown-timeout after which nothing more is waited for."""


def run_daemon(settings: Settings) -> int:
    """Run the exporter until SIGTERM or SIGINT; the exit code.

    Raises LedgerError, ConfigurationError and ListenError if it cannot start.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # until there is more to end
    sys.setswitchinterval(_SWITCH_INTERVAL)
    with answering(settings):
        opened = SqliteLedger.open(settings.storage_path)
    with closing(opened) as ledger:
        daemon = Daemon(settings, ledger)
        daemon.serve()
    _log.info("stopped")
    sys.stdout.flush()
    sys.stderr.flush()
    # A thread may still wait for an answer of AWS; nothing that it does could be committed.
    os._exit(0)


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
        self._telemetry.watch_ledger(ledger)
        self._series = SeriesStore(settings.metrics_birth_hold, created=settings.metrics_created)
        loaded = self._series.load(ledger.series())
        _log.info("ledger opened", path=ledger.condition().location, series=loaded)
        self._clock = Clock()
        self._scheduler = Scheduler()
        self._pipeline = Pipeline(ledger, self._series, self._telemetry, self._clock)
        self._engine = Engine(self._pipeline, self._scheduler)
        self._long_lived = LongLived(lambda: self._engine.partitions)
        self._stopping = threading.Event()
        self._workers = workers_of(settings, self._pipeline)
        self._assembler = Assembler(
            ledger,
            self._telemetry,
            self._clock,
            stop=self._stopping,
            workers=self._workers,
        )
        self._budgets = Budgets(self._assembler.quotas.states)
        self._exposition = Exposition(self._series, self._telemetry, ledger)
        self._reloading = threading.Lock()
        self._reloads = Coalescing(self.reload, pause=_BETWEEN_RELOADS)
        self._ready = False
        self._assembly: Assembly | None = None
        self._load()
        address = settings.web_listen_address
        self._server = Server(
            create_app(
                metrics=self._exposition,
                status=self.status,
                matches=self.matches,
                unready=self.unready,
                reload=self._reloads if settings.web_enable_lifecycle else None,
                telemetry_path=settings.web_telemetry_path,
            ),
            address.host,
            address.port,
            grace=settings.shutdown_timeout / 2,
            web_config=self._web_config(),
        )

    def serve(self) -> None:
        """Poll and serve until ``stop``; then everything is committed or abandoned."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        signal.signal(
            signal.SIGHUP,
            lambda *_: threading.Thread(
                target=self._reloads.submit, name="reload", daemon=True
            ).start(),
        )
        threading.Thread(target=self._end_in_time, name="end", daemon=True).start()
        if self._settings.config_watch:
            watch = Watch(
                lambda: self._assembler.footprint, lambda: self._reloads.submit().result()
            )
            threading.Thread(
                target=watch.run, args=(self._stopping,), name="watch", daemon=True
            ).start()
        self._scheduler.every(_LOOK_EVERY, self._long_lived.look, queue="long-lived objects")
        self._scheduler.every(_BUDGETS_EVERY, self._budgets.look, queue="budgets")
        self._scheduler.every(_REVEAL_EVERY, self._exposition.record, queue="revealing")
        self._scheduler.start()
        _log.info(
            "listening",
            address=f"{self._settings.web_listen_address.host}:{self._server.port}",
            version=__version__,
        )
        self._server.run()
        self.stop()
        self._scheduler.stop()
        self._workers.close()
        self._workers.clean_up()
        with self._reloading:
            self._engine.stop()

    def stop(self) -> None:
        """Make ``serve`` return soon; may be called from a signal handler."""
        self._stopping.set()
        self._server.stop()

    def _end_in_time(self) -> None:
        """End the process even if a disk or a thread hangs."""
        self._stopping.wait()
        time.sleep(self._settings.shutdown_timeout * _HARD_END)
        _log.warning("stopped before everything was closed; the ledger is at its last commit")
        os._exit(0)

    def unready(self) -> list[str]:
        """The sources that were not read yet, and why; empty once all were read."""
        if self._ready:
            return []
        reasons = self._engine.unready()
        self._ready = not reasons
        return reasons

    def reload(self) -> list[str]:
        """Load the configuration again; the errors, if any, and then the old one stays."""
        with self._reloading:
            if self._stopping.is_set():
                return ["The exporter is stopping."]
            try:
                self._load()
            except (ConfigurationError, LedgerError) as error:
                _log.error("reload failed", error=str(error))
                return self._refused(str(error))
            except Exception as error:
                # Its message may contain a part of a file.
                frames = "".join(traceback.format_tb(error.__traceback__))
                sentence = (
                    f"The configuration could not be loaded: internal error"
                    f" ({type(error).__name__}); the log has the frames, please report it. The"
                    " configuration before stays in force."
                )
                _log.error("reload failed", error=sentence, frames=frames)
                return self._refused(sentence)
        return []

    def _refused(self, sentence: str) -> list[str]:
        self._telemetry.config_last_reload_successful.set(0)
        self._reload = ReloadStatus(datetime.now(UTC), [sentence])
        return [sentence]

    def _load(self) -> None:
        before = self._assembly
        configuration = self._assembler.read(self._settings.config_file)
        with self._pipeline.paused():
            assembly = self._assembler.assemble(configuration)
            try:
                assembly.put_in_force(self._engine, self._series, self._telemetry)
            except Exception:
                self._series.end(assembly.loaded.gone, assembly.loaded.carried)
                if before is not None:
                    self._assembly = self._assembler.assemble(before.configuration)
                    self._assembly.put_in_force(self._engine, self._series, self._telemetry)
                raise
        self._assembly = assembly
        self._pipeline.recent.keep({rule.name for rule in assembly.configuration.rules})
        old, new = before.configuration if before else None, assembly.configuration
        _log.info("configuration loaded" if old is None else "reloaded", **summary(old, new))
        if loses_most_rules(old, new):
            _log.warning(
                "more than half of the rules are gone; if that is not intended, a file was cut"
                " short or replaced",
                files=", ".join(str(file) for file in new.files),
            )
        now = datetime.now(UTC)
        self._reload = ReloadStatus(now)
        self._telemetry.config_last_reload_successful.set(1)
        self._telemetry.config_last_reload_success_timestamp_seconds.set(now.timestamp())
        self._long_lived.freeze()

    def _web_config(self) -> LiveWebConfig | None:
        path = self._settings.web_config_file
        loaded = self._telemetry.web_config_last_reload_successful
        return LiveWebConfig(path, on_load=loaded.set) if path else None

    def status(self) -> StatusPage:
        """Everything that the status page shows."""
        engine, clock = self._engine, self._clock
        configuration = self._assembly.configuration if self._assembly else Configuration((), ())
        return StatusPage(
            version=__version__,
            now=datetime.now(UTC),
            started=self._started,
            ready=not self.unready(),
            configuration_files=[str(file) for file in self._settings.config_file],
            reload=self._reload,
            ledger=ledger_status(self._ledger.condition()),
            sources=[
                source_status(source, engine, clock, self._notices(source.name))
                for source in configuration.sources
            ],
            rules=rule_statuses(configuration.rules, self._telemetry.rule_totals()),
            api_calls=self._telemetry.api_calls(),
        )

    def _notices(self, source: str) -> list[str]:
        return [*self._budgets.notices(source), *self._telemetry.unrecognized.notices(source)]

    def matches(self, rule: str) -> list[MatchStatus]:
        """The last matches of a rule, the latest first."""
        return match_statuses(rule, self._pipeline.recent, self._ledger)
