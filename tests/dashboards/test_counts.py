"""How many in a time range: what a real Prometheus makes of the dashboards' PromQL."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from tests.support.dashboards import Window, dashboards, substitute
from tests.support.prometheus import Prometheus, load
from tests.support.tools import PrometheusBinaries

END: Final = int(time.time() // 60 * 60) - 86_400
RANGE: Final = 600
SCRAPE: Final = 30
EDGE: Final = 10
"""Seconds from the scrape before the range's start to the start, and so at its end."""
METRICS: Final = ("one_total", "other_total")
A: Final = {"job": "exporter", "instance": "10.0.0.1:10911"}
B: Final = {"job": "exporter", "instance": "10.0.0.2:10911"}
OTHER_JOB: Final = {"job": "second", "instance": "10.0.0.3:10911"}

Course = tuple[dict[str, str], dict[float, float | None]]

CASES: Final[dict[str, tuple[list[Course], float | None]]] = {
    "rises before, in and at the last scrape": ([(A, {-60: 3, -1: 5, 4: 6, 9.5: 8})], 3),
    "rises after the last scrape": ([(A, {-60: 3, 9.9: 8})], 0),
    "rises between the scrape before the start and the start": ([(A, {-60: 3, -0.1: 8})], 5),
    "does not rise": ([(A, {-60: 7})], 0),
    "is born in the range": ([(A, {3: 0, 3.5: 4, 7: 9})], 9),
    "is born as the range ends": ([(A, {9.5: 0})], 0),
    "was first scraped in the range": ([(A, {3: 40, 5: 42})], 2),
    "stops over the start for a while": ([(A, {-60: 3, -20: 5, -18: None, 2: 6, 4: 9})], 4),
    "stops over the start for hours": ([(A, {-200: 3, -180: None, 2: 6, 4: 9})], 3),
    "is down at the end": ([(A, {-60: 3, 4: 6, 8: None})], 3),
    "ended": ([(A, {-60: 3, 2: 6, 4: None})], None),
    "goes on in another pod": ([(A, {-60: 10, 2: 12, 4: None}), (B, {5: 13, 7: 15})], 5),
    "went on before": ([(A, {-60: 10, -30: None}), (B, {-29: 12, 7: 15})], 3),
    "has a new ledger": ([(A, {-60: 50, 2: 52, 4: 0, 6: 4})], 4),
    "has a new ledger in another pod": ([(A, {-60: 50, 2: 52, 4: None}), (B, {5: 0, 6: 4})], 4),
    "had a new ledger": ([(A, {-60: 50, -40: None}), (B, {-39: 0, -10: 1, 6: 4})], 3),
    "is counted by two exporters": ([(A, {-60: 100, 4: 105}), (OTHER_JOB, {-60: 7, 4: 12})], 5),
    "one of two exporters was down": ([(A, {-60: 9, 4: 12}), (OTHER_JOB, {-60: 1, -50: None})], 3),
}

FACTS: Final = (
    ("cis_root_usage", "critical", "cis-aws-foundations", "aws_cis_root_usage_total"),
    (
        "security_trail_tampering",
        "low",
        "cloudtrail-security",
        "aws_security_trail_tampering_total",
    ),
    ("security_buckets_deleted", "critical", "cloudtrail-security", "aws_security_buckets_deleted"),
    ("own", "critical", "", "own_total"),
    ("own_low", "low", "", "own_low_total"),
    ("linux_disk_full", "critical", "linux-syslog", "linux_disk_full_total"),
)
"""Rules: of a pack as it is, two with another severity, two of the user's, one of a log pack."""
GROWTH: Final = {
    'aws_cis_root_usage_total{source="history"': 3,
    'aws_cis_root_usage_total{source="trail"': 2,
    'aws_security_trail_tampering_total{source="history"': 10,
    'metric_filter_exporter_matches_total{rule="cis_root_usage",source="history"': 100,
    'metric_filter_exporter_matches_total{rule="security_buckets_deleted",source="history"': 20,
    'metric_filter_exporter_matches_total{rule="own",source="history"': 1_000,
    'metric_filter_exporter_matches_total{rule="own_low",source="history"': 10_000,
    'metric_filter_exporter_matches_total{rule="linux_disk_full",source="hosts"': 100_000,
}

RECORDED: Final[dict[str, dict[float, float | None]]] = {
    "total": {-60: 7, 2: 10},
    "base": {-60: 2},
}
"""What alerts/security-overview.yaml records, of the first rule."""


def samples(totals: Mapping[float, float | None]) -> Iterator[tuple[int, float]]:
    """What is scraped, by time."""
    start = END - RANGE
    for at in range(start - EDGE - 4 * 3600, END + 1, SCRAPE):
        known = [total for since, total in totals.items() if start + since * 60 <= at]
        if known and known[-1] is not None:
            yield at, known[-1]


