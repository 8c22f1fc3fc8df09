"""From a configuration to an engine: the stages, put together."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from exporter.aws.quotas import Quotas
from exporter.aws.session import AwsAccount
from exporter.configuration import (
    DEFAULT_METRIC,
    Checked,
    Configuration,
    ConfigurationError,
    Footprint,
    RuleConfig,
    SourceConfig,
    check,
)
from exporter.engine import Engine, Lanes, PartitionLocks
from exporter.ledger.base import Ledger, SeriesRule
from exporter.metrics.families import MetricFamily
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import RuleInfo, SourceInfo, Telemetry
from exporter.pipeline import Pipeline
from exporter.rules import RuleSet
from exporter.sources import build_source
from exporter.sources.base import Listener
from exporter.sources.scopes import scopes

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Assembly:
    """A configuration and the engine that works by it."""

    configuration: Configuration
    engine: Engine
    stopping: threading.Event
    """Ends what its sources wait for."""

    def stop(self) -> None:
        """Commit nothing more; see Engine.stop."""
        self.stopping.set()
        self.engine.stop()


class Assembler:
    """Makes engines of configurations; what outlives a configuration is given once."""

    def __init__(
        self,
        ledger: Ledger,
        series: SeriesStore,
        telemetry: Telemetry,
        *,
        scheduler: BackgroundScheduler,
        complete: bool = False,
    ) -> None:
        """``complete``: each poll reads the whole lookback (see TimelineSource)."""
        self._ledger = ledger
        self._series = series
        self._telemetry = telemetry
        self._scheduler = scheduler
        self._complete = complete
        self._quotas = Quotas()
        self._locks = PartitionLocks()
        self._lanes = Lanes(scheduler)
        self.footprint = Footprint()
        """What the last configuration was read from, whether or not it could be used."""

    def assemble(self, paths: Sequence[Path]) -> Assembly:
        """Load the configuration files and make ready what they describe; nothing is read yet.

        Raises ConfigurationError, which leaves everything as it was, and LedgerError.
        """
        checked = self._check(paths)
        configuration = checked.configuration
        if configuration is None:
            raise ConfigurationError(checked.errors)
        for problem in checked.problems:
            _log.warning("configuration", at=str(problem.location), warning=problem.message)
        now = int(time.time())
        rules = RuleSet(configuration.rules)
        starts = self._ledger.load_rules(
            {
                source.name: {
                    rule.name: _start(source, rule, now) for rule in rules.listening(source.name)
                }
                for source in configuration.sources
            },
            rules=[
                SeriesRule(rule.name, rule.max_series, rule.buckets, rule.metric)
                for rule in configuration.rules
            ],
        )
        own_start = {rule.name for rule in configuration.rules if rule.start is not None}
        listeners = {
            source: {rule: Listener(at, backfill=rule in own_start) for rule, at in of.items()}
            for source, of in starts.items()
        }
        since = self._ledger.load_scopes(
            {source.name: scopes(source) for source in configuration.sources}, now=now * 1000
        )
        stopping = threading.Event()
        account = AwsAccount(quotas=self._quotas, observer=self._telemetry, stop=stopping)
        sources = [
            build_source(source, account, since=since[source.name], complete=self._complete)
            for source in configuration.sources
        ]
        self._telemetry.set_rules(_rule_info(rule) for rule in configuration.rules)
        self._telemetry.set_sources(_source_info(source) for source in configuration.sources)
        self._telemetry.load_totals(self._ledger.rule_totals())
        self._series.describe(_metric_families(configuration.rules))
        pipeline = Pipeline(rules, self._ledger, self._series, self._telemetry, listeners)
        engine = Engine(
            sources,
            pipeline,
            locks=self._locks,
            lanes=self._lanes,
            scheduler=self._scheduler,
        )
        return Assembly(configuration, engine, stopping)

    def _check(self, paths: Sequence[Path]) -> Checked:
        footprint = Footprint()
        try:
            return check(paths, footprint)
        finally:
            self.footprint = footprint


def _start(source: SourceConfig, rule: RuleConfig, now: int) -> int | None:
    """Since when a rule that is new to a source counts, milliseconds; None: everything."""
    back = getattr(source, "start", None)
    if back is None:
        return None
    return round((now - (back if rule.start is None else rule.start)) * 1000)


def _source_info(source: SourceConfig) -> SourceInfo:
    return SourceInfo(source.name, source.interval, getattr(source, "lookback", None))


def _rule_info(rule: RuleConfig) -> RuleInfo:
    return RuleInfo(
        rule.name,
        rule.title,
        rule.severity,
        rule.metric,
        rule.type,
        rule.max_series,
        pack=rule.pack,
        controls=rule.controls_text,
    )


def _metric_families(rules: Sequence[RuleConfig]) -> list[MetricFamily]:
    """The rules' metrics for the page; one that rules share is told of by the last of them."""
    by_default = frozenset(rule.name for rule in rules if rule.uses_default_metric)
    return [
        MetricFamily(
            DEFAULT_METRIC, "counter", "Log events that matched the rule.", rules=by_default
        ),
        *(
            MetricFamily(rule.metric, rule.type, rule.description or rule.title, rule.buckets or ())
            for rule in rules
            if not rule.uses_default_metric
        ),
    ]
