"""The exporter's own metrics."""

from __future__ import annotations

import math
import platform
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import prometheus_client
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)

from exporter import __version__
from exporter.ledger.base import Committed, Ledger, RuleChange, RuleTotal
from exporter.metrics.accounts import AccountInfos
from exporter.metrics.by_source import BySource
from exporter.metrics.families import MetricFamily
from exporter.metrics.forwarding import Forwarding
from exporter.metrics.partitions import PartitionMetrics
from exporter.metrics.rule_info import RuleInfo, RuleInfos, Thresholds
from exporter.metrics.tables import Child, LabelledMetric, Tables
from exporter.metrics.unrecognized import UnrecognizedLines
from exporter.metrics.usage import Usage
from exporter.model import Partition
from exporter.sources.base import QueueState

T = TypeVar("T", bound=Tables)

PREFIX: Final = "metric_filter_exporter_"

LEDGER_OPERATIONS: Final = ("commit", "declare", "reveal", "forget")

_BY_SOURCE: Final = ("source", "feed")
_API: Final = ("service", "operation", "account_id", "region")
_ARRIVAL_BUCKETS: Final = (
    *(1, 5, 15, 30, 60, 120, 180, 300, 600, 900, 1800),
    *(3600, 2 * 3600, 4 * 3600, 8 * 3600, 24 * 3600),
)
_POLL_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_COMMIT_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source's times, in seconds: alerts measure delays by them."""

    source: str
    interval: float
    lookback: float | None
    """None if the source has no lookback."""
    feed: str = ""
    """By default, the source's name."""
    object_outcomes: Sequence[str] = ()
    """How its reading of an object can end."""


