"""How the increment of a rule is taken from a line that it matches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from exporter.configuration import Part, Reference, ValueSpec
from exporter.model import Increment
from exporter.patterns import Document, Match
from exporter.patterns.splitting import rest_of
from exporter.rules.increments import Increments
from exporter.rules.labels import MAX_LABEL_LENGTH, amount, label_text, label_value, metric_value
from exporter.rules.places import Place

Extracted = Mapping[str, tuple[int, int | None]]
"""By reference: the index of a field's text, and the fields before it if the rest is its text."""
Take = Callable[[Sequence[str], str], Increment]
"""Makes an increment from the fields of a line and the line."""
Decode = Callable[[Document], Increment]
"""Makes an increment from a message that may be JSON."""

_Read = Callable[[Sequence[str], str], str]

_MOST_KEPT = 4096
"""Texts whose amounts are kept for a value."""


class Amounts:
    """The amounts of texts for one value of rules, each read once."""

    __slots__ = ("_kept", "_spec")

    def __init__(self, spec: ValueSpec) -> None:
        self._spec = spec
        self._kept: dict[str, float | None] = {}

    def of(self, text: str) -> float | None:
        """See ``amount``."""
        kept = self._kept
        if text in kept:
            return kept[text]
        value = amount(self._spec, text)
        if len(text) <= MAX_LABEL_LENGTH:
            if len(kept) >= _MOST_KEPT:
                kept = self._kept = {}
            kept[text] = value
        return value


def decoding(increments: Increments, place: Place) -> Decode | None:
    """How to make the increments of a rule whose references are selectors; None if they are not.

    Unstructured patterns may have selectors, for messages that are JSON.
    """
    rule = increments.rule
    references = [reference for each in rule.dynamic.values() for reference in each]
    if rule.value.reference is not None:
        references.append(rule.value.reference)
    if all(reference.selector is None for reference in references):
        return None
    match = Match()

    def decode(document: Document) -> Increment:
        labels = [label_value(each, document, match) for each in rule.dynamic.values()]
        value = rule.value.number
        if rule.value.reference is not None:
            value = metric_value(rule.value, document, match)
        return increments.make(place, tuple(labels), value)

    return decode


def taking(
    increments: Increments, amounts: Amounts, extracted: Extracted, place: Place
) -> Increment | Take:
    """How to make the increments of a rule; the increment itself if it is always the same."""
    rule = increments.rule
    spec = rule.value
    labels = [_reader(each, extracted) for each in rule.dynamic.values()]
    value = spec.number
    if spec.reference is not None:
        read = _field(spec.reference, extracted)
        if read is not None:
            return _measured(increments, [one or _nothing for one in labels], read, amounts, place)
        value = None
    if not any(labels):
        return increments.make(place, ("",) * len(labels), value)
    return _constant(increments, [one or _nothing for one in labels], value, place)


def _constant(
    increments: Increments, labels: Sequence[_Read], value: float | None, place: Place
) -> Take:
    make = increments.make
    if len(labels) == 1:
        (read,) = labels
        return lambda texts, line: make(place, (label_text(read(texts, line)),), value)
    return lambda texts, line: make(
        place, tuple([label_text(read(texts, line)) for read in labels]), value
    )


def _measured(
    increments: Increments, labels: Sequence[_Read], value: _Read, amounts: Amounts, place: Place
) -> Take:
    make, amount_of = increments.make, amounts.of
    if not labels:
        return lambda texts, line: make(place, (), amount_of(value(texts, line)))
    return lambda texts, line: make(
        place,
        tuple([label_text(read(texts, line)) for read in labels]),
        amount_of(value(texts, line)),
    )


def _reader(references: Sequence[Reference], extracted: Extracted) -> _Read | None:
    """Reads the first reference that a match extracts, as a label; None if it extracts none."""
    for reference in references:
        read = _field(reference, extracted)
        if read is not None:
            return read if reference.part is None else _part(read, reference.part)
    return None


def _field(reference: Reference, extracted: Extracted) -> _Read | None:
    found = extracted.get(reference.field or "")
    if found is None:
        return None
    index, before = found
    if before is None:
        return lambda texts, _line: texts[index]
    return lambda _texts, line: rest_of(line, before)


def _part(read: _Read, part: Part) -> _Read:
    return lambda texts, line: part.of(read(texts, line))


def _nothing(_texts: Sequence[str], _line: str) -> str:
    return ""
