"""The wildcards and regular expressions on one selector, searched for in one pass over a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from exporter.patterns import regex
from exporter.patterns.compile import ValueTest, value_test
from exporter.patterns.syntax import Comparison, Regex, Text
from exporter.patterns.termset import TermSet

T = TypeVar("T")


class PatternSet(Generic[T]):
    """Finds what belongs to the tests that a value satisfies. Compiled when it is first needed."""

    def __init__(self, members: Mapping[Comparison, T]) -> None:
        """``members``: by tests, all ``is_in_set``."""
        self._tests: list[tuple[ValueTest, T]] = [
            (value_test(test), member) for test, member in members.items()
        ]
        self._values = [_regex(test) for test in members]
        self._set: TermSet | None = None

    def find(self, value: str) -> list[T]:
        """What belongs to the tests that a value satisfies."""
        if not value.isascii():
            # RE2 reads no lone surrogates.
            return [member for holds, member in self._tests if holds(value)]
        if self._set is None:
            self._set = TermSet(self._values)
        return [self._tests[index][1] for index in self._set.find(value)]


def is_in_set(test: Comparison) -> bool:
    """Whether a set can have a test: it searches a text for an expression."""
    return test.operator == "=" and (
        isinstance(test.value, Regex) or (isinstance(test.value, Text) and _is_plain(test.value))
    )


def _is_plain(text: Text) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text.text)


def _regex(test: Comparison) -> Regex:
    if isinstance(test.value, Regex):
        return test.value
    text = test.value.text if isinstance(test.value, Text) else ""
    first, *others = ("".join(map(regex.literal, piece)) for piece in text.split("*"))
    expression = "(?s:.*)".join((first, *others))
    # Without a wildcard at its end, the text is anchored there.
    start = r"(?:\A)" if first else ""
    expression = start + expression.removeprefix("(?s:.*)").removesuffix("(?s:.*)")
    return Regex("", expression + (r"\z" if others and others[-1] else ""))
