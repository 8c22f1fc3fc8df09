"""An AWS that answers each question that AWS's documentation leaves open as a test chooses.

It evaluates the patterns of requests. The parser is the exporter's; the meaning is written here
again, from AWS's documentation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from exporter.patterns import FilterPattern, compile_pattern
from exporter.patterns.syntax import (
    ANY_CHILD,
    And,
    Comparison,
    Condition,
    IsTest,
    JsonPattern,
    NotExists,
    Number,
    Or,
    Regex,
    Selector,
    Term,
    TermsPattern,
    Text,
)


class Raw(str):
    """A number as it was written."""


@dataclass(frozen=True)
class DoubtfulAws:
    """One way in which AWS may work. Each flag turns a reading of the exporter's around."""

    inner_star_is_literal: bool = False
    star_takes_the_first: bool = False
    """``*`` is searched without a second try."""
    rounds: bool = False
    """Numbers are doubles."""
    rewrites_numbers: bool = False
    """Texts are compared with a number as a double is printed."""
    arrays_are_not_null: bool = False
    wildcard_needs_all: bool = False
    """``!=``, IS and NOT EXISTS with a wildcard need all values, or one that is missing."""
    regex_skips_numbers: bool = False
    dot_is_ascii: bool = False
    classes_are_unicode: bool = False
    dollar_is_strict: bool = False
    optional_terms_count: bool = False
    """A term with ``?`` is needed beside other terms too."""
    blank_phrase_is_all: bool = False
    phrases_are_trimmed: bool = False
    stars_in_phrases: bool = False
    """Quoted terms have wildcards."""
    refuses_uncertain: bool = False
    """It finds nothing for a pattern that is not documented."""

    def finds(self, pattern: str, message: str) -> bool:
        """Whether FilterLogEvents with this pattern returns the message."""
        compiled = _compiled(pattern)
        if self.refuses_uncertain and any(one.code == "uncertain" for one in compiled.warnings):
            return False
        tree = compiled.tree
        if isinstance(tree, JsonPattern):
            try:
                value = json.loads(message, parse_int=Raw, parse_float=Raw, parse_constant=_fail)
            except ValueError:
                return False
            return isinstance(value, dict) and self._condition(tree.condition, value)
        assert isinstance(tree, TermsPattern), "how AWS splits lines is not certain"
        return self._terms(tree, message)

    def _condition(self, condition: Condition, value: dict[str, Any]) -> bool:
        if isinstance(condition, And):
            return all(self._condition(one, value) for one in condition.operands)
        if isinstance(condition, Or):
            return any(self._condition(one, value) for one in condition.operands)
        assert isinstance(condition, Comparison | IsTest | NotExists)
        values = list(_selected(value, condition.selector))
        negative = not isinstance(condition, Comparison) or condition.operator == "!="
        if isinstance(condition, NotExists):
            return not (self.wildcard_needs_all and ANY_CHILD in condition.selector.steps) and (
                not values
            )
        holds = [self._test(condition, one) for one in values]
        if negative and self.wildcard_needs_all and ANY_CHILD in condition.selector.steps:
            return bool(holds) and all(holds)
        return any(holds)

    def _test(self, test: Comparison | IsTest, value: Any) -> bool:
        if isinstance(test, IsTest):
            if test.keyword == "NULL":
                in_array = isinstance(value, list) and None in value
                return value is None or (in_array and not self.arrays_are_not_null)
            return value is (test.keyword == "TRUE")
        if not isinstance(value, str):
            return False
        if isinstance(test.value, Number) and isinstance(value, Raw):
            one, other = self._number(value), self._number(test.value.lexeme)
            answers: dict[str, bool] = {
                "=": one == other,
                "!=": one != other,
                "<": one < other,
                "<=": one <= other,
                ">": one > other,
                ">=": one >= other,
            }
            return answers[test.operator]
        if test.operator not in ("=", "!="):
            return False
        equal = self._equals(test.value, value)
        return equal if test.operator == "=" else not equal

    def _number(self, text: str) -> Any:
        return float(text) if self.rounds else Decimal(text)

    def _equals(self, wanted: Text | Number | Regex, value: str) -> bool:
        if isinstance(wanted, Regex):
            if isinstance(value, Raw) and self.regex_skips_numbers:
                return False
            return self._searched(wanted.source, value)
        if isinstance(value, Raw) and self.rewrites_numbers and not value.lstrip("-").isdecimal():
            value = repr(float(value))
        return self._like(wanted.text if isinstance(wanted, Text) else wanted.lexeme, value)

    def _like(self, wanted: str, value: str) -> bool:
        if self.inner_star_is_literal and "*" in wanted.strip("*"):
            return wanted == value
        if self.star_takes_the_first:
            return _first_try(wanted, value)
        return re.fullmatch(_wildcards(wanted), value, re.DOTALL) is not None

    def _searched(self, source: str, text: str) -> bool:
        flags = 0 if self.classes_are_unicode else re.ASCII
        if self.dot_is_ascii:
            source = re.sub(r"(\\.)|\.", lambda found: found[1] or "[ -~]", source)
        if self.dollar_is_strict:
            source = re.sub(r"(\\.)|\$", lambda found: found[1] or r"\Z", source)
        return re.search(source, text, flags) is not None

    def _terms(self, tree: TermsPattern, message: str) -> bool:
        found: dict[str, list[bool]] = {"required": [], "optional": [], "excluded": []}
        for term in tree.terms:
            found[term.mode].append(self._contains(term, message))
        optional_counts = self.optional_terms_count or not (found["required"] or found["excluded"])
        if optional_counts and found["optional"] and not any(found["optional"]):
            return False
        return all(found["required"]) and not any(found["excluded"])

    def _contains(self, term: Term, message: str) -> bool:
        if isinstance(term.value, Regex):
            return self._searched(term.value.source, message)
        text = term.value.text
        if not text.strip() and self.blank_phrase_is_all:
            return True
        if self.phrases_are_trimmed:
            text = text.strip()
        if self.stars_in_phrases:
            return re.search(_wildcards(text), message, re.DOTALL) is not None
        return text in message


@cache
def _compiled(pattern: str) -> FilterPattern:
    return compile_pattern(pattern)


def _wildcards(text: str) -> str:
    return ".*".join(map(re.escape, text.split("*")))


def _fail(name: str) -> None:
    raise ValueError(name)


def _selected(value: Any, selector: Selector) -> Iterator[Any]:
    values = [value]
    for step in selector.steps:
        children: list[Any] = []
        for one in values:
            if step is ANY_CHILD:
                children += (
                    one.values() if isinstance(one, dict) else one if type(one) is list else ()
                )
            elif isinstance(step, str):
                children += [one[step]] if isinstance(one, dict) and step in one else []
            elif isinstance(one, list):
                children += one[step : step + 1]
        values = children
    yield from values


def _first_try(wanted: str, value: str) -> bool:
    """Each piece at its first place after the one before; the last has to end there."""
    first, *others = wanted.split("*")
    if not others:
        return first == value
    if not value.startswith(first):
        return False
    at = len(first)
    for piece in others:
        found = value.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return others[-1] == "" or at == len(value)
