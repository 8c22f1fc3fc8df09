"""The exporter's own metrics."""

from __future__ import annotations

import dataclasses
import re

import pytest
from prometheus_client import Counter, Gauge, Histogram, Info, generate_latest

from exporter import __version__
from exporter.configuration.thresholds import Threshold
from exporter.ledger.base import Committed, RuleChange, RuleTotal
from exporter.metrics.by_source import BySource
from exporter.metrics.partitions import Meter
from exporter.metrics.rule_info import RuleInfo
from exporter.metrics.tables import LabelledMetric
from exporter.metrics.telemetry import PREFIX, SourceInfo, Telemetry
from exporter.model import Partition
from exporter.planning.plan import Plan, Request
from exporter.sources.base import Backlog
from exporter.sources.log_groups import LOG_GROUP
from exporter.sources.thinning import Rereads
from tests.support.counting import RULE, SOURCE

PLACE = {"source": SOURCE, "account_id": "1", "region": "us-east-1"}
RULE_LABELS = {"source": SOURCE, "rule": RULE}
METRICS = (BySource, Counter, Gauge, Histogram, Info, LabelledMetric)
FACTS = (RULE, "Sign-ins", "high", "logins_total", "counter", 10)
INFO = RuleInfo(*FACTS, pack="cis", controls="cis-v3.0.0/4.3")


@pytest.fixture
def telemetry() -> Telemetry:
    telemetry = Telemetry()
    telemetry.set_rules([INFO])
    return telemetry


def sample(telemetry: Telemetry, name: str, labels: dict[str, str] | None = None) -> float | None:
    labels = dict(labels or {})
    if "source" in labels:
        labels.setdefault("feed", labels["source"])
    return telemetry.registry.get_sample_value(PREFIX + name, labels)


def exposed_names(telemetry: Telemetry) -> set[str]:
    return {metric.name for metric in telemetry.registry.collect()}


# What the rest of the exporter calls them → what a scrape shows.
NAMES = {
    "api_requests": "api_requests_total",
    "api_throttles": "api_throttles_total",
    "matches": "matches_total",
    "value_errors": "value_errors_total",
    "poll_duration": "poll_duration_seconds",
    "partitions": "partitions",
    "source_interval": "source_interval_seconds",
    "source_lookback": "source_lookback_seconds",
    "discovery_failures": "discovery_failures_total",
    "queue_messages": "queue_messages_total",
    "queue_oldest_age": "queue_oldest_message_age_seconds",
    "objects": "objects_total",
    "excluded_objects": "excluded_objects_total",
    "excluded_events": "excluded_events_total",
    "arrival_delay": "arrival_delay_seconds",
    "series": "series",
    "fullest": "fullest_account_series",
    "series_limit": "series_limit",
    "series_overflow": "series_overflow_total",
    "ledger_commit_duration": "ledger_commit_duration_seconds",
    "ledger_errors": "ledger_errors_total",
    "fenced_commits": "fenced_commits_total",
    "unrecognized_lines": "pack_unrecognized_lines_total",
    "ledger_created": "ledger_created_timestamp_seconds",
    "ledger_free": "ledger_volume_free_bytes",
    "ledger_size": "ledger_size_bytes",
    "ledger_files_lost": "ledger_files_lost_total",
    "config_last_reload_successful": "config_last_reload_successful",
    "config_last_reload_success_timestamp_seconds": "config_last_reload_success_timestamp_seconds",
    "web_config_last_reload_successful": "web_config_last_reload_successful",
    "build_info": "build_info",
}

# What collectors of their own show: of partitions, accounts and quotas.
READ = (
    *("read_bytes_total", "log_events_read_total", "late_events_total"),
    *("undecodable_events_total", "refused_requests_total", "polls_total", "partition_up"),
    *("partition_last_success_timestamp_seconds", "partition_read_up_to_timestamp_seconds"),
    *("partition_counted_since_timestamp_seconds", "partition_catching_up"),
    *("partition_reread_factor", "partition_read_load_ratio"),
    *("partition_backlog_objects", "partition_backlog_bytes"),
    "partition_backlog_oldest_timestamp_seconds",
    *("partition_plan_requests", "account_info"),
    *("source_api_requests_total", "source_read_pages_total", "source_read_events_total"),
    *("source_read_bytes_total", "api_quota_limit", "api_quota_used_ratio"),
    *("api_quota_needed_ratio", "api_quota_least_needed_ratio"),
)


