"""PromQL in pieces: selectors that use the dashboard's variables, and queries on them."""

from __future__ import annotations

from typing import Final

OWN: Final = "metric_filter_exporter_"
"""The prefix of the exporter's own metrics."""
TARGET: Final = 'job=~"$job", instance=~"$instance"'
"""Every selector has it, to choose one of several exporters."""
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


def in_range(selector: str) -> str:
    """How much counters grew in the dashboard's time range."""
    return f"increase({selector}[$__range])"


def per_second(selector: str) -> str:
    """How fast counters grow."""
    return f"rate({selector}[$__rate_interval])"


def per_interval(selector: str) -> str:
    """How much counters grew, bar by bar of a graph.

    The rate's window is a little wider than a bar, so no match falls between two windows. Since
    it is a rate, a match in two windows does not count twice in the sum of the bars.
    """
    return f"{per_second(selector)} * $__interval_ms / 1000"


def total(vector: str, *labels: str) -> str:
    """The sum, by labels if there are any."""
    return f"sum by ({', '.join(labels)}) ({vector})" if labels else f"sum({vector})"


def once(vector: str) -> str:
    """Matches of CloudTrail records that two sources may both have read, counted once.

    Event history and a trail in a log group contain the same events. The alerts do the same.
    """
    return f"max without (source, log_group) ({vector})"


def quantile(share: float, buckets: str, *labels: str) -> str:
    """A quantile of a histogram from the growth of its buckets."""
    return f"histogram_quantile({share}, {total(buckets, 'le', *labels)})"


def top(count: int, vector: str) -> str:
    """The largest few."""
    return f"topk({count}, {vector})"


def or_zero(vector: str, rules: str) -> str:
    """``vector``, or 0 if it is empty and one of the rules is loaded.

    Thus 0 means "did not happen", and never "not monitored".
    """
    return f"{vector} or sum(0 * {rules})"
