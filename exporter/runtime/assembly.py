"""From a configuration to sources and rules that are ready for the engine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from exporter.aws.accounts import AwsAccounts
from exporter.aws.quotas import Quotas
from exporter.clock import Clock
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
from exporter.exactness import SHARED_MEMORY, first_start
from exporter.ledger.base import Ledger, LoadedRules, RuleUse
from exporter.metrics.families import MetricFamily
from exporter.metrics.rule_info import RuleInfo
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import SourceInfo, Telemetry
from exporter.model import EXCLUDED_METRIC, SourceError
from exporter.rules import RuleSet, definition
from exporter.runtime.engine import Engine
from exporter.runtime.pipeline import Pipeline
from exporter.settings import Settings
from exporter.sources.base import Environment, Source
from exporter.workers import resources
from exporter.workers.pool import Workers
from exporter.workers.process import Setup
from exporter.workers.reading import contents_by

_log = structlog.get_logger(__name__)

_TIME_IS_AWAITED = 3.0
"""Seconds."""
_MOST_NAMED = 10
"""Rules that the HELP of a metric names."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """A configuration with its sources and rules."""

    configuration: Configuration
    sources: Mapping[str, Source]
    """By name. A source that a configuration leaves as it was is the same object as before."""
    read_before: Collection[str]
    """Sources that were read before."""
    rules: RuleSet
    loaded: LoadedRules

    def put_in_force(self, engine: Engine, series: SeriesStore, telemetry: Telemetry) -> None:
        """Let everything work by it."""
        sources, rules = self.configuration.sources, self.configuration.rules
        ended, carried = frozenset(self.loaded.gone), self.loaded.carried
        telemetry.set_sources(
            SourceInfo(s.name, s.interval, _lookback(s), s.feed_name, s.object_outcomes)
            for s in sources
        )
        for source in sources:
            formats = self.configuration.formats_of(source.name)
            telemetry.unrecognized.initialise(source.name, formats)
        telemetry.set_rules(_rule_info(rule) for rule in rules)
        telemetry.thresholds.set(self.configuration.thresholds)
        telemetry.load_totals(self.loaded.totals)
        engine.apply(self.sources, self.rules, ended, carried=carried, read_before=self.read_before)
        series.describe(_metric_families(rules))


class Assembler:
    """Makes sources and rules from configurations."""

    def __init__(
        self,
        ledger: Ledger,
        telemetry: Telemetry,
        clock: Clock,
        *,
        stop: threading.Event,
        workers: Workers | None = None,
        complete: bool = False,
    ) -> None:
        """``workers`` read objects. ``complete``: each poll reads the whole lookback."""
        self._ledger = ledger
        self._clock = clock
        self.quotas = Quotas()
        telemetry.usage.quotas = self.quotas.states
        accounts = AwsAccounts(quotas=self.quotas, observer=telemetry, clock=clock, stop=stop)
        contents = None if workers is None else contents_by(workers, accounts, clock)
        self._environment = Environment(accounts, clock, complete, contents, ledger.checkpoints_of)
        self._built: dict[str, tuple[SourceConfig, Source]] = {}
        self.footprint = Footprint()
        """The files of the last configuration, whether or not it could be used."""

    def read(self, paths: Sequence[Path]) -> Configuration:
        """Read and check the configuration files; nothing changes. Raises ConfigurationError."""
        checked = self._check(paths)
        configuration = checked.configuration
        if configuration is None:
            raise ConfigurationError(checked.errors)
        for problem in checked.problems:
            _log.warning("configuration", at=str(problem.location), warning=problem.message)
        self._learn_the_time(configuration)
        return configuration

    def assemble(self, configuration: Configuration) -> Assembly:
        """Make a configuration's sources and rules, and load the rules into the ledger.

        Nothing may be committed until the assembly is in force (``Pipeline.paused``). Raises
        LedgerError, which leaves everything as it was.
        """
        now = int(self._clock.now() * 1000)
        sources, generation = configuration.sources, _generation(configuration)
        since = self._ledger.load_scopes(
            {source.name: source.parts for source in sources},
            now=now // 1000 * 1000,
            generation=generation,
        )
        built = {
            source.name: (source, self._source(source, since[source.name])) for source in sources
        }
        read_before = frozenset(name for name in built if self._ledger.has_progress(name))
        # The last step that can fail: it may end series.
        loaded = self._ledger.load_rules(
            rule_uses(configuration, read_before, now),
            now=now,
            keep=kept_versions(configuration),
            generation=generation,
            feeds={source.name: source.feed_name for source in sources},
        )
        self._built = built
        return Assembly(
            configuration,
            sources={name: source for name, (_, source) in built.items()},
            read_before=read_before,
            rules=RuleSet(
                loaded.versions,
                configuration.rules,
                feeds=configuration.feeds,
                joined=loaded.joined,
                formats={source.name: configuration.formats_of(source.name) for source in sources},
            ),
            loaded=loaded,
        )

    def _source(self, config: SourceConfig, since: Mapping[str, int]) -> Source:
        before, source = self._built.get(config.name, (None, None))
        if source is not None and before == config:
            return source
        return config.source(self._environment, since)

    def _learn_the_time(self, configuration: Configuration) -> None:
        """Learn AWS's time before storing from when rules and sources count.

        If AWS does not answer soon, the machine's clock is used.
        """
        if self._clock.known:
            return
        regions = [region for source in configuration.sources for region in source.aws_regions]
        if not regions:
            return

        def ask() -> None:
            with suppress(SourceError):  # discovery reports it
                self._environment.accounts.identify([region for region in regions if region])

        asking = threading.Thread(target=ask, name="clock", daemon=True)
        asking.start()
        asking.join(_TIME_IS_AWAITED)

    def _check(self, paths: Sequence[Path]) -> Checked:
        footprint = Footprint()
        try:
            return check(paths, footprint)
        finally:
            self.footprint = footprint


def workers_of(settings: Settings, pipeline: Pipeline) -> Workers:
    """The workers of a process, which are started when they are needed."""
    return Workers(
        settings.workers or resources.workers(),
        rules=lambda: pipeline.rules,
        observer=pipeline.telemetry,
        clock=pipeline.clock,
        setup=Setup(settings.log_level, settings.log_format),
    )


def rule_uses(
    configuration: Configuration, read_before: Collection[str], now: int
) -> dict[str, dict[str, RuleUse]]:
    """A configuration's rules by source, for the ledger; ``now``: milliseconds."""
    return {
        source.name: {
            rule.name: _use(source, rule, now, read_before=source.name in read_before)
            for rule in configuration.rules_of(source.name)
        }
        for source in configuration.sources
    }


