"""Lines that look like the format of a pack, and that no rule matches: it cannot read them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from exporter.configuration import LineFormat
from exporter.model import LogEvent
from exporter.patterns import Document, FilterPattern
from exporter.patterns.syntax import TermsPattern
from exporter.rules.termindex import TermIndex

_MOST_SHOWN = 200
"""Characters of a shape."""
_MOST_LOOKED_AT = 200
"""Lines of a batch: a look costs as much as its rules."""


class Unrecognized(NamedTuple):
    """How many such lines there are, and the shape of one."""

    lines: int
    shape: str


class Recognizer:
    """The formats of the packs that listen to a source. Thread-safe; can be pickled."""

    def __init__(self, formats: Mapping[str, LineFormat]) -> None:
        self._formats = dict(formats)
        terms: dict[int, TermsPattern] = {}
        self._packs = [
            _Pack(pack, _side(one.looks_like, terms), _side(one.other, terms))
            for pack, one in formats.items()
        ]
        self._terms = TermIndex(terms) if terms else None

    def packs(self, message: str) -> list[str]:
        """The packs whose format a line looks like, without the lines that no rule is for."""
        found = 0 if self._terms is None else self._terms.matching(message)
        document = Document(message)
        return [
            pack
            for pack, like, other in self._packs
            if not found & other.terms
            and (found & like.terms or (like.rest and like.has(document)))
            and not (other.rest and other.has(document))
        ]

    def unrecognized(
        self, missed: Sequence[LogEvent], is_for_a_rule: Callable[[LogEvent], bool]
    ) -> dict[str, Unrecognized]:
        """By pack, its lines among the events that no rule matched: an estimate if these are many.

        ``is_for_a_rule``: whether a rule matches one that it does not count, such as an old one.
        """
        found: dict[str, Unrecognized] = {}
        for number, event in _sample(missed):
            packs = self.packs(event.message)
            if packs and not is_for_a_rule(event):
                for pack in packs:
                    lines, shape = found.get(pack) or (0, shape_of(event.message))
                    found[pack] = Unrecognized(lines + number, shape)
        return found

    def __reduce__(self) -> tuple[object, tuple[dict[str, LineFormat]]]:
        return Recognizer, (self._formats,)


def _sample(missed: Sequence[LogEvent]) -> Iterator[tuple[int, LogEvent]]:
    """Some of the events, each with the number of those that it stands for."""
    step = -(-len(missed) // _MOST_LOOKED_AT) or 1
    for start in range(0, len(missed), step):
        block = missed[start : start + step]
        yield len(block), random.choice(block)  # noqa: S311 - no secret


class _Side(NamedTuple):
    """Patterns of a pack: those of terms as a set of bits, and the others."""

    terms: int
    rest: Sequence[FilterPattern]

    def has(self, document: Document) -> bool:
        return any(pattern.match_document(document) for pattern in self.rest)


class _Pack(NamedTuple):
    name: str
    like: _Side
    other: _Side


def _side(patterns: Iterable[FilterPattern], terms: dict[int, TermsPattern]) -> _Side:
    """Adds patterns of terms to those of all packs."""
    bits, rest = 0, []
    for pattern in patterns:
        if isinstance(pattern.tree, TermsPattern):
            bit = 1 << len(terms)
            terms[bit] = pattern.tree
            bits |= bit
        else:
            rest.append(pattern)
    return _Side(bits, rest)


def joined(parts: Sequence[Mapping[str, Unrecognized]]) -> dict[str, Unrecognized]:
    """The sum of some; of each pack the first shape."""
    total: dict[str, Unrecognized] = {}
    for part in parts:
        for pack, one in part.items():
            before = total.get(pack, Unrecognized(0, one.shape))
            total[pack] = Unrecognized(before.lines + one.lines, before.shape)
    return total


def shape_of(line: str) -> str:
    """The beginning of a line without its contents: letters are ``a``, digits ``0``."""
    return "".join(map(_redacted, line[:_MOST_SHOWN]))


def _redacted(char: str) -> str:
    if char.isalpha():
        return "a"
    if char.isnumeric():
        return "0"
    return char if " " <= char <= "~" else " "
