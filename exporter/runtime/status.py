"""The contents of the status page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exporter.clock import Clock
from exporter.configuration import RuleConfig, SourceConfig
from exporter.ledger.base import Ledger, LedgerCondition, LedgerError, RuleTotal
from exporter.metrics.recent import LAST, RecentMatches, with_stored
from exporter.runtime.engine import Engine
from exporter.runtime.reader import Reader
from exporter.web.status import (
    LedgerStatus,
    MatchStatus,
    PartitionStatus,
    RuleStatus,
    SourceStatus,
    State,
)


def source_status(
    config: SourceConfig, engine: Engine, clock: Clock, notices: Sequence[str] = ()
) -> SourceStatus:
    """A source and its partitions, as they are now."""
    return SourceStatus(
        name=config.name,
        type=config.type,
        interval=config.interval,
        lookback=getattr(config, "lookback", None),
        partitions=[_partition_status(one, clock.now()) for one in engine.readers(config.name)],
        failures=list(engine.failures(config.name).values()),
        feed=config.feed_name if config.feed_name != config.name else "",
        resource=config.kind.noun or "Resource",
        notices=notices,
    )


def _partition_status(reader: Reader, now: float) -> PartitionStatus:
    partition, meter, error = reader.partition, reader.meter, reader.error
    due_in = None if reader.request is None else reader.request.due_in
    backlog = "" if reader.backlog is None else reader.backlog.text(now)
    lag = None
    if reader.attempts and meter.read_up_to is not None:
        lag = max(0.0, now - meter.read_up_to / 1000)
    state: State = "failing" if error else "ok" if reader.attempts else "waiting"
    return PartitionStatus(
        account_id=partition.account_id,
        region=partition.region,
        resource=partition.resource,
        state=state,
        last_success=moment(meter.last_success),
        lag=lag,
        polls=reader.attempts,
        events=meter.events,
        error=error,
        notice=str(meter.rereads or "") or backlog,
        plan="" if meter.plan is None else meter.plan.short,
        why="" if meter.plan is None else meter.plan.why,
        next_poll=None if due_in is None else datetime.now(UTC) + timedelta(seconds=due_in),
    )


def rule_statuses(rules: Iterable[RuleConfig], totals: Iterable[RuleTotal]) -> list[RuleStatus]:
    """Each rule with its counts, over its sources."""
    by_rule: dict[str, list[RuleTotal]] = {}
    for total in totals:
        by_rule.setdefault(total.rule, []).append(total)
    return [_rule_status(rule, by_rule) for rule in rules]


def _rule_status(rule: RuleConfig, totals: Mapping[str, list[RuleTotal]]) -> RuleStatus:
    own = totals.get(rule.name, [])
    times = [t.last_event_time for t in own if t.last_event_time is not None]
    return RuleStatus(
        name=rule.name,
        title=rule.title,
        severity=rule.severity,
        pattern=rule.pattern,
        metric=rule.metric,
        sources=rule.sources,
        matches=sum(total.matches for total in own),
        series=max((total.series for total in own), default=0),
        fullest=max((total.fullest for total in own), default=0),
        max_series=rule.max_series,
        overflowed=sum(total.overflowed for total in own),
        value_errors=sum(total.value_errors for total in own),
        last_match=moment(max(times) / 1000) if times else None,
        warnings=[warning.message for warning in rule.compiled.warnings],
        description=rule.description,
        remediation=rule.remediation,
        controls=[f"{benchmark} {control}" for benchmark, control in rule.controls.items()],
        pack=rule.pack,
    )


def match_statuses(rule: str, recent: RecentMatches, ledger: Ledger) -> list[MatchStatus]:
    """The last matches of a rule, the latest first.

    If it has few since the start, those from before are completed from the ledger, which knows
    the last match of each series.
    """
    matches = recent.of(rule)
    if len(matches) < LAST:
        with suppress(LedgerError):  # the page says what is wrong with it
            matches = with_stored(matches, ledger.latest_matches(rule, LAST))
    matches.sort(key=lambda match: match.time or 0, reverse=True)
    return [
        MatchStatus(
            time=moment(None if match.time is None else match.time / 1000),
            event_id=match.event_id or "",
            account_id=match.account_id,
            region=match.region,
            source=match.source,
            log_group=match.log_group,
        )
        for match in matches
    ]


def ledger_status(condition: LedgerCondition) -> LedgerStatus:
    """The ledger, as it is now."""
    path = Path(condition.location)
    return LedgerStatus(
        path=str(path),
        size=path.stat().st_size if path.exists() else None,
        created=moment(condition.created / 1000),
        checking=condition.checking,
        files_lost=condition.files_lost,
        problem=condition.problem,
    )


def moment(seconds: float | None) -> datetime | None:
    """Seconds since the epoch as a time in UTC; None if the number is missing or too large."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
