"""Python source of conditions on the fields of a typed message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any, cast

from exporter.patterns import MISSING, NumberText, Selector
from exporter.patterns.compile import ValueTest, value_test
from exporter.patterns.syntax import (
    And,
    Comparison,
    Condition,
    JsonTest,
    NotExists,
    Number,
    Or,
    Text,
    tests_of,
)
from exporter.rules.decoder import Decoder
from exporter.rules.predicates import is_equality
from exporter.rules.values import InexactError, settled

_DEEPEST = 20
"""Levels of ``&&`` and ``||`` in one expression, and of ``if``; Python allows fewer than 100."""
_MOST_KEPT = 4096
"""Distinct texts whose results are kept for a test."""
_LONGEST_KEPT = 256
"""Characters of a text that is kept."""

Read = Callable[[Any], Any]
"""Reads a settled value, or MISSING, from the fields of a message."""
Run = Callable[[Any, list[int]], object]
"""Appends the numbers of the rules that the fields of a message satisfy."""


class _Results(dict[str, bool]):
    """The results of a test by text, as many as are kept."""

    def __init__(self, test: ValueTest) -> None:
        super().__init__()
        self._test = test

    def __missing__(self, text: str) -> bool:
        result = self._test(text)
        if len(text) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[text] = result
        return result


class Generator:
    """Generates functions on fields, and keeps the objects that they refer to.

    What a test means is said by ``patterns/compile.py``. Only comparisons with a text that begin
    or end with a wildcard at most, and ``NOT EXISTS``, are written out: rules have many of these.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._names: dict[str, object] = {
            "InexactError": InexactError,
            "MISSING": MISSING,
            "NumberText": NumberText,
            "settled": settled,
            **{f"S{number}": struct for number, struct in enumerate(decoder.structs)},
        }
        self._named: dict[object, str] = {}
        # Several threads may generate at once.
        self._numbers = count()

    def function(self, arguments: str, body: Iterable[str]) -> Callable[..., Any]:
        """Make a function of these arguments from its lines."""
        source = "\n".join([f"def generated({arguments}):", *(f" {line}" for line in body)])
        found: dict[str, Callable[..., Any]] = {}
        exec(source, self._names, found)  # noqa: S102 (of syntax trees; texts by repr)
        return found["generated"]

    def name(self, value: object, key: object = None) -> str:
        """The name of an object in generated code; objects with equal keys are the same."""
        name = self._named.get(key)
        if name is None:
            name = f"n{next(self._numbers)}"
            self._names[name] = value
            if key is not None:
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

    def run(self, rules: Sequence[tuple[int, Condition | None]]) -> Run:
        """A function that tests the conditions of many rules; what they share is tested once."""
        shared = _Shared(self)
        pending = [(number, _conjuncts(condition)) for number, condition in rules]
        times = Counter(
            test.selector
            for _, conjuncts in pending
            for conjunct in conjuncts
            for test in cast(Iterable[JsonTest], tests_of(conjunct))
            if not (test.selector.has_wildcard or isinstance(test, NotExists))
        )
        body = [
            f"{shared.local(selector)} = {self.value(selector)}"
            for selector, number in times.items()
            if number > 1
        ]
        return self.function("e, out", [*body, *shared.lines(pending, 0)])

    def condition(self, condition: Condition, values: dict[Selector, str], depth: int = 0) -> str:
        """An expression that is true if a condition holds.

        ``values``: the local variables with the values of selectors.
        """
        if isinstance(condition, And | Or):
            if depth == _DEEPEST:
                test = self.function("e", [f"return {self.condition(condition, {})}"])
                return f"{self.name(test, ('condition', condition))}(e)"
            word = " and " if isinstance(condition, And) else " or "
            parts = [self.condition(operand, values, depth + 1) for operand in condition.operands]
            return f"({word.join(parts)})"
        return self._test(cast(JsonTest, condition), values)

    def _test(self, test: JsonTest, values: dict[Selector, str]) -> str:
        if isinstance(test, NotExists):
            return f"({self.value(test.selector)} is MISSING)"
        if test.selector.has_wildcard:
            base, rest = self._base(test.selector)
            select_all = self.name(rest.select_all, ("select_all", rest))
            return f"any(map({self._predicate(test)}, {select_all}({base})))"
        value = values.get(test.selector) or self.value(test.selector)
        if not isinstance(test, Comparison) or isinstance(test.value, Number):
            return f"{self._predicate(test)}({value})"
        if is_equality(test):
            return f"({value} == {cast(Text, test.value).text!r})"
        # A number has a text, too.
        return f"(isinstance(w := {value}, str) and {self._text_test(test, 'w')})"

    def _text_test(self, test: Comparison, value: str) -> str:
        if isinstance(test.value, Text) and "*" not in test.value.text.strip("*"):
            text, negation = test.value.text, "" if test.operator == "=" else "not "
            plain = text.strip("*")
            if text == plain:
                return f"{value} != {text!r}"
            if text == f"{plain}*":
                return f"{negation}{value}.startswith({plain!r})"
            if text == f"*{plain}":
                return f"{negation}{value}.endswith({plain!r})"
            if text == f"*{plain}*":
                return f"({plain!r} {negation}in {value})"
        return f"{self.name(_Results(value_test(test)), ('results', test))}[{value}]"

    def _predicate(self, test: JsonTest) -> str:
        return self.name(value_test(test), ("test", test))

    def _base(self, selector: Selector) -> tuple[str, Selector]:
        """The settled value of the typed part of a selector, and the selector inside it."""
        expression, rest = self._decoder.access(selector)
        base = f"(v if (v := {expression}).__class__ is str or v is MISSING else settled(v))"
        return base, Selector(rest)


class _Shared:
    """Writes the conditions of many rules as nested ``if``s, one for what several rules share."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._locals: dict[Selector, str] = {}

    def local(self, selector: Selector) -> str:
        """The variable that has the value at a selector."""
        return self._locals.setdefault(selector, f"v{len(self._locals)}")

    def lines(self, rules: list[tuple[int, tuple[Condition, ...]]], depth: int) -> list[str]:
        """The code for rules whose conditions are conjunctions."""
        satisfied = tuple(number for number, conjuncts in rules if not conjuncts)
        body = [f"out += {satisfied!r}"] if satisfied else []
        # By position, since a rule may have several entries.
        left = {at: rule for at, rule in enumerate(rules) if rule[1]}
        having: dict[Condition, list[int]] = {}
        for at, (_, conjuncts) in left.items():
            for conjunct in conjuncts:
                having.setdefault(conjunct, []).append(at)
        shared = [conjunct for conjunct, those in having.items() if len(those) > 1]
        shared.sort(key=lambda conjunct: -len(having[conjunct]))
        for most in shared if depth < _DEEPEST else ():
            group = [at for at in having[most] if at in left]
            if len(group) < 2:
                continue
            inner = [(n, tuple(c for c in rest if c != most)) for n, rest in map(left.pop, group)]
            body.append(f"if {self._generator.condition(most, self._locals)}:")
            body += [f" {line}" for line in self.lines(inner, depth + 1)]
        for number, conjuncts in left.values():
            tests = [self._generator.condition(one, self._locals) for one in conjuncts]
            body.append(f"if {' and '.join(tests)}: out.append({number})")
        return body


def _conjuncts(condition: Condition | None) -> tuple[Condition, ...]:
    if condition is None:
        return ()
    if isinstance(condition, And):
        return tuple(dict.fromkeys(condition.operands))
    return (condition,)
