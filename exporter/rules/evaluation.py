"""Evaluates one batch of a partition's log events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from exporter.exactness import may_count
from exporter.model import (
    EventFormat,
    EventKey,
    Increment,
    JudgedEvent,
    Limits,
    LogEvent,
    Partition,
    Records,
)
from exporter.rules.decoder import have_envelopes, may_be_envelope
from exporter.rules.envelopes import opened
from exporter.rules.judges import Judges
from exporter.rules.places import Places
from exporter.rules.program import Program
from exporter.rules.records import Facts, aliases, facts
from exporter.rules.values import InexactError

Known = Callable[[Sequence[EventKey]], Sequence[frozenset[str] | None]]
"""Returns for each event the rules that have judged it; None if it is not remembered."""


class Batch:
    """Log events of a partition, judged by the rules that may count them.

    Their fields are decoded by type. An event that has a value whose exact text is not known then
    is judged again, decoded exactly.
    """

    def __init__(
        self,
        judges: Judges,
        partition: Partition,
        event_format: EventFormat,
        *,
        watermark: int | None,
        backfill: frozenset[str],
        limits: Limits | None,
    ) -> None:
        """See RuleSet.evaluate."""
        self._judges = judges
        self._partition = partition
        self._format = event_format
        self._watermark = watermark
        self._backfill = backfill
        self._limits = limits
        self.excluded: dict[tuple[str, str], int] = {}
        """The number of events that the limits exclude (see ``model.Excluded``)."""
        self._places = Places(partition)
        self._decode = judges.decoder.decode
        self._latest = judges.program(None, None)
        self._is_timed = watermark is not None and not judges.is_timeless
        """Whether the rules that judge an event depend on when it happened."""
        self._reads_fields = judges.reads_json or event_format != "lines"

    def judge(self, events: Sequence[LogEvent], known: Known | None) -> list[JudgedEvent]:
        """The events that a rule matches, of those that are not ``known`` to be judged."""
        decoded = self._decoded(events)
        if known is not None:
            return self._judge_unknown(events, decoded, known)
        judged = []
        for index, (event, fields) in enumerate(decoded):
            try:
                one = self._judged(event, fields)
            except InexactError:
                one = self._judged(*self._exact(events[index]))
            if one is not None:
                judged.append(one)
        return judged

    def _exact(self, event: LogEvent) -> tuple[LogEvent, Any]:
        exact = self._judges.decoder.exact
        return self._opened(event, exact(event.message), exact)

    def _opened(
        self, event: LogEvent, fields: Any, decode: Callable[[str], Any]
    ) -> tuple[LogEvent, Any]:
        """The log event in an envelope; every other one as it is."""
        if self._format == "lines" or fields is None or not may_be_envelope(fields):
            return event, fields
        trusted = self._format == "cloudtrail" or not self._partition.kind.local_ids
        return opened(event, decode, trusted=trusted) or (event, fields)

    def _decoded(self, events: Sequence[LogEvent]) -> Iterable[tuple[LogEvent, Any]]:
        """The events with their fields. Those of an unsplit document have no messages."""
        if isinstance(events, Records):
            if not self._judges.reads_lines:
                records = self._judges.decoder.records(events.document)
                if records is not None and not have_envelopes(records):
                    events.counted(len(records))
                    unsplit = LogEvent("", events.time)
                    return [(unsplit, fields) for fields in records]
            events = events.events
        if not self._reads_fields:
            return [(event, None) for event in events]
        return self._decoded_one_by_one(events)

    def _decoded_one_by_one(self, events: Iterable[LogEvent]) -> Iterator[tuple[LogEvent, Any]]:
        decode = self._decode
        for event in events:
            fields = decode(event.message)
            if fields is not None and may_be_envelope(fields):
                try:
                    yield self._opened(event, fields, decode)
                except InexactError:
                    yield self._exact(event)
            else:
                yield event, fields

    def _judge_unknown(
        self, events: Sequence[LogEvent], decoded: Iterable[tuple[LogEvent, Any]], known: Known
    ) -> list[JudgedEvent]:
        pending = []
        for index, (event, fields) in enumerate(decoded):
            try:
                pending.append((event, fields, self._facts(event, fields)))
            except InexactError:
                exactly = self._exact(events[index])
                pending.append((*exactly, self._facts(*exactly)))
        keys = [
            (fact.scope, fact.event_id, fact.event_time)
            for _, _, fact in pending
            if fact.event_id is not None
        ]
        answers = iter(known(keys) if keys else ())
        judged = []
        for index, (event, fields, fact) in enumerate(pending):
            counted = None if fact.event_id is None else next(answers)
            if counted is not None and self._program(event, fact).names <= counted:
                continue
            try:
                one = self._judged(event, fields, fact)
            except InexactError:
                one = self._judged(*self._exact(events[index]))
            if one is not None:
                judged.append(one)
        return judged

    def _judged(
        self, event: LogEvent, fields: Any, fact: Facts | None = None
    ) -> JudgedEvent | None:
        """What the rules make of an event; None if none matches. Raises InexactError."""
        if fact is None and (self._is_timed or self._limits is not None):
            fact = self._facts(event, fields)
        if self._limits is not None and fact is not None and self._excludes(self._limits, fact):
            return None
        program = self._program(event, fact)
        lines = program.lines
        matching: Sequence[int] = ()
        if fields is not None and program.matching is not None:
            matching = program.matching(fields)
        if not matching and lines is None:
            return None
        if fact is None:
            fact = self._facts(event, fields)
        place = self._places.of(fact.account_id, fact.region)
        increments: Sequence[Increment] = program.made(matching, fields, place) if matching else []
        if lines is not None:
            of_lines = lines.increments(event.message, place)
            increments = program.in_order([*increments, *of_lines]) if increments else of_lines
            if not increments:
                return None
            if fields is None and not self._reads_fields and self._partition.kind.local_ids:
                fields = self._decode(event.message)
        return JudgedEvent(
            event_id=fact.event_id,
            scope=fact.scope,
            time=event.time,
            event_time=fact.event_time,
            judged=program.names,
            increments=tuple(increments),
            aliases=aliases(event, fields, self._partition, fact),
        )

    def _excludes(self, limits: Limits, fact: Facts) -> bool:
        """Whether the limits exclude an event, which is counted then."""
        reason = ""
        if limits.account_ids is not None and fact.account_id not in limits.account_ids:
            reason = "account"
        elif limits.since is not None and (fact.event_time or limits.since) < limits.since:
            reason = "start"
        if reason:
            key = (reason, fact.account_id)
            self.excluded[key] = self.excluded.get(key, 0) + 1
        return bool(reason)

    def _facts(self, event: LogEvent, fields: Any) -> Facts:
        return facts(event, fields, self._partition, self._format)

    def _program(self, event: LogEvent, fact: Facts | None) -> Program:
        only = may_count(event.time, self._watermark, self._backfill)
        happened = fact.happened if self._is_timed and fact is not None else None
        if only is None and happened is None:
            return self._latest
        return self._judges.program(happened, only)