def test_metrics_have_the_names_that_dashboards_and_alerts_use(telemetry: Telemetry) -> None:
    exposed = re.findall(
        r"^# TYPE (\S+)", generate_latest(telemetry.registry).decode(), re.MULTILINE
    )
    names = {*NAMES.values(), *READ}
    assert {PREFIX + name for name in names} <= set(exposed)
    assert {name for name in exposed if name.startswith(PREFIX)} <= {
        PREFIX + name + suffix for name in names for suffix in ("", "_created")
    } | {PREFIX + name.removesuffix("_total") + "_created" for name in names}
    metrics = {name for name, metric in vars(telemetry).items() if isinstance(metric, METRICS)}
    assert metrics == set(NAMES)


def test_two_exporters_in_a_process_do_not_share_metrics() -> None:
    first, second = Telemetry(), Telemetry()
    first.ledger_errors.labels("commit").inc()
    assert sample(second, "ledger_errors_total", {"operation": "commit"}) == 0


def test_every_metric_of_the_exporter_has_the_prefix_and_a_help_text(telemetry: Telemetry) -> None:
    for family in telemetry.registry.collect():
        assert family.documentation
        assert family.name.startswith((PREFIX, "process_", "python_", "metric_filter_rule_info")), (
            family.name
        )


def test_process_platform_and_gc_are_there(telemetry: Telemetry) -> None:
    assert {"process_cpu_seconds", "python_info", "python_gc_objects_collected"} <= exposed_names(
        telemetry
    )


def test_the_build_is_named(telemetry: Telemetry) -> None:
    (build,) = [f for f in telemetry.registry.collect() if f.name == PREFIX + "build"]
    assert [(s.name, s.labels["version"], s.value) for s in build.samples] == [
        (PREFIX + "build_info", __version__, 1)
    ]


def test_counters_stand_at_zero_before_anything_happened(telemetry: Telemetry) -> None:
    telemetry.initialise(SOURCE, [RULE])
    telemetry.read.add(Meter(Partition(SOURCE, "1", "us-east-1"), found=1.0))
    for name in ("matches_total", "value_errors_total", "series_overflow_total"):
        assert sample(telemetry, name, RULE_LABELS) == 0
    for name in ("read_bytes", "log_events_read", "late_events", "undecodable_events"):
        assert sample(telemetry, f"{name}_total", PLACE) == 0
    for outcome in ("success", "error"):
        assert sample(telemetry, "polls_total", {**PLACE, "outcome": outcome}) == 0
    assert sample(telemetry, "arrival_delay_seconds_count", {"source": SOURCE}) == 0


def test_a_commit_counts_matches_value_errors_series_and_overflow(telemetry: Telemetry) -> None:
    telemetry.load_totals([RuleTotal(SOURCE, RULE, 100, 5, 7, 2, None)])
    assert sample(telemetry, "series", {"rule": RULE}) == 2
    assert sample(telemetry, "series_limit", {"rule": RULE}) == 10
    later = RuleChange(SOURCE, RULE, 1, value_errors=1, overflowed=2, series=3)
    # Two partitions may report in the other order.
    earlier = RuleChange(SOURCE, RULE, 1, overflowed=1, series=2)
    for change in (later, earlier):
        telemetry.committed(SOURCE, Committed(rules=[change]))
    assert telemetry.rule_totals() == [RuleTotal(SOURCE, RULE, 102, 6, 10, 3, None)]
    assert sample(telemetry, "matches_total", RULE_LABELS) == 2
    assert sample(telemetry, "value_errors_total", RULE_LABELS) == 1
    assert sample(telemetry, "series_overflow_total", RULE_LABELS) == 3
    assert sample(telemetry, "series", {"rule": RULE}) == 3


def test_counters_of_rules_go_on_from_the_ledger_after_a_restart_and_stay_at_a_reload(
    telemetry: Telemetry,
) -> None:
    telemetry.set_sources([SourceInfo(SOURCE, 60.0, None)])
    loaded = [RuleTotal(SOURCE, RULE, 100, 5, 7, 2, None), RuleTotal("gone", RULE, 3)]
    telemetry.load_totals(loaded)
    telemetry.committed(SOURCE, Committed(rules=[RuleChange(SOURCE, RULE, 1)]))
    telemetry.load_totals([RuleTotal(SOURCE, RULE, 101, 5, 7, 2, None)])
    assert sample(telemetry, "matches_total", RULE_LABELS) == 101
    assert sample(telemetry, "value_errors_total", RULE_LABELS) == 5
    assert sample(telemetry, "series_overflow_total", RULE_LABELS) == 7
    assert sample(telemetry, "matches_total", {"source": "gone", "rule": RULE}) is None


