"""Rule explorer: everything about any one rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models.dashboard import Dashboard

from generator import links, style
from generator.board import chooser, dashboard
from generator.layout import Line, Section
from generator.panels import Query, bars, graph, largest, number
from generator.queries import (
    RANGE,
    grown,
    matches_of_rules,
    own,
    per_second,
    rule_facts,
    select,
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
_BUT_TARGET: Final = "without (instance, pod)"


def _of_series(function: Callable[[str], str], suffix: str) -> str:
    """Growth of the rule's series; for a histogram, of those with the suffix."""
    name = f'__name__=~"$metric(_{suffix})?"'
    usual = select("", name, _SHARED.format("!="), _SOURCE)
    shared = select("", name, _SHARED.format("="), _SOURCE, _RULE)
    return f"({function(usual)} or {function(shared)})"


def _matches(*labels: str, window: str, at: str = "") -> str:
    return total(matches_of_rules(window, _RULE, _FEED, at=at), *labels)


def _counts(*labels: str, window: str, at: str = "") -> str:
    """The growth of the rule's metric by labels; of a histogram, the matches.

    Here the labels of rules are not known. A target's, in Kubernetes, differ between exporters.
    """
    growth = _of_series(partial(grown, grouping=_BUT_TARGET, window=window, at=at), "count")
    if not labels:
        return f"max without (job) {growth}"
    return total(f"max without (job) {growth}", *labels)


def _by_log_group(*, window: str, at: str = "") -> str:
    found = _counts("log_group", window=window, at=at)
    return f'label_replace({found}, "log_group", "event history", "log_group", "")'


def _problems(metric: str, *, window: str, at: str = "") -> str:
    return total(matches_of_rules(window, _RULE, at=at, metric=metric))


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
                    _matches(window=RANGE),
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
    sums = _of_series(per_second, "sum")
    return [
        Line(
            8,
            [
                graph(
                    "Matches over time",
                    "Log events that the rule counted in each bar, by source.",
                    bars(partial(_matches, "source"), "{{source}}"),
                    bars=True,
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
                    "Growth of the rule's metric in each bar. For histograms, the matches. Rules "
                    "that share the metric add to it.",
                    bars(partial(_counts, "account_id", "region"), "{{account_id}} {{region}}"),
                    bars=True,
                ),
                graph(
                    "By log group",
                    "The ten log groups with the most. Event history has no log group.",
                    largest(10, _by_log_group, "log_group", "{{log_group}}"),
                    bars=True,
                ),
            ],
        ),
    ]


def _by_labels() -> list[Line]:
    return [
        Line(
            11,
            [
                listing(
                    "Every label set",
                    "The 200 series of the rule that grew most in the time range, "
                    "with all of their labels. __overflow__ stands for label sets "
                    "above the limit. Rules that share the metric add to it.",
                    [f"topk(200, {_counts(window=RANGE)})"],
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
    overflow, errors = (
        partial(_problems, f"{metric}_total") for metric in ("series_overflow", "value_errors")
    )
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
                    bars(overflow, "overflow", style.ORANGE),
                    bars(errors, "value errors", style.RED),
                    bars=True,
                ),
            ],
        )
    ]
