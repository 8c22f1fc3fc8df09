"""Short ways to make judged events, rules and series totals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from exporter.ledger.base import Batch, Committed, Ledger, LoadedRules, Member, RuleUse, SeriesTotal
from exporter.ledger.ledger import StoredLedger
from exporter.model import Increment, JudgedEvent, Partition, SeriesKey

AnyLedger: TypeAlias = Ledger | StoredLedger

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
    scope: str = "",
) -> JudgedEvent:
    """An event with an increment of a series by user; without: of a rule without dynamic labels."""
    one = Increment(
        rule=rule,
        series=key(user, metric=metric),
        overflow=key(None if user is None else "__overflow__", metric=metric),
        value=value,
    )
    happened = time if event_time is None else event_time
    return JudgedEvent(event_id, scope, time, happened, frozenset([rule]), (one,))


def batch(
    *events: JudgedEvent,
    checkpoint: str = "c",
    partition: Partition = PARTITION,
    remember_from: int | None = None,
) -> Batch:
    """A batch of a partition, as the first that is read of it."""
    feed = partition.source
    return Batch(
        partition, feed, checkpoint, expected=None, events=events, remember_from=remember_from
    )


def commit(ledger: AnyLedger, one: Batch) -> Committed:
    """Commit a batch after whatever the partition's last one was."""
    return ledger.commit(replace(one, expected=ledger.checkpoint(one.partition)))


def expire(
    ledger: AnyLedger,
    source: str,
    found: Iterable[Partition],
    *,
    looked_at: int | None,
    memory: int,
) -> int:
    """Delete memory of a source that is the only one of its feed."""
    return ledger.expire(source, [Member(source, list(found), looked_at, memory)])


def definition(
    metric: str = METRIC,
    *,
    labels: Iterable[str] = ("user",),
    buckets: tuple[float, ...] | None = None,
    uses_default_metric: bool = False,
    pattern: str = "",
    unbounded: Iterable[str] = (),
) -> str:
    """A rule's definition, as far as the ledger reads it."""
    fields = {
        "buckets": buckets,
        "labels": dict.fromkeys(labels, ""),
        "metric": metric,
        "pattern": pattern,
        "uses_default_metric": uses_default_metric,
        "unbounded": list(unbounded),
    }
    return json.dumps(fields, sort_keys=True)


def use(
    metric: str = METRIC,
    *,
    start: int | None = None,
    own_start: bool = False,
    max_series: int = 1000,
    **edit: Any,
) -> RuleUse:
    """A rule as a configuration has it on a source."""
    return RuleUse(start, own_start, definition(metric, **edit), max_series)


def load(
    ledger: AnyLedger,
    uses: Mapping[str, Mapping[str, RuleUse]],
    *,
    now: int = 0,
    keep: int = 0,
    generation: str | None = None,
) -> LoadedRules:
    """Load rules, by source and name, as a configuration of its own."""
    return ledger.load_rules(
        uses, now=now, keep=dict.fromkeys(uses, keep), generation=generation or repr(uses)
    )


def load_one(ledger: AnyLedger, name: str = RULE, **edit: Any) -> LoadedRules:
    """Load one rule of one source."""
    return load(ledger, {SOURCE: {name: use(**edit)}})


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
