"""Rule explorer: everything about any one rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models.dashboard import Dashboard

from generator import links, style
from generator.board import chooser, dashboard
from generator.layout import Line, Section
from generator.panels import Query, graph, number
from generator.queries import (
    in_range,
    own,
    per_interval,
    per_second,
    rule_facts,
    select,
    top,
    total,
)
from generator.tables import VALUE, Column, listing

_RULE: Final = 'rule=~"$rule"'
_SOURCE: Final = 'source=~"$source"'
_SHARED: Final = '__name__{}"metric_filter_matches_total"'
"""Of the default metric, only the series with the rule's name belong to it."""
"""The source of rule series is the feed."""
_FEED: Final = 'feed=~"$source"'
_MATCHES: Final = own("matches_total", _RULE, _FEED)


def _growth(function: Callable[[str], str], suffix: str) -> str:
    """Growth of the rule's series; for a histogram, of those with the suffix."""
    name = f'__name__=~"$metric(_{suffix})?"'
    usual = select("", name, _SHARED.format("!="), _SOURCE)
    shared = select("", name, _SHARED.format("="), _SOURCE, _RULE)
    return f"({function(usual)} or {function(shared)})"


def build() -> Dashboard:
    """The dashboard."""
    return dashboard(
        "Rule explorer",
        uid=links.RULES,
        description="Any rule: how often it matched, where, with which labels, and whether all "
        "its matches were counted.",
        blocks=[
            *_now(),
            *_over_time(),
            Section("Sources and labels", _by_labels()),
            Section("Is everything counted?", _limits()),
        ],
        alerts='ALERTS{alertname!~"MetricFilterExporter.+", alertstate="firing"}',
        variables=_variables(),
    )


def _variables() -> list[builders.QueryVariable]:
    rule = chooser(
        "rule",
        "Rule",
        f"label_values({rule_facts()}, rule)",
        multi=False,
        description="The rule to show",
    )
    source = chooser(
        "source", "Source", f"label_values({own('matches_total', _RULE)}, feed)", every=".*"
    )
    # What the rule counts in: its series have the labels.
    metric = chooser(
        "metric",
        "Metric",
        f"label_values({rule_facts(_RULE)}, metric)",
        multi=False,
        hidden=True,
    )
    return [rule, source, metric]


def _now() -> list[Line]:
    growth = f"increase({_MATCHES}[$__rate_interval]) > 0"
    facts = "rule, title, severity, metric, type"
    return [
        Line(
            4,
            [
                listing(
                    "The rule",
                    "The rule's title and severity, and its metric.",
                    [f"max by ({facts}) ({rule_facts(_RULE)})"],
                    [
                        Column("title", "Title"),
                        Column("severity", "Severity", width=90, mapping=style.severity_texts()),
                        Column("metric", "Metric"),
                        Column("type", "Type", width=90),
                    ],
                ),
                number(
                    "Matches",
                    "Log events that the rule counted in the time range.",
                    total(in_range(_MATCHES)),
                    loud=True,
                ),
                number(
                    "Last match",
                    "Time of the rule's last match within the time range.",
                    f"max(max_over_time(timestamp({growth})[$__range:$__interval])) * 1000",
                    unit="dateTimeFromNow",
                    decimals=None,
                ),
            ],
            widths=(14, 5, 5),
        )
    ]


def _over_time() -> list[Line]:
    sums, matches = _growth(per_second, "sum"), _growth(per_interval, "count")
    return [
        Line(
            8,
            [
                graph(
                    "Matches over time",
                    "Log events that the rule counted in each bar, by source.",
                    Query(total(per_interval(_MATCHES), "source"), "{{source}}"),
                    bars=True,
                    legend=("sum",),
                ),
                graph(
                    "Values of the matches",
                    "Growth of the rule's metric per second: matches, or the sum of "
                    "their values (bytes, seconds …) if the rule has a value. Rules "
                    "that share the metric add to it.",
                    Query(total(sums, "source"), "{{source}}"),
                    legend=("mean", "max"),
                ),
            ],
            widths=(15, 9),
        ),
        Line(
            8,
            [
                graph(
                    "By account and region",
                    "Growth of the rule's metric in each bar. For histograms, the matches.",
                    Query(
                        total(matches, "account_id", "region"),
                        "{{account_id}} {{region}}",
                    ),
                    bars=True,
                    legend=("sum",),
                ),
                graph(
                    "By log group",
                    "The ten log groups with the most. Event history has no log group.",
                    Query(
                        f"label_replace({top(10, total(matches, 'log_group'))},"
                        ' "log_group", "event history", "log_group", "")',
                        "{{log_group}}",
                    ),
                    bars=True,
                    legend=("sum",),
                ),
            ],
        ),
    ]


def _by_labels() -> list[Line]:
    growth = _growth(in_range, "count")
    return [
        Line(
            11,
            [
                listing(
                    "Every label set",
                    "The 200 series of the rule that grew most in the time range, "
                    "with all of their labels. __overflow__ stands for label sets "
                    "above the limit.",
                    [f"topk(200, sum without (job, instance) ({growth}))"],
                    [
                        Column(VALUE, "In range", decimals=0, width=160, bar=True),
                        Column("account_id", "Account"),
                        Column("region", "Region"),
                        Column("source", "Source"),
                    ],
                    sort_by=["-In range"],
                    rest=True,
                )
            ],
        )
    ]


def _limits() -> list[Line]:
    overflow, errors = (own(f"{m}_total", _RULE) for m in ("series_overflow", "value_errors"))
    return [
        Line(
            7,
            [
                graph(
                    "Series and their limit",
                    "Label sets of the rule in the account that has most, and its max_series."
                    " Label sets above it are counted with __overflow__ in unbounded labels.",
                    Query(f"max by (rule) ({own('fullest_account_series', _RULE)})", "series"),
                    Query(
                        f"max by (rule) ({own('series_limit', _RULE)})",
                        "max_series",
                        color=style.RED,
                        dashed=True,
                    ),
                ),
                graph(
                    "Overflow and value errors",
                    "Overflow: matches above the limit. Value errors: matches whose "
                    "value is missing, not a number, negative or too large; they add "
                    "nothing.",
                    Query(total(per_interval(overflow)), "overflow", color=style.ORANGE),
                    Query(total(per_interval(errors)), "value errors", color=style.RED),
                    bars=True,
                    legend=("sum",),
                ),
            ],
        )
    ]
