"""Faults of engines in JSON patterns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from exporter.patterns import MISSING, Document, NumberText, conditions, document, scanner
from exporter.patterns import compile as compiler
from exporter.patterns.syntax import ANY_CHILD, Comparison, IsTest, Number, Or, Selector
from tests.support.broken_engines import Faults, Patch

FAULTS = Faults()
breaks = FAULTS.breaks


def wrong_values(
    patch: Patch, replaced: Callable[[Any, Callable[[Any], bool]], Callable[[Any], bool]]
) -> None:
    """Change what a test asks of a value: ``replaced`` gets the test and the right predicate."""
    right = compiler.value_test
    patch.setattr(compiler, "value_test", lambda test: replaced(test, right(test)))


@breaks("json.missing", "json.unless-equal", "trail.mfa-used")
def unequal_is_the_negation_of_equal(patch: Patch) -> None:
    wrong_values(
        patch,
        lambda test, holds: (
            lambda value: (
                holds(value)
                or (value is MISSING and isinstance(test, Comparison) and test.operator == "!=")
            )
        ),
    )


@breaks("json.null")
def null_differs_from_everything(patch: Patch) -> None:
    wrong_values(
        patch,
        lambda test, holds: (
            lambda value: (
                holds(value)
                or (value is None and isinstance(test, Comparison) and test.operator == "!=")
            )
        ),
    )


@breaks("json.not-exists", "json.null")
def null_does_not_exist(patch: Patch) -> None:
    wrong_values(
        patch, lambda _test, holds: lambda value: holds(MISSING if value is None else value)
    )


@breaks("json.array", "json.object")
def arrays_and_objects_are_compared_by_their_text(patch: Patch) -> None:
    wrong_values(
        patch,
        lambda _test, holds: (
            lambda value: holds(json.dumps(value) if isinstance(value, dict | list) else value)
        ),
    )


@breaks("json.array")
def is_null_ignores_arrays(patch: Patch) -> None:
    wrong_values(
        patch,
        lambda test, holds: (
            (lambda value: value is None)
            if isinstance(test, IsTest) and test.keyword == "NULL"
            else holds
        ),
    )


@breaks("json.boolean", "json.is")
def booleans_are_texts(patch: Patch) -> None:
    wrong_values(
        patch,
        lambda _test, holds: (
            lambda value: holds(json.dumps(value) if isinstance(value, bool) else value)
        ),
    )


@breaks("json.string")
def strings_that_look_like_numbers_are_numbers(patch: Patch) -> None:
    wrong_values(
        patch,
        lambda _test, holds: (
            lambda value: holds(
                NumberText(value)
                if isinstance(value, str) and re.fullmatch(r"[0-9.]+", value)
                else value
            )
        ),
    )


@breaks("json.number", "json.numbers")
def unquoted_numbers_are_texts(patch: Patch) -> None:
    patch.setattr(
        compiler,
        "_number_test",
        lambda sign, lexeme: (
            lambda value: (
                isinstance(value, str) and ((value == lexeme) if sign == "=" else value != lexeme)
            )
        ),
    )


@breaks("json.number")
def quoted_numbers_are_numbers(patch: Patch) -> None:
    right = scanner.Scanner.value

    def value(self: Any, operator: Any) -> Any:
        found = right(self, operator)
        text = getattr(found, "text", "")
        return Number(text, span=found.span) if re.fullmatch(r"[0-9.]+", text) else found

    patch.setattr(scanner.Scanner, "value", value)


@breaks("json.message")
def a_json_object_after_a_prefix_is_read(patch: Patch) -> None:
    def decode(self: Document) -> dict[str, Any] | None:
        try:
            found = document._DECODER.raw_decode(self.message, self.message.index("{"))[0]
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    patch.setattr(Document, "json", property(decode))


@breaks("json.message")
def what_is_no_json_is_an_empty_object(patch: Patch) -> None:
    right: Any = Document.__dict__["json"].func
    patch.setattr(Document, "json", property(lambda self: right(self) or {}))


@breaks("json.duplicate-keys")
def the_first_of_equal_keys_counts(patch: Patch) -> None:
    decoder = json.JSONDecoder(
        parse_int=NumberText,
        parse_float=NumberText,
        object_pairs_hook=lambda pairs: dict(reversed(pairs)),
    )
    patch.setattr(document, "_DECODER", decoder)


@breaks("json.any-child")
def a_wildcard_visits_arrays_only(patch: Patch) -> None:
    right = Selector.select_all

    def select_all(self: Selector, obj: Any) -> Iterator[Any]:
        before = Selector(self.steps[: self.steps.index(ANY_CHILD)]) if self.has_wildcard else self
        if not isinstance(before.select(obj), dict):
            yield from right(self, obj)

    patch.setattr(Selector, "select_all", select_all)


@breaks("json.any-child")
def a_wildcard_descends(patch: Patch) -> None:
    right = Selector.select_all

    def select_all(self: Selector, obj: Any) -> Iterator[Any]:
        yield from right(self, obj)
        if self.has_wildcard and isinstance(obj, dict):
            for child in obj.values():
                yield from select_all(self, child)

    patch.setattr(Selector, "select_all", select_all)


@breaks("json.quoted-key")
def a_path_may_be_a_key_with_dots(patch: Patch) -> None:
    right = Selector.select

    def select(self: Selector, obj: Any) -> Any:
        flat = ".".join(map(str, self.steps))
        if isinstance(obj, dict) and flat in obj:
            return obj[flat]
        return right(self, obj)

    patch.setattr(Selector, "select", select)


@breaks("json.wildcard")
def a_suffix_is_taken_where_it_is_found_first(patch: Patch) -> None:
    def wildcard_test(text: str) -> Callable[[str], bool]:
        def test(value: str) -> bool:
            position = 0
            for number, piece in enumerate(text.split("*")):
                found = value.find(piece, position)
                if found < 0 or (number == 0 and found):
                    return False
                position = found + len(piece)
            return text.endswith("*") or position == len(value)

        return test

    patch.setattr(compiler, "wildcard_test", wildcard_test)


@breaks("json.wildcard", "space.text")
def a_question_mark_and_a_dot_are_wildcards(patch: Patch) -> None:
    def wildcard_test(text: str) -> Callable[[str], bool]:
        expression = text.replace("*", ".*").replace("?", ".")
        return lambda value: re.match(expression, value) is not None

    patch.setattr(compiler, "wildcard_test", wildcard_test)


@breaks("json.text", "kind.case", "json.unicode")
def texts_are_compared_without_case(patch: Patch) -> None:
    right = compiler.wildcard_test

    def wildcard_test(text: str) -> Callable[[str], bool]:
        holds = right(text.lower())
        return lambda value: holds(value.strip().lower())

    patch.setattr(compiler, "wildcard_test", wildcard_test)


@breaks("json.precedence", "trail.unparenthesized")
def and_binds_no_more_than_or(patch: Patch) -> None:
    """From left to right, without precedence."""
    right = conditions._Group.add

    def add(self: Any, operand: Any, depth: int) -> None:
        right(self, operand, depth)
        if self.alternatives:
            last = conditions._joined(Or, [*self.alternatives, *self.conjuncts])
            self.alternatives, self.conjuncts = [], [last]

    patch.setattr(conditions._Group, "add", add)
