"""Parses ``&&``, ``||`` and parentheses, the same in JSON patterns and space-delimited fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from exporter.patterns.scanner import Scanner
from exporter.patterns.syntax import And, Condition, Or, Span, Test

MAX_DEPTH = 200
"""Maximum nesting of ``&&`` and ``||``. AWS's 1,024 characters do not reach it."""


@dataclass(slots=True)
class _Group:
    """The conditions read since the last open parenthesis, or since the start."""

    opened: int
    alternatives: list[Condition] = field(default_factory=list)
    conjuncts: list[Condition] = field(default_factory=list)
    depth: int = 0
    unparenthesized_and: int | None = None
    or_position: int | None = None

    def add(self, operand: Condition, depth: int) -> None:
        self.conjuncts.append(operand)
        self.depth = max(self.depth, depth)

    def end_conjunction(self) -> None:
        self.alternatives.append(_joined(And, self.conjuncts))
        self.conjuncts = []

    def close(self) -> tuple[Condition, int]:
        self.end_conjunction()
        condition = _joined(Or, self.alternatives)
        return condition, self.depth + isinstance(condition, And | Or) + (
            isinstance(condition, Or) and any(isinstance(x, And) for x in self.alternatives)
        )


def _joined(kind: type[And] | type[Or], operands: list[Condition]) -> Condition:
    if len(operands) == 1:
        return operands[0]
    return kind(tuple(operands), span=Span(operands[0].span.start, operands[-1].span.end))


def parse_condition(scanner: Scanner, parse_test: Callable[[Scanner], Test]) -> Condition:
    """Read a condition up to the first token that cannot belong to it.

    AWS: parentheses bind strongest, then ``&&``, then ``||``. Redundant parentheses are not in the
    tree. It uses a stack, because patterns may be nested deeper than Python's recursion limit.
    """
    groups = [_Group(scanner.position)]
    while True:
        scanner.skip_blanks()
        if scanner.peek() == "(":
            groups.append(_Group(scanner.position))
            scanner.position += 1
            continue
        groups[-1].add(parse_test(scanner), 0)
        if not _next_operand(scanner, groups):
            break
    if len(groups) > 1:
        raise scanner.error("This parenthesis is not closed.", groups[-1].opened)
    _warn_precedence(scanner, groups[0])
    return groups[0].close()[0]


def _next_operand(scanner: Scanner, groups: list[_Group]) -> bool:
    """Read closing parentheses and one operator; return whether an operand must follow."""
    while True:
        scanner.skip_blanks()
        group = groups[-1]
        position = scanner.position
        if scanner.take("&&"):
            if group.unparenthesized_and is None:
                group.unparenthesized_and = position
            return True
        if scanner.take("||"):
            group.or_position = position
            group.end_conjunction()
            return True
        if scanner.peek() != ")":
            return False
        if len(groups) == 1:
            raise scanner.error("This parenthesis closes nothing.")
        _warn_precedence(scanner, group)
        condition, depth = group.close()
        if depth > MAX_DEPTH:
            raise scanner.error("The pattern is nested too deeply.", group.opened)
        scanner.position += 1
        groups.pop()
        groups[-1].add(condition, depth)


def _warn_precedence(scanner: Scanner, group: _Group) -> None:
    if group.unparenthesized_and is not None and group.or_position is not None:
        scanner.warn(
            "&& binds more strongly than ||; make the grouping clear with parentheses.",
            group.unparenthesized_and,
            "trap",
        )


def unexpected(scanner: Scanner) -> str:
    """The error message for the character after a condition."""
    char = scanner.peek()
    if char in "&|":
        return f"Write {char}{char}, not {char}."
    word = scanner.peek(4).upper()
    if word[:3] == "AND" or word[:2] == "OR":
        return "Tests are joined with && or ||, not with words."
    if char in "$(" or char.isalnum():
        return "Between two tests && or || is needed."
    return f"{char!r} is not allowed here; a text with special characters needs double quotes."
