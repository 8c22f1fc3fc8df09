"""Evaluates one batch of a partition's log events."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

from exporter.exactness import may_count
from exporter.model import (
    EventFormat,
    EventKey,
    JudgedEvent,
    Limits,
    LogEvent,
    Partition,
    Records,
)
from exporter.patterns import MISSING
from exporter.rules.cloudtrail import is_record
from exporter.rules.decoder import are_records, envelope_mark
from exporter.rules.envelopes import opened
from exporter.rules.judges import Judges
from exporter.rules.places import Places
from exporter.rules.program import Program
from exporter.rules.records import Facts, aliases, facts
from exporter.rules.values import InexactError

Known = Callable[[Sequence[EventKey]], Sequence[frozenset[str] | None]]
"""Returns for each event the rules that have judged it; None if it is not remembered."""


_is_usual = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII).fullmatch
"""Whether a time is as CloudTrail writes it, so that texts are in the order of times."""


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
        feed: str,
        by_event_time: bool,
    ) -> None:
        """See RuleSet.evaluate.

        ``by_event_time``: whether events are judged by the versions in force when they happened.
        """
        self._judges = judges
        self._partition = partition
        self._format = event_format
        self._watermark = watermark
        self._backfill = backfill
        self._limits = limits
        self.excluded: dict[tuple[str, str], int] = {}
        """The number of events that the limits exclude (see ``model.Excluded``)."""
        self.missed: list[LogEvent] | None = None
        """If it is a list, the events that no rule matches are added (not records of documents)."""
        self._places = Places(partition, feed)
        self._decode = judges.decoder.decode
        self._latest = judges.program(None, None)
        self._is_timed = by_event_time and not judges.is_timeless
        """Whether the rules that judge an event depend on when it happened."""
        self._has_aliases = partition.kind.local_ids
        self._reads_fields = judges.reads_json or event_format != "lines"

    def judge(self, events: Sequence[LogEvent], known: Known | None) -> list[JudgedEvent]:
        """The events that a rule matches, of those that are not ``known`` to be judged."""
        if isinstance(events, Records):
            judged = self._judge_document(events) if known is None else None
            if judged is not None:
                return judged
            events = events.events
        if not self._reads_fields and self._limits is None:
            return self._judge_lines(events, known)
        decoded = self._decoded(events)
        if known is not None:
            return self._judge_unknown(events, decoded, known)
        quick = None
        missed = self.missed
        counts_all = self._watermark is None and self._limits is None and not self._is_timed
        if counts_all and self._latest.of_line is None:
            quick = self._latest.matching
        judged = []
        for index, (event, fields) in enumerate(decoded):
            try:
                if quick is None:
                    one = self._judged(event, fields)
                else:
                    matching = fields and quick(fields)
                    one = None
                    if matching:
                        one = self._made(event, fields, None, self._latest, matching)
            except InexactError:
                one = self._judged(*self._exact(events[index]))
            if one is not None:
                judged.append(one)
            elif missed is not None:
                missed.append(events[index])
        return judged

    def is_for_a_rule(self, event: LogEvent) -> bool:
        """Whether a rule that is in force matches an event, counted or not."""
        program = self._latest
        place = self._places.of(self._partition.account_id, self._partition.region)
        if program.of_line is not None and program.of_line(event.message, place):
            return True
        fields = self._decode(event.message) if program.matching is not None else None
        try:
            return bool(fields and program.matching and program.matching(fields))
        except InexactError:
            return True

    def _judge_document(self, records: Records) -> list[JudgedEvent] | None:
        """Judge the records of a document; None if it has to be split."""
        program = self._latest
        if self._watermark is not None or self._judges.reads_lines:
            return None
        pieces = self._judges.decoder.records(records, cloudtrail=self._format == "cloudtrail")
        if pieces is None:
            return None
        # Records of an unsplit document have no messages.
        event = LogEvent("", records.time)
        judged: list[JudgedEvent | None] = []
        inexact: list[tuple[int, int]] = []
        """Where in ``judged``, and which record."""
        excluded: Counter[tuple[str, str]] = Counter()
        before = 0
        try:
            for piece in pieces:
                # A container's own fields may say where an object is from if it has no `eventID`.
                # With a declared format, each has one, and an envelope has none.
                if self._format != "cloudtrail" and not are_records(piece):
                    return None
                if self._is_timed and not _are_from(self._judges.latest_from, piece):
                    return None
                found: list[tuple[int, Any, list[int] | None]] = []
                indices, admitted = self._admitted(event, piece, excluded)
                if program.scan is not None:
                    program.scan(admitted, found)
                for place, fields, matching in found:
                    try:
                        if matching is None:
                            raise InexactError
                        judged.append(self._made(event, fields, None, program, matching))
                    except InexactError:
                        inexact.append((len(judged), before + indices[place]))
                        judged.append(None)
                before += len(piece)
        except (ValueError, RecursionError):
            return None
        records.counted(before)
        for key, number in excluded.items():
            self._exclude(key, number)
        for at, index in inexact:
            judged[at] = self._judged(*self._exact(records.events[index]))
        return [one for one in judged if one is not None]

    def _admitted(
        self, event: LogEvent, piece: list[Any], excluded: Counter[tuple[str, str]]
    ) -> tuple[Sequence[int], list[Any]]:
        """The records that the limits admit, and which these are; the others are counted.

        Raises ValueError if a record needs exact decoding.
        """
        limits = self._limits
        if limits is None:
            return range(len(piece)), piece
        accounts = (limits.account_ids or ()) if limits.since is None else ()
        is_declared = self._format == "cloudtrail"
        indices: list[int] = []
        for index, fields in enumerate(piece):
            account_id = fields.recipientAccountId
            admitted = account_id.__class__ is str and account_id in accounts
            try:
                # Another record in the format `auto` has the partition's account.
                if not (admitted and (is_declared or is_record(fields))):
                    key = _exclusion(limits, self._facts(event, fields))
                    if key is not None:
                        excluded[key] += 1
                        continue
            except InexactError as error:
                raise ValueError from error
            indices.append(index)
        return indices, [piece[index] for index in indices]

    def _judge_lines(self, events: Sequence[LogEvent], known: Known | None) -> list[JudgedEvent]:
        """Judge events that have the partition's facts, whatever their messages say."""
        scope, is_by_time = self._partition.key, self._partition.kind.by_event_time
        counted: Iterable[frozenset[str] | None] = repeat(None, len(events))
        if known is not None:
            # No event has an empty id.
            counted = known([(scope, e.id or "", e.time if is_by_time else None) for e in events])
        place = self._places.of(self._partition.account_id, self._partition.region)
        common = self._common_program(events)
        judged: list[JudgedEvent] = []
        for event, before in zip(events, counted, strict=True):
            program = common or self._program(event, self._facts(event, None))
            if before is not None and program.names <= before:
                continue
            if program.of_line is None or not (increments := program.of_line(event.message, place)):
                if self.missed is not None:
                    self.missed.append(event)
                continue
            fact = self._facts(event, None)
            judged.append(
                JudgedEvent(
                    event_id=event.id,
                    scope=scope,
                    time=event.time,
                    event_time=fact.event_time,
                    judged=program.names,
                    increments=tuple(increments),
                    aliases=self._aliases(event, fact),
                )
            )
        return judged

    def _common_program(self, events: Sequence[LogEvent]) -> Program | None:
        """The rules that judge all these events, by their own times; None if these differ."""
        if self._watermark is None or not events:
            return self._latest
        times = [event.time for event in events]
        first, last = min(times), max(times)
        if first < self._watermark:
            return None
        if not self._is_timed:
            return self._latest
        return self._judges.common_program(first, last)

    def _aliases(self, event: LogEvent, fact: Facts) -> tuple[EventKey, ...]:
        if not self._partition.kind.local_ids:
            return ()
        try:
            return aliases(event, self._decode(event.message), self._partition, fact)
        except InexactError:
            return aliases(*self._exact(event), self._partition, fact)

    def _exact(self, event: LogEvent) -> tuple[LogEvent, Any]:
        exact = self._judges.decoder.exact
        return self._opened(event, exact(event.message), exact)

    def _opened(
        self, event: LogEvent, fields: Any, decode: Callable[[str], Any]
    ) -> tuple[LogEvent, Any]:
        """The log event in an envelope; every other one as it is."""
        if self._format == "lines" or fields is None or envelope_mark(fields) is MISSING:
            return event, fields
        trusted = self._format == "cloudtrail" or not self._partition.kind.local_ids
        return opened(event, decode, trusted=trusted) or (event, fields)

    def _decoded(self, events: Iterable[LogEvent]) -> Iterator[tuple[LogEvent, Any]]:
        """The events with their fields; of an envelope, the record in it."""
        decode, mark, missing = self._decode, envelope_mark, MISSING
        for event in events:
            fields = decode(event.message)
            if fields is None or mark(fields) is missing:
                yield event, fields
                continue
            try:
                yield self._opened(event, fields, decode)
            except InexactError:
                yield self._exact(event)

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
        if self._limits is not None and fact is not None:
            key = _exclusion(self._limits, fact)
            if key is not None:
                self._exclude(key, 1)
                return None
        program = self._program(event, fact)
        matching: list[int] = []
        if fields is not None and program.matching is not None:
            matching = program.matching(fields)
        if not matching and program.of_line is None:
            return None
        return self._made(event, fields, fact, program, matching)

    def _made(
        self,
        event: LogEvent,
        fields: Any,
        fact: Facts | None,
        program: Program,
        matching: list[int],
    ) -> JudgedEvent | None:
        """What an event adds. ``matching``: the rules with JSON patterns that match."""
        if fact is None:
            fact = self._facts(event, fields)
        place = self._places.of(fact.account_id, fact.region)
        increments = program.made(matching, fields, place) if matching else ()
        if program.of_line is not None:
            of_lines = program.of_line(event.message, place)
            increments = (
                tuple(program.in_order([*increments, *of_lines])) if increments else tuple(of_lines)
            )
            if not increments:
                return None
            if fields is None and not self._reads_fields and self._partition.kind.local_ids:
                fields = self._decode(event.message)
        also = aliases(event, fields, self._partition, fact) if self._has_aliases else ()
        return JudgedEvent(
            fact.event_id,
            fact.scope,
            event.time,
            fact.event_time,
            program.names,
            increments,
            also,
        )

    def _exclude(self, key: tuple[str, str], number: int) -> None:
        self.excluded[key] = self.excluded.get(key, 0) + number

    def _facts(self, event: LogEvent, fields: Any) -> Facts:
        return facts(event, fields, self._partition, self._format)

    def _program(self, event: LogEvent, fact: Facts | None) -> Program:
        only = may_count(event.time, self._watermark, self._backfill)
        happened = fact.happened if self._is_timed and fact is not None else None
        if only is None and happened is None:
            return self._latest
        return self._judges.program(happened, only)


def _exclusion(limits: Limits, fact: Facts) -> tuple[str, str] | None:
    """Why the limits exclude an event, and its account; None if they admit it."""
    if limits.account_ids is not None and fact.account_id not in limits.account_ids:
        return "account", fact.account_id
    if limits.since is not None and (fact.event_time or limits.since) < limits.since:
        return "start", fact.account_id
    return None


def _are_from(earliest: str, records: Iterable[Any]) -> bool:
    """Whether all records are known to be from a time or later, as CloudTrail writes it."""
    times = [record.eventTime for record in records]
    return all(type(time) is str and time >= earliest and _is_usual(time) for time in times)
