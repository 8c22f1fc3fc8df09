"""Compiled rules and the reference evaluator make the same increments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

from exporter.configuration import Reference, ValueSpec
from exporter.configuration.references import parse_reference
from exporter.model import Increment, Partition
from exporter.patterns import Document, FilterPattern, termset
from exporter.rules import columns, increments, lines, memo, taking, termindex
from exporter.rules.lines import LineProgram
from exporter.rules.places import Place
from exporter.rules.rule import Rule
from fuzz.reference import increment

_PARTITION = Partition("logs", "111122223333", "eu-west-1")
_PLACE = Place.of("111122223333", "eu-west-1", _PARTITION)


def check_lines(patterns: Sequence[FilterPattern], messages: Iterable[str]) -> None:
    """Messages, evaluated one after the other, have the reference's increments for all rules."""
    rules = [_rule(number, pattern) for number, pattern in enumerate(patterns)]
    program = LineProgram(rules)
    for message in messages:
        assert program.increments(message, _PLACE) == _reference(rules, message), message


@contextmanager
def little_memory() -> Iterator[None]:
    """Everything that is kept is dropped at once, and sets of terms are used for the fewest."""
    with (
        mock.patch.object(columns, "_MOST_KEPT", 2),
        mock.patch.object(memo, "_TRY_AGAIN", 3),
        mock.patch.object(taking, "_MOST_KEPT", 1),
        mock.patch.object(lines, "_MOST_KEPT", 1),
        mock.patch.object(termindex, "_MOST_KEPT", 1),
        mock.patch.object(increments, "MOST_KEPT", 1),
        mock.patch.object(termset, "_FEW", 0),
    ):
        yield


def _reference(rules: Sequence[Rule], message: str) -> list[Increment]:
    document = Document(message)
    matches = [(rule, rule.pattern.match_document(document)) for rule in rules]
    return [
        increment(rule, document, match, _PLACE) for rule, match in matches if match is not None
    ]


def _rule(number: int, pattern: FilterPattern) -> Rule:
    """A rule whose labels and value refer to what the pattern may extract."""
    names = sorted(pattern.field_names)
    texts = [*names, "$1", "$3"] if pattern.kind == "space" else ["$.a", "$.b"]
    references = [parse_reference(text) for text in texts]
    dynamic: dict[str, Sequence[Reference]] = {}
    if number % 3:
        dynamic = {"first": references[:1], "any": references[1:], "last": references[-1:]}
    value = ValueSpec(number=1.0)
    if number % 4 > 1:
        value = ValueSpec(reference=references[number % len(references)])
    return Rule(f"rule_{number}", pattern, "metric", value, {"fixed": "x"}, dynamic)
