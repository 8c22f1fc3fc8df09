"""Parses space-delimited patterns: ``[ip, user, ..., status = 4*, bytes > 1000]``."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.patterns.boolean import parse_condition, unexpected
from exporter.patterns.lexer import Scanner
from exporter.patterns.syntax import (
    And,
    AnyFields,
    Condition,
    Field,
    FieldComparison,
    Number,
    Or,
    SpacePattern,
    Span,
    Test,
)


def parse_space(scanner: Scanner) -> SpacePattern:
    """Parse what stands between the brackets.

    Raises:
        PatternError: an entry is not valid, or a name occurs twice.
    """
    scanner.skip_blanks()
    if scanner.at_end:
        return SpacePattern(())
    entries: list[Field | AnyFields] = []
    seen: set[str | None] = set()
    while True:
        entry = _parse_entry(scanner)
        name = "..." if isinstance(entry, AnyFields) else entry.name
        if name is not None and name in seen:
            raise scanner.error(
                f"Duplicate field {name!r}; every field has a name of its own.", entry.span.start
            )
        seen.add(name)
        entries.append(entry)
        if scanner.at_end:
            return SpacePattern(tuple(entries))
        scanner.position += 1  # the comma


def _parse_entry(scanner: Scanner) -> Field | AnyFields:
    """Read an entry; the scanner ends at the comma after it or at the end."""
    scanner.skip_blanks()
    start = scanner.position
    if scanner.take("..."):
        span = Span(start, scanner.position)
        scanner.skip_blanks()
        if not _entry_ends(scanner):
            raise scanner.error("After ... a comma is needed, or the end of the pattern.")
        return AnyFields(span)
    if _entry_ends(scanner):
        return Field(None, None, Span(start, start))
    name = scanner.name()
    span = Span(start, scanner.position)
    scanner.skip_blanks()
    if name and _entry_ends(scanner):
        return Field(name, None, span)
    if name and scanner.peek() not in "=!<>":
        raise scanner.error(
            "After a field's name stands a comma, an operator (= != < <= > >=) or the end; a name "
            "has letters, digits and _ only. To search for text with brackets, put it in quotes."
        )
    scanner.position = start
    return _parse_conditional(scanner)


def _parse_conditional(scanner: Scanner) -> Field:
    start = scanner.position
    parenthesized = "(" in scanner.peek()
    condition = parse_condition(scanner, _parse_test)
    span = Span(start, scanner.position)
    scanner.skip_blanks()
    if not _entry_ends(scanner):
        raise scanner.error(unexpected(scanner))
    comparisons = list(field_comparisons(condition))
    name = comparisons[0].name
    for comparison in comparisons:
        if comparison.name != name:
            raise scanner.error(
                f"This belongs to the field {name!r}; a condition on {comparison.name!r} stands in "
                "its own place, after a comma.",
                comparison.span.start,
            )
    if parenthesized:
        scanner.warn("AWS documents no parentheses in a field.", start)
    return Field(name, condition, span)


def _parse_test(scanner: Scanner) -> Test:
    start = scanner.position
    name = scanner.name()
    if not name:
        raise scanner.error("Here the name of a field is needed.")
    scanner.skip_blanks()
    operator = scanner.operator()
    if operator is None:
        raise scanner.error(f"After {name} an operator is needed: = != < <= > >=.")
    scanner.skip_blanks()
    value_at = scanner.position
    value = scanner.value()
    if operator not in ("=", "!=") and not isinstance(value, Number):
        raise scanner.error(f"{operator} needs a number after it, without quotes.", value_at)
    return FieldComparison(name, operator, value, Span(start, scanner.position))


def _entry_ends(scanner: Scanner) -> bool:
    return scanner.at_end or scanner.peek() == ","


def field_comparisons(condition: Condition) -> Iterator[FieldComparison]:
    """Give the comparisons of a field's condition, from left to right."""
    if isinstance(condition, And | Or):
        for operand in condition.operands:
            yield from field_comparisons(operand)
    elif isinstance(condition, FieldComparison):
        yield condition
