"""PromQL in pieces: selectors that use the dashboard's variables, and queries on them."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonprefix
from typing import Final

OWN: Final = "metric_filter_exporter_"
"""The prefix of the exporter's own metrics."""
TARGET: Final = 'job=~"$job", instance=~"$instance"'
"""Every selector has it, to choose one of several exporters."""
PARTITION: Final = ("source", "feed", "account_id", "region")
API: Final = ("service", "operation", "account_id", "region")
"""Labels of counters of partitions and of AWS's APIs."""
RANGE: Final = "$__range"
BAR: Final = "$__interval"
"""The time of one bar of a graph."""
PLACE: Final = 'account_id=~"$account_id", region=~"$region"'


def select(metric: str, *matchers: str) -> str:
    """A selector with the dashboard's job and instance: ``select("up")``."""
    return f"{metric}{{{', '.join((*matchers, TARGET))}}}"


def own(metric: str, *matchers: str) -> str:
    """A selector of one of the exporter's own metrics, named without their prefix."""
    return select(OWN + metric, *matchers)


def rule_facts(*matchers: str) -> str:
    """A selector of the facts of rules."""
    return select("metric_filter_rule_info", *matchers)


def counted(metric: str, *matchers: str) -> str:
    """A selector of a rule metric in the chosen accounts and regions."""
    return select(metric, PLACE, *matchers)


def per_second(selector: str) -> str:
    """How fast counters grow."""
    return f"rate({selector}[$__rate_interval])"


def grown(selector: str, grouping: str, window: str = RANGE, at: str = "") -> str:
    """How much counters grew in a time: a whole number, and the same wherever it is asked.

    It is the total at the end less the total at the start, each as last scraped; ``increase()``
    extrapolates instead. The largest of each group is its total, so a pod with a new name continues
    its series. A group without a total at the start, or with a higher one (a new ledger), counts
    from the lowest in the time: a new series starts at 0.

    Args:
        selector: of the counters.
        grouping: ``by (…)`` or ``without (…)``: everything but the target's instance.
        window: the time, up to the moment of the query.
        at: another moment: `` @ end()``.
    """
    lowest = f"min {grouping} (min_over_time({selector}[{window}]{at}))"
    return _growth(grouping, *_edges(selector, window, at), lowest)


def one_of(names: Sequence[str]) -> str:
    """A regular expression for these names. Short, since a dashboard must fit an annotation."""
    prefix = commonprefix(list(names))  # noqa: RUF071 - of characters
    ends = [name.removeprefix(prefix)[::-1] for name in names]
    suffix = commonprefix(ends)  # noqa: RUF071
    between = "|".join(end[len(suffix) :][::-1] for end in ends)
    return f"{prefix}({between}){suffix[::-1]}" if prefix or suffix else between


def all_grown(metrics: Sequence[str], matchers: str, labels: str, window: str, at: str) -> str:
    """``grown`` of several metrics, by the labels and ``metric``, the name."""
    if len(metrics) == 1:
        (name,) = metrics
        one = grown(f"{name}{{{matchers}}}", f"by ({labels})", window, at)
        return f'label_replace({one}, "metric", "{name}", "", "")'
    names = f'{{__name__=~"{one_of(metrics)}", {matchers}}}'
    end, start = (
        f'label_replace({edge}, "metric", "$1", "__name__", "(.+)")'
        for edge in _edges(names, window, at)
    )
    # Of all targets, which is shorter: only those of series with an end are used.
    lowest = " or ".join(
        f'label_replace(min_over_time({metric}[{window}]{at}), "metric", "{metric}", "", "")'
        for metric in metrics
    )
    grouping = f"by (metric, {labels})"
    return _growth(grouping, end, start, f"min {grouping} ({lowest})")


def recorded(level: str, matchers: str, window: str = RANGE, at: str = "") -> str:
    """How many events alerts/security-overview.yaml recorded in a time, for each recorded series.

    Cheap over any time: three reads of one moment. Events of before the rules were loaded do not
    count. ``level``: ``principal``, or ``place``, which has fewer series. ``matchers``: of
    ``metric`` and the level's other labels.
    """
    total, base = (f"{level}:aws_events:{name}{{{matchers}}}" for name in ("total", "base"))
    end, start = _edges(total, window, at)
    return _since(end, start, f"last_over_time({base}[5m]{at})")


def _edges(selector: str, window: str, at: str) -> tuple[str, str]:
    """As far back as Prometheus looks for a sample; before the start, over an exporter's stop."""
    return (
        f"last_over_time({selector}[5m]{at})",
        f"last_over_time({selector}[1h] offset {window}{at})",
    )


def _growth(grouping: str, end: str, start: str, lowest: str) -> str:
    return _since(f"max {grouping} ({end})", f"max {grouping} ({start})", lowest)


def _since(end: str, start: str, lowest: str) -> str:
    return f"({end} - ({start} <= {end} or {lowest}))"


def matches_of_rules(
    window: str, *matchers: str, at: str = "", metric: str = "matches_total"
) -> str:
    """Matches (or another number) by rule, source and feed, of the exporter that counted most."""
    labels = "rule, source, feed"
    growth = grown(own(metric, *matchers), f"by (job, {labels})", window, at)
    return f"max by ({labels}) ({growth})"


def titled(counts: str, *names: str) -> str:
    """Counts by metric, each with the title of the rule of the name that counts in it."""
    facts = rule_facts(f'rule=~"{"|".join(names)}"')
    named = f"{counts} * on (metric) group_left (title) max by (metric, title) ({facts})"
    return f"sum by (title) ({named}) or 0 * max by (title) ({facts})"


def with_facts(matches: str, facts: str) -> str:
    """Matches by rule, with the rule's title and severity; only of rules in ``facts``."""
    of_rule = f"max by (rule, title, severity) ({facts})"
    return f"({matches} * on (rule) group_left (title, severity) {of_rule})"


def events_of_process(metric: str, *labels: str, window: str = RANGE, at: str = "") -> str:
    """The growth of one of the exporter's own counters, which begin at 0 in each process."""
    return grown(own(metric), f"by ({', '.join(('job', 'instance', *labels))})", window, at)


def total(vector: str, *labels: str) -> str:
    """The sum, by labels if there are any."""
    return f"sum by ({', '.join(labels)}) ({vector})" if labels else f"sum({vector})"


def quantile(share: float, buckets: str, *labels: str) -> str:
    """A quantile of a histogram from the growth of its buckets."""
    return f"histogram_quantile({share}, {total(buckets, 'le', *labels)})"


def top(count: int, vector: str) -> str:
    """The largest few."""
    return f"topk({count}, {vector})"
