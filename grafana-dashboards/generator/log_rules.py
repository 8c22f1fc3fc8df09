"""Rules of the packs for logs, and questions about several of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from grafana_foundation_sdk.builders import timeseries

from generator import style
from generator.packs import Pack
from generator.panels import Query, bars, color_by_name, graph, largest
from generator.queries import (
    PLACE,
    RANGE,
    TARGET,
    all_grown,
    per_second,
    quantile,
    rule_facts,
    select,
    titled,
    total,
)

PACKS: Final = (
    "lambda",
    "http-access",
    "api-gateway",
    "rds-mysql",
    "rds-postgresql",
    "vpc-flow-logs",
    "linux-syslog",
    "eks-audit",
    "route53-resolver",
    "waf",
    "network-firewall",
    "step-functions",
    "ecs",
    "nlb-access",
    "emf",
)
RULES: Final = {rule.name: rule for pack in PACKS for rule in Pack(pack).rules}
PREFIXES: Final = (
    "lambda|http|api_gateway|rds|vpc_flow|linux|eks_audit|route53_resolver|waf"
    "|network_firewall|step_functions|ecs|nlb|emf"
)
LABELS: Final = {rule.metric: rule.labels for rule in RULES.values()}
"""By metric; rules that share one have the same."""
ALL: Final = f'rule=~"({PREFIXES})_.+"'
"""A matcher of them."""
SERIES: Final = select("", f'__name__=~"({PREFIXES})_.+"')
CLASSES: Final = {
    "1xx": style.GREY,
    "2xx": style.GREEN,
    "3xx": style.BLUE,
    "4xx": style.YELLOW,
    "5xx": style.RED,
}


_GROUP: Final = 'log_group=~"$log_group"'


def logged(metric: str, *matchers: str) -> str:
    """A selector of a rule metric in the chosen accounts, regions and log groups."""
    return select(metric, PLACE, _GROUP, *matchers)


def count(
    metrics: Sequence[str],
    *labels: str,
    matcher: str = "",
    window: str = RANGE,
    at: str = "",
) -> str:
    """How much rule metrics grew, by labels or ``metric``.

    Several sources may read a log group, and two exporters: the largest counts, label set by label
    set. The alerts do the same.
    """
    of_all = {"account_id", "region", "log_group"}
    own = ", ".join(sorted(of_all.union(*(LABELS[metric] for metric in metrics))))
    matchers = ", ".join(part for part in (matcher, PLACE, _GROUP, TARGET) if part)
    growth = all_grown(metrics, matchers, f"job, source, {own}", window, at)
    return total(f"max by (metric, {own}) ({growth})", *labels)


def matches(*names: str) -> str:
    """Matches of rules in the time range; no data, and not 0, if none of them is loaded."""
    loaded = rule_facts(f'rule=~"{"|".join(names)}"')
    return f"sum({count(_metrics(names))}) or sum(0 * {loaded})"


def _metrics(names: Sequence[str]) -> list[str]:
    return [*dict.fromkeys(RULES[name].metric for name in names)]


def kinds(title: str, description: str, *names: str) -> timeseries.Panel:
    """A graph of rules, each by its title."""
    metrics = _metrics(names)

    def by_title(*, window: str, at: str = "") -> str:
        return titled(count(metrics, "metric", window=window, at=at), *names)

    panel = graph(title, description, bars(by_title, "{{title}}"), bars=True)
    return color_by_name(panel, style.distinct(RULES[name].title for name in names))


def split(title: str, description: str, metric: str, label: str) -> timeseries.Panel:
    """A graph of a counter by one of its labels: the ten largest of the time range."""
    growth = partial(count, [metric], label)
    return graph(title, description, largest(10, growth, label, f"{{{{{label}}}}}"), bars=True)


def speed(
    title: str, description: str, metric: str, *labels: str, unit: str = "ops"
) -> timeseries.Panel:
    """A graph of how fast a counter grows, stacked by labels."""
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    return graph(
        title,
        description,
        Query(total(per_second(logged(metric)), *labels), legend),
        unit=unit,
        stacked=True,
        legend=("mean", "max"),
    )


def durations(
    title: str, description: str, metric: str, label: str = "log_group", unit: str = "s"
) -> timeseries.Panel:
    """A graph of a histogram's 95th percentile by a label, and the median of all."""
    buckets = per_second(logged(f"{metric}_bucket"))
    return graph(
        title,
        description,
        Query(quantile(0.95, buckets, label), f"p95 {{{{{label}}}}}"),
        Query(quantile(0.5, buckets), "median of all", color=style.GREY, dashed=True),
        unit=unit,
        legend=("mean", "max"),
    )


def share(part: Sequence[str], whole: str, *labels: str, matcher: str = "") -> str:
    """The share of other counters in a counter, by labels: 0 if they did not happen."""
    matchers = (matcher,) if matcher else ()
    every = total(per_second(logged(whole)), *labels)
    on = f"on ({', '.join(labels)})" if labels else "on ()"
    found = [
        f"({total(per_second(logged(metric, *matchers)), *labels)} or {on} 0 * {every})"
        for metric in part
    ]
    joined = f" + {on} ".join(found)
    return f"({joined}) / {on} ({every} > 0)"