def log_group(name: str, *, events: int = 0) -> Meter:
    partition = Partition(SOURCE, "1", "us-east-1", resource=name, kind=LOG_GROUP)
    return Meter(partition, found=5.0, events=events, bytes=10 * events, failed=events)


def test_a_partition_shows_how_its_last_poll_went_and_takes_its_gauges_along(
    telemetry: Telemetry,
) -> None:
    labels = {**PLACE, "queue": "", "log_group": "/aws/lambda/a", "path": ""}
    meter = log_group("/aws/lambda/a")
    telemetry.read.add(meter)

    def shown() -> list[float | None]:
        names = ("up", "last_success_timestamp_seconds", "read_up_to_timestamp_seconds")
        return [sample(telemetry, f"partition_{name}", labels) for name in names]

    assert shown() == [0, 5, None]
    meter.up, meter.last_success, meter.read_up_to = True, 7.0, 6500
    assert shown() == [1, 7, 6.5]
    meter.up = False
    assert shown() == [0, 7, 6.5]
    telemetry.read.remove(meter)
    assert shown() == [None, None, None]


def test_a_partition_shows_its_read_load_and_how_its_re_reads_are_thinned(
    telemetry: Telemetry,
) -> None:
    labels = {**PLACE, "queue": "", "log_group": "/aws/lambda/a", "path": ""}
    meter = log_group("/aws/lambda/a")
    telemetry.read.add(meter)

    def shown() -> list[float | None]:
        return [
            sample(telemetry, f"partition_{name}", labels)
            for name in ("reread_factor", "read_load_ratio")
        ]

    assert shown() == [None, None]
    meter.rereads = Rereads(2.25, 6, 11, load=0.8, full_load=1.5, page_seconds=0.2)
    assert shown() == [2.25, 0.8]


def test_a_partition_shows_its_plan_and_the_requests_of_a_window(telemetry: Telemetry) -> None:
    labels = {**PLACE, "queue": "", "log_group": 'a"b', "path": ""}
    meter = log_group('a"b')
    telemetry.read.add(meter)
    assert sample(telemetry, "partition_plan_requests", {**labels, "plan": "patterns"}) is None
    meter.plan = Plan("patterns", (Request(value="ERROR"), Request(value="WARN")), "Two.")
    assert sample(telemetry, "partition_plan_requests", {**labels, "plan": "patterns"}) == 2


def test_a_partition_shows_its_backlog_as_far_as_it_is_known(telemetry: Telemetry) -> None:
    labels = {**PLACE, "queue": "", "log_group": "/aws/lambda/a", "path": ""}
    meter = log_group("/aws/lambda/a")
    telemetry.read.add(meter)

    def shown() -> list[float | None]:
        names = ("objects", "bytes", "oldest_timestamp_seconds")
        return [sample(telemetry, f"partition_backlog_{name}", labels) for name in names]

    assert shown() == [None, None, None]
    meter.backlog = Backlog(12)
    assert shown() == [12, None, None]
    meter.backlog = Backlog(7, size=70_000, oldest=6500)
    assert shown() == [7, 70_000, 6.5]


def test_counters_sum_over_the_partitions_and_do_not_go_down_when_one_goes(
    telemetry: Telemetry,
) -> None:
    first, second = log_group("a", events=3), log_group("b", events=5)
    for meter in (first, second, Meter(Partition(SOURCE, "1", "eu-west-1"), found=5.0)):
        telemetry.read.add(meter)

    def events() -> float | None:
        return sample(telemetry, "log_events_read_total", PLACE)

    assert events() == 8
    telemetry.read.remove(first)
    telemetry.read.remove(first)
    assert events() == 8
    first.events += 1  # a poll that was under way when it was dropped
    second.events += 1
    assert events() == 9
    telemetry.read.add(log_group("a", events=1))
    assert events() == 10
    telemetry.read.remove(second)
    assert events() == 10
    assert sample(telemetry, "read_bytes_total", PLACE) == 90
    assert sample(telemetry, "polls_total", {**PLACE, "outcome": "error"}) == 9