def text() -> str:
    """All cases in OpenMetrics; the second metric has the same series at ten times the totals."""
    lines = []
    for factor, metric in zip((1, 10), METRICS, strict=True):
        lines.append(f"# TYPE {metric.removesuffix('_total')} counter")
        for case, (courses, _) in CASES.items():
            for target, totals in courses:
                labels = ",".join(f'{k}="{v}"' for k, v in {**target, "case": case}.items())
                lines += [f"{metric}{{{labels}}} {v * factor} {at}" for at, v in samples(totals)]
    place = 'account_id="1",region="r",feed="f",job="exporter",instance="10.0.0.1:10911"}'
    for series, growth in GROWTH.items():
        course = samples({-60: 7, 2: 7 + growth})
        lines += [f"{series},{place} {total} {at}" for at, total in course]
    series = '{metric="aws_cis_root_usage_total",account_id="1",region="r",user="root"}'
    for name, totals in RECORDED.items():
        for level in ("principal", "place"):
            recorded = f"{level}:aws_events:{name}{series}"
            lines += [f"{recorded} {value} {at}" for at, value in samples(totals)]
    for name, severity, pack, metric in FACTS:
        facts = f'rule="{name}",title="A title",severity="{severity}",pack="{pack}"'
        lines.append(f'metric_filter_rule_info{{{facts},metric="{metric}",{place} 1 {END}')
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory, each_prometheus: PrometheusBinaries
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("counts")
    (folder / "samples.txt").write_text(text())
    load(each_prometheus.promtool, folder)
    with Prometheus(each_prometheus.prometheus, folder, targets={}) as prometheus:
        yield prometheus


def answers(prometheus: Prometheus, expression: str, *by: str) -> dict[tuple[str, ...], float]:
    query = substitute(expression, Window(f"{RANGE}s", f"{RANGE}s").values())
    found = prometheus.query(query, at=END)
    return {tuple(sample.labels[name] for name in by): sample.value for sample in found}


@pytest.mark.parametrize("window", ["$__range", "$__interval"])
def test_the_number_in_a_range_is_the_difference_of_the_totals_at_its_edges(
    prometheus: Prometheus, window: str
) -> None:
    from generator.queries import grown  # noqa: PLC0415

    for grouping in ("by (job, case)", "without (instance, pod)"):
        growth = f"max by (case) ({grown(METRICS[0], grouping, window)})"
        found = answers(prometheus, growth, "case")
        assert {case: found.get((case,)) for case in CASES} == {
            case: number for case, (_, number) in CASES.items()
        }


def test_several_metrics_at_once_have_the_same_numbers(prometheus: Prometheus) -> None:
    from generator.queries import all_grown  # noqa: PLC0415

    growth = all_grown(METRICS, 'job=~".+"', "job, case", "$__range", "")
    found = answers(prometheus, f"max by (metric, case) ({growth})", "metric", "case")
    assert found == {
        (metric, case): number * factor
        for factor, metric in zip((1, 10), METRICS, strict=True)
        for case, (_, number) in CASES.items()
        if number is not None
    }


def test_critical_has_all_rules_that_are_critical_now_each_match_once(
    prometheus: Prometheus,
) -> None:
    (query,) = (
        query
        for dashboard in dashboards()
        for query in dashboard.panel_queries({"rule": "", "metric": ""}, Window(f"{RANGE}s"))
        if query.panel == "Critical"
    )
    (found,) = prometheus.query(query.expression, at=END)
    assert found.value == 3 + 20 + 1_000


@pytest.mark.parametrize("level", ["principal", "place"])
def test_what_is_recorded_counts_from_the_start_or_from_where_recording_began(
    prometheus: Prometheus, level: str
) -> None:
    from generator.queries import recorded  # noqa: PLC0415

    counted = recorded(level, 'user="root"')
    assert answers(prometheus, counted, "user") == {("root",): 3}
    longer = substitute(counted, Window("10h", "1m").values())
    assert [sample.value for sample in prometheus.query(longer, at=END)] == [8]


def test_the_numbers_of_parts_of_a_range_add_up(prometheus: Prometheus) -> None:
    """As the bars of a graph, or one day after the other."""
    from generator.queries import grown  # noqa: PLC0415

    steady = [case for case, (courses, _) in CASES.items() if "ledger" not in case]
    growth = f"max by (case) ({grown(METRICS[0], 'by (job, case)', '1m')})"
    parts: dict[str, float] = dict.fromkeys(steady, 0)
    for end in range(END - RANGE + 60, END + 1, 60):
        for sample in prometheus.query(growth, at=end):
            if sample.labels["case"] in parts:
                parts[sample.labels["case"]] += sample.value
    whole = {case: CASES[case][1] for case in steady if CASES[case][1] is not None}
    assert {case: parts[case] for case in whole} == whole
