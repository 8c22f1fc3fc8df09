"""Parses a filter pattern: finds out its kind, builds the tree, applies AWS's limits."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.patterns.errors import PatternError, PatternWarning
from exporter.patterns.lexer import BLANKS, Scanner
from exporter.patterns.lint import exceeded_limits, lint
from exporter.patterns.parser_json import parse_json
from exporter.patterns.parser_space import parse_space
from exporter.patterns.parser_terms import parse_terms
from exporter.patterns.syntax import AllPattern, Kind, Tree


@dataclass(frozen=True, slots=True)
class Parsed:
    """A pattern's kind and tree, and what should be changed about it."""

    kind: Kind
    tree: Tree
    warnings: tuple[PatternWarning, ...]


def parse(text: str, *, aws_limits: bool = True) -> Parsed:
    """Parse a filter pattern.

    AWS: the kind is decided by the first character; white space around the pattern is ignored.

    Args:
        text: the pattern.
        aws_limits: whether exceeding one of AWS's limits is an error (else a warning).

    Raises:
        PatternError: the pattern is not valid.
    """
    stripped = text.lstrip(BLANKS)
    start = len(text) - len(stripped)
    end = start + len(stripped.rstrip(BLANKS))
    scanner = Scanner(text, start, end)
    kind, tree = _parse_kind(scanner)
    warnings = [*scanner.warnings, *lint(tree)]
    for limit in exceeded_limits(tree, start, end):
        if aws_limits:
            raise PatternError(limit.message, text, limit.position)
        warnings.append(limit)
    warnings.sort(key=lambda warning: warning.position)
    return Parsed(kind, tree, tuple(warnings))


def _parse_kind(scanner: Scanner) -> tuple[Kind, Tree]:
    if scanner.at_end:
        return "all", AllPattern()
    if scanner.peek() == "{":
        _enclosed(scanner, "{", "}")
        return "json", parse_json(scanner)
    if scanner.peek() == "[":
        _enclosed(scanner, "[", "]")
        return "space", parse_space(scanner)
    return "unstructured", parse_terms(scanner)


def _enclosed(scanner: Scanner, opening: str, closing: str) -> None:
    last = scanner.end - 1
    if last == scanner.position or scanner.text[last] != closing:
        raise scanner.error(
            f"A pattern that starts with {opening} must end with {closing}; to search for a text "
            f"that starts with {opening}, put it in quotes.",
            last,
        )
    scanner.position += 1
    scanner.end = last