def test_the_times_of_the_sources_are_those_of_the_configuration(telemetry: Telemetry) -> None:
    telemetry.set_sources([SourceInfo(SOURCE, 60.0, 1800.0), SourceInfo("replay", 30.0, None)])
    assert sample(telemetry, "source_interval_seconds", {"source": SOURCE}) == 60
    assert sample(telemetry, "source_lookback_seconds", {"source": SOURCE}) == 1800
    assert sample(telemetry, "source_lookback_seconds", {"source": "replay"}) is None
    telemetry.set_sources([SourceInfo("replay", 10.0, None)])
    assert sample(telemetry, "source_interval_seconds", {"source": SOURCE}) is None
    assert sample(telemetry, "source_lookback_seconds", {"source": SOURCE}) is None
    assert sample(telemetry, "source_interval_seconds", {"source": "replay"}) == 10


def test_the_first_object_that_fails_is_an_increase(telemetry: Telemetry) -> None:
    telemetry.set_sources([SourceInfo(SOURCE, 60.0, None, object_outcomes=("read", "failed"))])
    for outcome in ("read", "failed"):
        assert sample(telemetry, "objects_total", {"source": SOURCE, "outcome": outcome}) == 0


def test_a_source_that_changes_its_feed_leaves_no_gauge_behind(telemetry: Telemetry) -> None:
    partition = Partition(SOURCE, "1", "us-east-1")
    labels = {**PLACE, "queue": "", "log_group": "", "path": ""}
    telemetry.read.add(Meter(partition, found=5.0, events=3))
    for feed in (SOURCE, "org"):
        telemetry.set_sources([SourceInfo(SOURCE, 60.0, 1800.0, feed)])
        telemetry.partitions.labels(SOURCE).set(1)
        telemetry.matches.labels(SOURCE, RULE).inc()
    for name, of in (
        ("source_interval_seconds", {"source": SOURCE}),
        ("source_lookback_seconds", {"source": SOURCE}),
        ("partitions", {"source": SOURCE}),
        ("partition_up", labels),
        ("log_events_read_total", PLACE),
    ):
        assert sample(telemetry, name, of) is None
        assert sample(telemetry, name, {**of, "feed": "org"}) is not None
    assert sample(telemetry, "matches_total", RULE_LABELS) == 1, "sums by source never decrease"
    assert sample(telemetry, "matches_total", {**RULE_LABELS, "feed": "org"}) == 1


def rule_infos(telemetry: Telemetry) -> list[dict[str, str]]:
    return [
        sample.labels
        for family in telemetry.registry.collect()
        for sample in family.samples
        if sample.name == "metric_filter_rule_info"
    ]


def test_a_reload_replaces_the_rules_facts(telemetry: Telemetry) -> None:
    assert rule_infos(telemetry) == [
        {
            "rule": RULE,
            "title": "Sign-ins",
            "severity": "high",
            "metric": "logins_total",
            "type": "counter",
            "pack": "cis",
            "controls": "cis-v3.0.0/4.3",
        }
    ]
    telemetry.set_rules([dataclasses.replace(INFO, rule="other", max_series=5)])
    assert [labels["rule"] for labels in rule_infos(telemetry)] == ["other"]
    assert sample(telemetry, "series_limit", {"rule": "other"}) == 5
    assert sample(telemetry, "series_limit", {"rule": RULE}) is None
    assert sample(telemetry, "series", {"rule": RULE}) is None


def test_thresholds_are_replaced_and_those_of_an_account_have_its_id(telemetry: Telemetry) -> None:
    telemetry.thresholds.set(
        [Threshold("failures", 10.0, {"111122223333": 250.0}), Threshold("slow", 0.5)]
    )

    def lines() -> list[str]:
        families = telemetry.thresholds.render(openmetrics=False, created=False)
        return [line for one in families for line in one.text.splitlines()[2:]]

    assert lines() == [
        'metric_filter_threshold{name="failures"} 10',
        'metric_filter_threshold{account_id="111122223333",name="failures"} 250',
        'metric_filter_threshold{name="slow"} 0.5',
    ]
    telemetry.thresholds.set([])
    assert lines() == []


def test_an_account_has_one_series_with_a_name_that_some_source_knows(telemetry: Telemetry) -> None:
    def shown() -> set[tuple[str, str]]:
        rows = [row for table in telemetry.accounts.tables() for row in table.rows]
        assert all(row.value == 1 for row in rows)
        return {(row.values[0], row.values[1]) for row in rows}

    telemetry.accounts.set("history", {"1": "", "2": "shop"})
    telemetry.accounts.set("apps", {"1": "tools", "2": "store"})
    assert shown() == {("1", "tools"), ("2", "shop")}
    telemetry.accounts.set("apps", {})
    assert shown() == {("1", ""), ("2", "shop")}
