"""The exporter's requests to AWS, and the cost of the same rules as metric filters."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders

from generator import style
from generator.layout import Line
from generator.panels import Query, graph, note, number
from generator.queries import own, total

# AWS: CloudWatch pricing, custom metrics a month, us-east-1: the first 10,000 at 0.30 USD, the next
# 240,000 at 0.10, the next 750,000 at 0.05, 0.02 beyond. The first price is a variable.
_TIERS: Final = ((10_000, 1.0), (240_000, 1 / 3), (750_000, 1 / 6), (None, 1 / 15))
_USD_PER_METRIC: Final = "$usd_per_metric"
_REQUESTS_A_MONTH: Final = 30 * 24 * 60
"""Of one metric, once a minute."""

_EXPLANATION: Final = """\
**These are estimates.** Prices are AWS's list prices for us-east-1; *USD per metric* above \
changes them. The free tier and discounts are left out.

- **A metric filter** creates a custom metric for each set of dimension values, which means one \
for each series of a rule. AWS allows three dimensions and 100 filters a log group; some rules \
could not be metric filters at all.
- **Reading them** with an exporter that calls GetMetricData once a minute costs \
0.01 USD a thousand metrics requested.
- **This exporter** calls LookupEvents and FilterLogEvents, which are free of charge. The numbers \
do not include its own CPU, memory and disk, or Prometheus's storage.
"""


def variables() -> list[builders.TextBoxVariable]:
    """The price that the estimates use."""
    return [
        builders.TextBoxVariable("usd_per_metric")
        .label("USD per metric")
        .description("Price of a CloudWatch custom metric a month, up to the first 10,000")
        .default_value("0.30")
    ]


def lines() -> list[Line]:
    """The panels."""
    series = total(own("series"))
    requests = own("api_requests_total")
    return [
        Line(
            4,
            [
                number(
                    "AWS requests a day",
                    "At the rate of the last hour. They are free of charge.",
                    f"{total(f'increase({requests}[1h])')} * 24",
                ),
                number(
                    "Series of rules",
                    "Label sets that rules count, over all rules.",
                    series,
                ),
                number(
                    "Estimate: metric filters avoided",
                    "Monthly price of these series as CloudWatch custom metrics.",
                    custom_metrics(series),
                    unit="currencyUSD",
                    decimals=2,
                    steps=style.GOOD,
                ),
                number(
                    "Estimate: GetMetricData avoided",
                    "Monthly price of reading them from CloudWatch once a minute.",
                    f"{series} * {_REQUESTS_A_MONTH} / 1000 * 0.01",
                    unit="currencyUSD",
                    decimals=2,
                    steps=style.GOOD,
                ),
            ],
        ),
        Line(
            8,
            [
                graph(
                    "AWS requests a day by operation",
                    "By operation, at the rate of the hour before each point.",
                    Query(
                        f"{total(f'increase({requests}[1h])', 'operation')} * 24", "{{operation}}"
                    ),
                    decimals=0,
                    stacked=True,
                ),
                graph(
                    "Estimate: CloudWatch avoided a month",
                    "Monthly price of the current series in CloudWatch, over time.",
                    Query(custom_metrics(series), "custom metrics"),
                    Query(f"{series} * {_REQUESTS_A_MONTH} / 1000 * 0.01", "GetMetricData"),
                    unit="currencyUSD",
                    stacked=True,
                ),
                note(
                    "How the estimates are made",
                    "Prices and assumptions behind the numbers of this section.",
                    _EXPLANATION,
                ),
            ],
        ),
    ]


def custom_metrics(count: str) -> str:
    """PromQL for the price a month of as many custom metrics, tier by tier."""
    parts, below = [], 0
    for size, share in _TIERS:
        part = f"clamp_min({count} - {below}, 0)" if below else count
        if size is not None:
            part = f"clamp_max({part}, {size})"
            below += size
        parts.append(f"{part} * {share:.4g}")
    return f"({' + '.join(parts)}) * {_USD_PER_METRIC}"
