"""``check --plan``: the requests that reading will take, in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from exporter.configuration import Configuration, SourceConfig
from exporter.model import Partition
from exporter.planning.forecast import ASSUMPTIONS, Forecast, Rates
from exporter.yamlfile.problems import plural

_SHOWN: Final = 3
"""Requests of a plan that are named."""
_DAY: Final = 86_400
_LONGEST: Final = 160
"""Characters of a request that are shown."""


def plan_lines(
    configuration: Configuration,
    events_per_second: float,
    seen: Mapping[str, Sequence[Rates]],
    found: Mapping[str, Sequence[Partition]],
) -> Iterator[str]:
    """The plan of each source, line by line.

    Args:
        configuration: the sources and rules.
        events_per_second: of each partition without a measured rate.
        seen: the rates that an exporter has measured, by source.
        found: the partitions that AWS has now, by source.
    """
    if any(not seen.get(source.name) for source in configuration.sources):
        yield (
            "Where nothing was measured, this assumes"
            f" {events_per_second:g} log event{'' if events_per_second == 1 else 's'} a second in"
            f" each partition (--plan.events-per-second); {ASSUMPTIONS}."
        )
    for source in configuration.sources:
        patterns = [rule.compiled for rule in configuration.rules_of(source.name)]
        for rates in seen.get(source.name) or [Rates.assumed(events_per_second)]:
            yield ""
            yield from _source_lines(source, source.forecast(patterns, rates), rates)
        yield from _found_lines(found.get(source.name, ()))


def _source_lines(source: SourceConfig, forecast: Forecast, rates: Rates) -> Iterator[str]:
    where = ", ".join(part for part in (rates.account_id, rates.region) if part)
    if not rates.plan:
        yield f"{source.name}, each {forecast.each}:"
    else:
        number = "" if rates.partitions == 1 else f", {plural(rates.partitions, 'partition')}"
        yield f"{source.name}, {where or 'all accounts and regions'}{number}:"
        now = sum(rates.events.values()) if len(rates.events) == 1 else None
        measured = "" if now is None else f", {now:g} log events a second each"
        yield f"  read now: {rates.plan}{measured}"
    for request in forecast.requests[:_SHOWN]:
        yield f"  request: {request if len(request) <= _LONGEST else request[:_LONGEST] + '…'}"
    if len(forecast.requests) > _SHOWN:
        yield f"  and {len(forecast.requests) - _SHOWN} more"
    yield f"  why: {forecast.why}"
    if forecast.requests:
        calls = forecast.calls_a_day * rates.partitions
        usd = forecast.usd_a_month * rates.partitions
        price = f"{usd:.2f} USD a month" if usd else "free of charge"
        instead = forecast.everything_a_day and forecast.everything_a_day * rates.partitions
        more = f" (reading everything would take {instead:,.0f})" if instead else ""
        yield f"  about {calls:,.0f} calls a day{more}, {price}"
        allowed = (forecast.quota or math.inf) * _DAY
        if calls > allowed:
            yield (
                f"  AWS's quota and `budget` allow {allowed:,.0f} calls of {forecast.operation} a"
                " day in an account and region: re-reads are left out, and if that is not enough,"
                " events count later"
            )


def _found_lines(partitions: Sequence[Partition]) -> Iterator[str]:
    """How many there are, by account and region."""
    places = Counter((one.account_id, one.region) for one in partitions)
    for (account_id, region), number in sorted(places.items()):
        yield f"  found: {number:,} in account {account_id}, {region}"
