"""The terms of many unstructured patterns, searched for in one pass over a message."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import re2

from exporter.patterns import regex
from exporter.patterns.compile import term_test
from exporter.patterns.document import Document
from exporter.patterns.syntax import Regex, Term, Text

_MAX_PROGRAM = 2 * regex.MAX_PROGRAM
"""Instructions in one set; more expressions go to another."""
_FEW = 8
"""Below this weight, single searches are faster than a set. A literal weighs 1, a regex 4."""


class TermSet:
    """Finds which of its terms a message contains.

    RE2 searches for all in linear time. If it runs out of memory, and for terms that no set can
    have, each term is searched for on its own.
    """

    def __init__(self, values: Sequence[Text | Regex]) -> None:
        """``values``: distinct; ``find`` returns their indexes."""
        self._tests = [term_test(Term("required", value)) for value in values]
        weight = sum(4 if isinstance(value, Regex) else 1 for value in values)
        alone = set(range(len(values)))
        self._sets: list[tuple[Any, list[int]]] = []
        if weight >= _FEW:
            for members, size in _divided(values):
                expressions = [_expression(values[index]) or "" for index in members]
                with suppress(re2.error):
                    self._sets.append((regex.compile_set(expressions, size), members))
                    alone -= set(members)
        self._alone = [(index, self._tests[index]) for index in sorted(alone)]

    def find(self, message: str) -> tuple[int, ...]:
        """The indexes of the terms in a message; equal for messages with the same terms."""
        found: list[int] = []
        if self._alone:
            document = Document(message)
            found = [index for index, holds in self._alone if holds(document)]
        if not self._sets:
            return tuple(found)
        encoded = regex.encode(message)
        for one, members in self._sets:
            matches = one.Match(encoded)
            if matches:
                matches.sort()
                matches.pop()
                found += [members[match] for match in matches]
            else:
                document = Document(message)
                found += [index for index in members if self._tests[index](document)]
        return tuple(found)


def _divided(values: Sequence[Text | Regex]) -> list[tuple[list[int], int]]:
    """The indexes of the values that sets can have, and the size of each set's program."""
    divided: list[tuple[list[int], int]] = []
    members: list[int] = []
    total = 0
    for index, value in enumerate(values):
        expression = _expression(value)
        if expression is None:
            continue
        size = regex.size(expression) if isinstance(value, Regex) else len(expression)
        if members and total + size > _MAX_PROGRAM:
            divided.append((members, total))
            members, total = [], 0
        members.append(index)
        total += size
    return [*divided, (members, total)] if members else divided


def _expression(value: Text | Regex) -> str | None:
    if isinstance(value, Regex):
        return value.expression
    # RE2 has no escape for a lone surrogate.
    encodable = value.text.isascii() or not any("\ud800" <= char <= "\udfff" for char in value.text)
    return "".join(map(regex.literal, value.text)) if encodable else None
