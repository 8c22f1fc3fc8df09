"""A compiled filter pattern: what the rest of the exporter sees of this package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from exporter.patterns.alignment import Aligner
from exporter.patterns.compiler import field_condition_test, object_test, terms_test
from exporter.patterns.document import Document
from exporter.patterns.errors import PatternWarning
from exporter.patterns.explanation import Explanation, explain
from exporter.patterns.parser import parse
from exporter.patterns.selector import Selector
from exporter.patterns.syntax import (
    Field,
    FieldComparison,
    JsonPattern,
    Kind,
    SpacePattern,
    TermsPattern,
    Tree,
    tests_of,
)


@dataclass(frozen=True, slots=True)
class Match:
    """A message satisfied a pattern."""

    fields: dict[str, str] = field(default_factory=dict)
    """What a space-delimited pattern extracted: ``$name``, or ``$3`` where the field has no name.
    Empty for the other kinds."""


class FilterPattern:
    """A filter pattern that is ready to be matched. Equal to every pattern of the same text."""

    __slots__ = ("_aligner", "_matcher", "kind", "text", "tree", "warnings")

    def __init__(
        self, text: str, kind: Kind, tree: Tree, warnings: tuple[PatternWarning, ...]
    ) -> None:
        self.text = text
        self.kind: Kind = kind
        """AWS: decided by the pattern alone. An ``unstructured`` pattern searches a JSON message's
        text."""
        self.tree = tree
        self.warnings = warnings
        """What should be changed, in the order of the pattern."""
        self._aligner = Aligner(tree) if isinstance(tree, SpacePattern) else None
        self._matcher = _matcher(tree, self._aligner)

    def match(self, message: str) -> Match | None:
        """Match one message; None where it does not satisfy the pattern. Never raises."""
        return self._matcher(Document(message))

    def match_document(self, document: Document) -> Match | None:
        """Match a message that other patterns are matched against too: it is decoded once."""
        return self._matcher(document)

    def explain(self, message: str) -> Explanation:
        """Say of every part of the pattern whether it holds, and what value it saw."""
        return explain(self.text, self.tree, Document(message))

    @property
    def field_names(self) -> frozenset[str]:
        """The named fields of a space-delimited pattern, as in ``Match.fields`` (``$name``)."""
        if not isinstance(self.tree, SpacePattern):
            return frozenset()
        return frozenset(
            f"${entry.name}"
            for entry in self.tree.entries
            if isinstance(entry, Field) and entry.name is not None
        )

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """What a JSON pattern tests, each selector once, in the pattern's order."""
        if not isinstance(self.tree, JsonPattern):
            return ()
        tests = tests_of(self.tree.condition)
        found = [test.selector for test in tests if not isinstance(test, FieldComparison)]
        return tuple(dict.fromkeys(found))

    def values(self, message: str) -> dict[str, object]:
        """The values that the tests of a JSON pattern look at, by selector, as JSON has them.

        Numbers are NumberText; of a selector with a wildcard it is the list of its values. What is
        missing is left out.
        """
        document = Document(message)
        if document.json is None:
            return {}
        found: dict[str, object] = {}
        for selector in self.selectors:
            values = list(selector.select_all(document.json))
            if selector.has_wildcard:
                found[str(selector)] = values
            elif values:
                found[str(selector)] = values[0]
        return found

    def can_extract(self, reference: str) -> bool:
        """Whether ``Match.fields`` can ever hold ``reference`` (``$name`` or ``$3``)."""
        return self._aligner is not None and self._aligner.can_extract(reference)

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, FilterPattern) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"FilterPattern({self.text!r})"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return _compile_again, (self.text,)


def compile_pattern(text: str, *, aws_limits: bool = True) -> FilterPattern:
    """Compile a CloudWatch Logs filter pattern.

    Args:
        text: the pattern, as AWS takes it.
        aws_limits: whether a pattern that exceeds AWS's limits (1,024 characters, 2 regular
            expressions, 3 selectors with a wildcard) is an error; else it is a warning.

    Raises:
        PatternError: the pattern is not valid.
    """
    parsed = parse(text, aws_limits=aws_limits)
    return FilterPattern(text, parsed.kind, parsed.tree, parsed.warnings)


def _compile_again(text: str) -> FilterPattern:
    # A pattern within the limits is the same either way.
    return compile_pattern(text, aws_limits=False)


def _matcher(tree: Tree, aligner: Aligner | None) -> Callable[[Document], Match | None]:
    if isinstance(tree, TermsPattern):
        holds = terms_test(tree)
        return lambda document: Match() if holds(document) else None
    if isinstance(tree, JsonPattern):
        satisfies = object_test(tree.condition)

        def match_json(document: Document) -> Match | None:
            obj = document.json
            return Match() if obj is not None and satisfies(obj) else None

        return match_json
    if aligner is not None:
        return _space_matcher(aligner)
    return lambda _document: Match()


def _space_matcher(aligner: Aligner) -> Callable[[Document], Match | None]:
    tests = [
        (index, field_condition_test(entry.condition))
        for index, entry in aligner.entries
        if entry.condition is not None
    ]

    def match_space(document: Document) -> Match | None:
        texts = aligner.texts(document)
        if texts is None:
            return None
        for index, holds in tests:
            if not holds(texts[index]):
                return None
        return Match({one.reference: one.text for one in aligner.align(texts)})

    return match_space
