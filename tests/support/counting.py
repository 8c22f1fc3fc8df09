"""Short ways to make increments, rules and series totals."""

from __future__ import annotations

from exporter.ledger.base import Batch, SeriesRule, SeriesTotal
from exporter.model import Increment, Partition, SeriesKey

SOURCE = "history"
RULE = "logins"
METRIC = "logins_total"
PARTITION = Partition(SOURCE, "111122223333", "us-east-1")


def key(user: str | None = None, *, metric: str = METRIC) -> SeriesKey:
    """A series of ``metric``, with a user label or without."""
    labels = (("account_id", "111122223333"), ("region", "us-east-1"), ("source", SOURCE))
    return SeriesKey(metric, labels if user is None else (*labels, ("user", user)))


def increment(
    user: str | None = None,
    *,
    event_id: str | None,
    value: float | None = 1.0,
    rule: str = RULE,
    metric: str = METRIC,
    time: int = 1_000,
    event_time: int | None = None,
) -> Increment:
    """An increment of a series by user; without a user: of a rule without dynamic labels."""
    return Increment(
        rule=rule,
        series=key(user, metric=metric),
        overflow=key(None if user is None else "__overflow__", metric=metric),
        value=value,
        time=time,
        event_time=time if event_time is None else event_time,
        event_id=event_id,
    )


def batch(
    *increments: Increment,
    checkpoint: str = "c",
    partition: Partition = PARTITION,
    remember_from: int | None = None,
) -> Batch:
    """A batch of a partition."""
    return Batch(partition, checkpoint, increments, remember_from)


def series_rule(
    name: str = RULE,
    *,
    max_series: int = 1000,
    buckets: tuple[float, ...] | None = None,
    metric: str | None = None,
) -> SeriesRule:
    """A rule as the ledger knows it."""
    return SeriesRule(name, max_series, buckets, metric)


def total(
    user: str | None = None,
    value: float = 0.0,
    *,
    metric: str = METRIC,
    buckets: tuple[int, ...] | None = None,
    revealed: bool = False,
    event_id: str | None = None,
    event_value: float = 1.0,
    event_time: int | None = 1_700_000_000_123,
) -> SeriesTotal:
    """A committed series."""
    return SeriesTotal(
        key=key(user, metric=metric),
        total=value,
        buckets=buckets,
        created=1_700_000_000_000,
        revealed=revealed,
        event_id=event_id,
        event_value=event_value,
        event_time=event_time,
    )
