"""Python source of conditions on the fields of a typed message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from exporter.patterns import MISSING, NumberText, Selector
from exporter.patterns.compile import value_test
from exporter.patterns.syntax import (
    And,
    Comparison,
    Condition,
    JsonTest,
    NotExists,
    Or,
)
from exporter.rules.decoder import Decoder
from exporter.rules.predicates import is_equality
from exporter.rules.values import settled

_DEEPEST = 20
"""Levels of ``&&`` and ``||`` in one expression; Python's parser allows fewer than 100."""

Read = Callable[[Any], Any]
"""Reads a settled value, or MISSING, from the fields of a message."""


class Generator:
    """Generates functions on fields, and keeps the objects that they refer to.

    What a test means is said by ``patterns/compile.py``. Only the equality of a text and
    ``NOT EXISTS`` are written out, since they are most of what rules test.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._names: dict[str, object] = {
            "MISSING": MISSING,
            "NumberText": NumberText,
            "settled": settled,
            **{f"S{number}": struct for number, struct in enumerate(decoder.structs)},
        }
        self._named: dict[object, str] = {}

    def function(self, arguments: str, body: Sequence[str]) -> Callable[..., Any]:
        """Make a function of these arguments from its lines."""
        source = "\n".join([f"def generated({arguments}):", *(f"    {line}" for line in body)])
        found: dict[str, Callable[..., Any]] = {}
        exec(source, self._names, found)  # noqa: S102 (made of syntax trees, literals by repr)
        return found["generated"]

    def name(self, value: object, key: object) -> str:
        """The name of an object in generated code; objects with equal keys are the same."""
        name = self._named.get(key)
        if name is None:
            name = f"n{len(self._named)}"
            self._names[name] = value
            self._named[key] = name
        return name

    def value(self, selector: Selector) -> str:
        """An expression for the first value at a selector, settled, or MISSING."""
        base, rest = self._base(selector)
        if not rest.steps:
            return base
        return f"{self.name(rest.select, ('select', rest))}({base})"

    def reader(self, selector: Selector) -> Read:
        """A function that reads the first value at a selector."""
        return self.function("e", [f"return {self.value(selector)}"])

    def condition(self, condition: Condition, depth: int = 0) -> str:
        """An expression that is true if a condition holds."""
        if isinstance(condition, And | Or):
            if depth == _DEEPEST:
                test = self.function("e", [f"return {self.condition(condition)}"])
                return f"{self.name(test, ('condition', condition))}(e)"
            word = " and " if isinstance(condition, And) else " or "
            parts = [self.condition(operand, depth + 1) for operand in condition.operands]
            return f"({word.join(parts)})"
        return self._test(cast(JsonTest, condition))

    def _test(self, test: JsonTest) -> str:
        if isinstance(test, NotExists):
            return f"({self.value(test.selector)} is MISSING)"
        if test.selector.has_wildcard:
            base, rest = self._base(test.selector)
            select_all = self.name(rest.select_all, ("select_all", rest))
            return f"any(map({self._predicate(test)}, {select_all}({base})))"
        value = self.value(test.selector)
        if isinstance(test, Comparison) and is_equality(test):
            return f"({value} == {test.value.text!r})"  # type: ignore[union-attr]
        return f"{self._predicate(test)}({value})"

    def _predicate(self, test: JsonTest) -> str:
        return self.name(value_test(test), ("test", test))

    def _base(self, selector: Selector) -> tuple[str, Selector]:
        """The settled value of the typed part of a selector, and the selector inside it."""
        expression, rest = self._decoder.access(selector)
        base = f"(v if (v := {expression}).__class__ is str else settled(v))"
        return base, Selector(rest)