def kept_versions(configuration: Configuration) -> dict[str, int]:
    """By source, milliseconds for which an earlier version of a rule is kept."""
    feeds = configuration.feeds
    return {
        source.name: max(
            round((_lookback(source) or 0) * 1000),
            SHARED_MEMORY if feeds[source.name].is_shared else 0,
        )
        for source in configuration.sources
    }


def _use(source: SourceConfig, rule: RuleConfig, now: int, *, read_before: bool) -> RuleUse:
    start, own = getattr(source, "start", None), rule.start
    return RuleUse(
        start=first_start(
            source=None if start is None else round(start * 1000),
            own=None if own is None else round(own * 1000),
            read_before=read_before,
            now=now,
        ),
        own_start=own is not None,
        definition=definition(rule),
        max_series=rule.max_series,
    )


def _generation(configuration: Configuration) -> str:
    """A digest of a configuration's sources and rules."""
    parts = [source.model_dump_json() for source in configuration.sources]
    parts += [
        f"{rule.name} {rule.sources} {rule.start} {rule.max_series} {definition(rule)}"
        for rule in configuration.rules
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _lookback(source: SourceConfig) -> float | None:
    return getattr(source, "lookback", None)


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
    """The rules' metrics for the page."""
    of_metric: dict[str, list[RuleConfig]] = {DEFAULT_METRIC: []}
    for rule in rules:
        of_metric.setdefault(rule.metric, []).append(rule)
    by_default = frozenset(rule.name for rule in of_metric.pop(DEFAULT_METRIC))
    text = "Log events that matched the rule."
    families = [MetricFamily(DEFAULT_METRIC, "counter", text, rules=by_default)]
    excluding = frozenset(rule.name for rule in rules if rule.exclude)
    if excluding:
        text = "Matches that the rule's `exclude` left out."
        families.append(MetricFamily(EXCLUDED_METRIC, "counter", text, rules=excluding))
    families += [
        MetricFamily(metric, alike[0].type, _help(alike), alike[0].buckets or ())
        for metric, alike in of_metric.items()
    ]
    return families


def _help(rules: Sequence[RuleConfig]) -> str:
    """HELP of a metric of these rules."""
    given = next((rule.metric_help for rule in rules if rule.metric_help), "")
    if given:
        return given
    if len(rules) == 1:
        return rules[0].description or rules[0].title
    names = ", ".join(rule.name for rule in rules[:_MOST_NAMED])
    others = f" and {len(rules) - _MOST_NAMED} more" if len(rules) > _MOST_NAMED else ""
    return f"Counted by the rules {names}{others}."