class Telemetry:
    """The exporter's own metrics, in a separate registry; thread-safe.

    Each attribute is a metric of prometheus_client, or, if it may have many label sets, a
    ``LabelledMetric``, which is used in the same way: ``telemetry.matches.labels(…).inc()``.
    ``read`` has the metrics of partitions.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        """All metrics, as prometheus_client reads them."""
        self.library = CollectorRegistry()
        """The metrics that prometheus_client renders."""
        self.tables: list[Tables] = []
        """The other ones."""
        self.registry.register(Forwarding(self.library))
        ProcessCollector(registry=self.library)
        PlatformCollector(registry=self.library)
        GCCollector(registry=self.library)
        self._lock = threading.Lock()
        self._totals: dict[tuple[str, str], RuleTotal] = {}
        self._counted: set[tuple[str, str]] = set()
        """The sources and rules whose counters continue from the ledger's totals."""
        self._feeds: dict[str, str] = {}
        self._limited: frozenset[str] = frozenset()
        self._timed: frozenset[str] = frozenset()
        self._add_reading()
        self._add_objects()
        self._add_counting()
        self._add_process()

    def _add_reading(self) -> None:
        self.api_requests = self._labelled(
            "counter",
            "api_requests",
            "Requests to AWS APIs, by how they ended.",
            (*_API, "outcome"),
        )
        self.api_throttles = self._labelled(
            "counter", "api_throttles", "Requests that AWS answered with throttling.", _API
        )
        self.poll_duration = self._histogram(
            "poll_duration_seconds", "How long polls took.", _POLL_BUCKETS
        )
        self.arrival_delay = self._histogram(
            "arrival_delay_seconds",
            "From when a log event happened to when it was first counted.",
            _ARRIVAL_BUCKETS,
        )
        self.usage = self._add(Usage(PREFIX, self.feed_of))
        self.read = self._add(PartitionMetrics(PREFIX, self.feed_of))
        self.accounts = self._add(AccountInfos(PREFIX + "account_info"))
        self.partitions = self._by_source("gauge", "partitions", "Partitions of the source.")
        self.source_interval = self._by_source(
            "gauge", "source_interval_seconds", "How often the source's partitions are polled."
        )
        self.source_lookback = self._by_source(
            "gauge",
            "source_lookback_seconds",
            "How late a log event of the source may arrive and still be counted.",
        )
        self.discovery_failures = self._by_source(
            "counter",
            "discovery_failures",
            "Looks for partitions that failed, by reason.",
            ("account_id", "region", "reason"),
        )

    def _add_objects(self) -> None:
        self.queue_messages = self._by_source(
            "counter",
            "queue_messages",
            "Messages of the source's queue: read and deleted, or unreadable and left to the"
            " queue's redrive policy.",
            ("outcome",),
        )
        self.queue_oldest_age = self._by_source(
            "gauge",
            "queue_oldest_message_age_seconds",
            "Age of the oldest message that was last received; 0 if there was none.",
        )
        self.objects = self._by_source(
            "counter",
            "objects",
            "Objects of a bucket: read, failed, failed again, or given up after the lookback."
            " Damaged ones count up to the damage, and have failed.",
            ("outcome",),
        )
        self.excluded_objects = self._by_source(
            "counter",
            "excluded_objects",
            "Objects that messages named and that were not read, by reason.",
            ("reason",),
        )
        self.excluded_events = self._by_source(
            "counter",
            "excluded_events",
            "Log events that do not count because of the source's account_ids or start.",
            ("reason",),
        )

    def _add_counting(self) -> None:
        self.matches = self._by_source(
            "counter", "matches", "Log events counted for the rule.", ("rule",)
        )
        self.value_errors = self._by_source(
            "counter",
            "value_errors",
            "Matches without a usable value (missing, not a number, negative or too large).",
            ("rule",),
        )
        text = "Label sets of the rule that max_series counts: all since it gained labels last."
        self.series = self._labelled("gauge", "series", text, ("rule",))
        self.fullest = self._labelled(
            "gauge",
            "fullest_account_series",
            "The same, in the account that has most of them.",
            ("rule",),
        )
        self.series_limit = self._labelled(
            "gauge", "series_limit", "The rule's max_series, for each account.", ("rule",)
        )
        self.series_overflow = self._by_source(
            "counter",
            "series_overflow",
            "Matches whose unbounded labels are __overflow__, past the rule's max_series.",
            ("rule",),
        )
        text = "Lines that look like the format of the pack and that no rule of the source matches."
        self.unrecognized_lines = self._by_source(
            "counter", "pack_unrecognized_lines", text, ("pack",)
        )
        self.unrecognized = UnrecognizedLines(self.unrecognized_lines)
        self.ledger_commit_duration = Histogram(
            PREFIX + "ledger_commit_duration_seconds",
            "How long ledger commits took.",
            buckets=_COMMIT_BUCKETS,
            registry=self.library,
        )
        self.ledger_errors = self._counter(
            "ledger_errors", "Ledger operations that failed.", ("operation",)
        )
        for operation in LEDGER_OPERATIONS:
            self.ledger_errors.labels(operation)
        self.fenced_commits = self._by_source(
            "counter",
            "fenced_commits",
            "Commits that were refused since another process had read on; nothing was counted.",
        )
        self.ledger_created = self._gauge(
            "ledger_created_timestamp_seconds", "When the ledger was begun."
        )
        self.ledger_files_lost = self._counter(
            "ledger_files_lost",
            "How often the ledger's files were removed or replaced while they were open.",
            (),
        )

        self.ledger_size = self._gauge("ledger_size_bytes", "Size of the ledger's files.")
        self.ledger_free = self._gauge(
            "ledger_volume_free_bytes", "Free space of the volume that has the ledger."
        )

    def _add_process(self) -> None:
        self.config_last_reload_successful = self._gauge(
            "config_last_reload_successful", "Whether the last configuration load succeeded."
        )
        self.config_last_reload_success_timestamp_seconds = self._gauge(
            "config_last_reload_success_timestamp_seconds",
            "When a configuration was last loaded with success.",
        )
        self.web_config_last_reload_successful = self._gauge(
            "web_config_last_reload_successful",
            "Whether --web.config.file is in use as it is now.",
        )
        self.web_config_last_reload_successful.set(1)
        self.build_info = Info(PREFIX + "build", "The exporter's version.", registry=self.library)
        self.build_info.info({"version": __version__, "python_version": platform.python_version()})
        self._rules = self._add(RuleInfos())
        self.thresholds = self._add(Thresholds())

    def watch_ledger(self, ledger: Ledger) -> None:
        """Show the ledger's condition from now on."""
        self.ledger_created.set_function(lambda: ledger.condition().created / 1000)
        self.ledger_size.set_function(lambda: _number(ledger.condition().size))
        self.ledger_free.set_function(lambda: _number(ledger.condition().free))
        ledger.watch_files(self.ledger_files_lost.inc)

    def set_rules(self, rules: Iterable[RuleInfo]) -> None:
        """Replace the facts and limits of all rules: at the start and on each reload."""
        rules = list(rules)
        with self._lock:
            self._rules.set(rules)
            names = frozenset(rule.rule for rule in rules)
            for gone in self._limited - names:
                for gauge in (self.series, self.fullest, self.series_limit):
                    gauge.remove(gone)
            for rule in rules:
                self.series.labels(rule.rule)
                self.fullest.labels(rule.rule)
                self.series_limit.labels(rule.rule).set(rule.max_series)
            self._limited = names

    def set_sources(self, sources: Iterable[SourceInfo]) -> None:
        """Replace the feeds and times of all sources: at the start and on each reload, first."""
        sources = list(sources)
        with self._lock:
            self._feeds = {source.source: source.feed or source.source for source in sources}
            self.read.rename()
            names = frozenset(source.source for source in sources)
            for gone in self._timed - names:
                for gauge in (self.source_interval, self.source_lookback):
                    gauge.remove(gone)
            for source in sources:
                self.source_interval.labels(source.source).set(source.interval)
                if source.lookback is not None:
                    self.source_lookback.labels(source.source).set(source.lookback)
                for outcome in source.object_outcomes:
                    self.objects.labels(source.source, outcome)
            self._timed = names

    def feed_of(self, source: str) -> str:
        """The feed of a source."""
        return self._feeds.get(source, source)

    def initialise(self, source: str, rules: Iterable[str]) -> None:
        """Make the counters of a source and of the rules that listen to it exist at 0."""
        for rule in rules:
            for counter in (self.matches, self.value_errors, self.series_overflow):
                counter.labels(source, rule)
        self.fenced_commits.labels(source)
        self.poll_duration.labels(source)
        self.arrival_delay.labels(source)

    def load_totals(self, totals: Iterable[RuleTotal]) -> None:
        """Start from the ledger's totals of every rule: counters continue where they were."""
        with self._lock:
            for total in totals:
                name = (total.source, total.rule)
                self._totals[name] = total
                self._show_series(total)
                configured = total.source in self._feeds and total.rule in self._limited
                if configured and name not in self._counted:
                    self._counted.add(name)
                    self._count(name, total)

    def _count(self, name: tuple[str, str], counts: RuleTotal | RuleChange) -> None:
        self.matches.labels(*name).inc(counts.matches)
        self.value_errors.labels(*name).inc(counts.value_errors)
        self.series_overflow.labels(*name).inc(counts.overflowed)

    def committed(self, source: str, committed: Committed) -> None:
        """Add the counts of a commit: matches, value errors, series, overflow."""
        for change in committed.rules:
            self._count((source, change.rule), change)
        with self._lock:
            for change in committed.rules:
                self._counted.add((source, change.rule))
                total = self._totals.get((source, change.rule), RuleTotal(source, change.rule))
                self._totals[source, change.rule] = total.after(change)
                self._show_series(self._totals[source, change.rule])

    def rule_totals(self) -> list[RuleTotal]:
        """The committed totals of every rule on each source."""
        with self._lock:
            return list(self._totals.values())

    def _show_series(self, total: RuleTotal) -> None:
        if total.rule in self._limited:
            self.series.labels(total.rule).set(total.series)
            self.fullest.labels(total.rule).set(total.fullest)

    def api_request(
        self, *, service: str, operation: str, account_id: str, region: str, outcome: str
    ) -> None:
        """Count an HTTP attempt at an AWS API and its outcome (success, throttled, …)."""
        place = (service, operation, account_id, region)
        self.api_requests.labels(*place, outcome).inc()
        throttles = self.api_throttles.labels(*place)
        if outcome == "throttled":
            throttles.inc()
        self.usage.request(operation)

    def queue(self, partition: Partition, state: QueueState) -> None:
        """Show what a reading says of its queue."""
        for outcome, messages in state.outcomes.items():
            self.queue_messages.labels(partition.source, outcome).inc(messages)
        for reason, objects in state.excluded.items():
            self.excluded_objects.labels(partition.source, reason).inc(objects)
        age = 0.0 if state.oldest is None else max(0.0, time.time() - state.oldest / 1000)
        self.queue_oldest_age.labels(partition.source).set(age)

    def api_calls(self) -> int:
        """AWS API requests since the start."""
        return round(self.api_requests.total())

    def _add(self, tables: T) -> T:
        self.tables.append(tables)
        self.registry.register(tables)
        return tables

    def _labelled(
        self, kind: Literal["counter", "gauge"], name: str, text: str, labels: tuple[str, ...]
    ) -> LabelledMetric:
        full = PREFIX + name + ("_total" if kind == "counter" else "")
        return self._add(LabelledMetric(MetricFamily(full, kind, text), labels))

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> prometheus_client.Counter:
        return prometheus_client.Counter(PREFIX + name, text, labels, registry=self.library)

    def _by_source(
        self, kind: Literal["counter", "gauge"], name: str, text: str, labels: tuple[str, ...] = ()
    ) -> BySource[Child]:
        metric = self._labelled(kind, name, text, (*_BY_SOURCE, *labels))
        return BySource(metric, self.feed_of, is_gauge=kind == "gauge")

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(PREFIX + name, text, registry=self.library)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> BySource[Histogram]:
        name = PREFIX + name
        metric = Histogram(name, text, _BY_SOURCE, buckets=buckets, registry=self.library)
        return BySource(metric, self.feed_of)


def _number(known: int | None) -> float:
    return math.nan if known is None else known
