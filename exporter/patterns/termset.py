"""The terms of many unstructured patterns, searched for in one pass over a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import re2

from exporter.patterns import regex
from exporter.patterns.compile import term_test
from exporter.patterns.document import Document
from exporter.patterns.syntax import Regex, Term, Text

_MAX_MEMORY = 32 << 20
"""Bytes for one set."""
_MAX_PROGRAM = 2 * regex.MAX_PROGRAM
"""Instructions in one set; more expressions go to another."""
_FEW = 8
"""Below this weight, single searches are faster than a set. A literal weighs 1, a regex 4."""


class TermSet:
    """Finds which of its terms a message contains.

    RE2 searches for all in linear time. If it runs out of memory, it reports no match at all, so a
    set also has an expression that matches anything; without it, and for terms that no set can
    have, each term is searched for on its own.
    """

    def __init__(self, values: Sequence[Text | Regex]) -> None:
        """``values``: distinct; ``find`` returns their indexes."""
        self._tests = [term_test(Term("required", value)) for value in values]
        weight = sum(4 if isinstance(value, Regex) else 1 for value in values)
        alone = set(range(len(values)))
        self._sets: list[tuple[Any, list[int]]] = []
        if weight >= _FEW:
            for members in _divided(values):
                made = _compiled([_expression(values[index]) for index in members])
                if made is not None:
                    self._sets.append((made, members))
                    alone -= set(members)
        self._alone = [(index, self._tests[index]) for index in sorted(alone)]

    def find(self, message: str) -> tuple[int, ...]:
        """The indexes of the terms in a message; equal for messages with the same terms."""
        document = Document(message)
        found = [index for index, holds in self._alone if holds(document)]
        for one, members in self._sets:
            matches = one.Match(document.encoded)
            if matches:
                matches.sort()
                matches.pop()
                found += [members[match] for match in matches]
            else:
                found += [index for index in members if self._tests[index](document)]
        return tuple(found)


def _divided(values: Sequence[Text | Regex]) -> list[list[int]]:
    """The indexes of the values that sets can have, divided by the size of their programs."""
    divided: list[list[int]] = []
    room = 0
    for index, value in enumerate(values):
        expression = _expression(value)
        if expression is None:
            continue
        literal = isinstance(value, Text)
        size = len(expression) if literal else regex.size(expression)
        if size > room:
            divided.append([])
            room = _MAX_PROGRAM
        room -= size
        divided[-1].append(index)
    return divided


def _expression(value: Text | Regex) -> str | None:
    if isinstance(value, Regex):
        return value.expression
    # RE2 has no escape for a lone surrogate.
    encodable = value.text.isascii() or not any("\ud800" <= char <= "\udfff" for char in value.text)
    return "".join(map(regex.literal, value.text)) if encodable else None


def _compiled(expressions: Sequence[str | None]) -> Any | None:  # re2 has no types
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    made = re2.Set.SearchSet(options)
    try:
        for expression in (*expressions, ""):
            made.Add((expression or "").encode())
        made.Compile()
    except re2.error:
        return None
    return made
