"""A compiled filter pattern."""

from __future__ import annotations

from exporter.patterns.compile import Aligner, Match, matcher
from exporter.patterns.document import Document
from exporter.patterns.errors import PatternWarning
from exporter.patterns.explain import Explanation, explain
from exporter.patterns.parse import parse
from exporter.patterns.syntax import (
    Field,
    FieldComparison,
    Kind,
    Selector,
    SpacePattern,
    Tree,
    all_tests,
)


class FilterPattern:
    """A compiled filter pattern, compared by its text and pickled as its text."""

    __slots__ = ("_match", "text", "tree", "warnings")

    def __init__(self, text: str, tree: Tree, warnings: tuple[PatternWarning, ...]) -> None:
        self.text = text
        self.tree = tree
        self.warnings = warnings
        """In the order of the pattern."""
        self._match = matcher(tree)

    @property
    def kind(self) -> Kind:
        """AWS: it depends only on the pattern. ``unstructured`` searches a JSON message as text."""
        return self.tree.kind

    def match(self, message: str) -> Match | None:
        """Match a message; None if it does not satisfy the pattern. Never raises."""
        return self._match(Document(message))

    def match_document(self, document: Document) -> Match | None:
        """Match a document, which several patterns share so that it is decoded only once."""
        return self._match(document)

    def explain(self, message: str) -> Explanation:
        """Return the result and the tested value of every part of the pattern."""
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
        """The distinct selectors of a JSON pattern, in its order."""
        tests = all_tests(self.tree)
        found = [test.selector for test in tests if not isinstance(test, FieldComparison)]
        return tuple(dict.fromkeys(found))

    def values(self, message: str) -> dict[str, object]:
        """The values that a JSON pattern tests, by selector, without missing values.

        Numbers are NumberText; a selector with a wildcard has a list of values.
        """
        obj = Document(message).json
        found: dict[str, object] = {}
        for selector in self.selectors if obj is not None else ():
            values = list(selector.select_all(obj))
            if selector.has_wildcard:
                found[str(selector)] = values
            elif values:
                found[str(selector)] = values[0]
        return found

    def can_extract(self, reference: str) -> bool:
        """Whether ``Match.fields`` can contain ``reference`` (``$name`` or ``$3``)."""
        return isinstance(self.tree, SpacePattern) and Aligner(self.tree).can_extract(reference)

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, FilterPattern) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"FilterPattern({self.text!r})"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return _compile_again, (self.text,)


def compile_pattern(text: str, *, aws_limits: bool = True) -> FilterPattern:
    """Compile a CloudWatch Logs filter pattern; raises PatternError.

    ``aws_limits``: whether exceeding AWS's limits (1,024 characters, 2 regular expressions, 3
    selectors with a wildcard) is an error or a warning.
    """
    return FilterPattern(text, *parse(text, aws_limits=aws_limits))


def _compile_again(text: str) -> FilterPattern:
    # Limits have no effect on the compiled pattern.
    return compile_pattern(text, aws_limits=False)
