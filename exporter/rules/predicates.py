"""The access predicates of rules: a condition can hold only if one of its own does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from exporter.patterns.syntax import And, Comparison, Condition, Or, Regex, Step, Text

_RARE: dict[tuple[Step, ...], int] = {("eventName",): 0, ("eventSource",): 2}
"""How often equalities hold: of CloudTrail records, few have the same name, more the source."""
_ALWAYS = 6
"""The cost of a condition without an access predicate."""


class Entry(NamedTuple):
    """One way to satisfy a condition."""

    predicate: Comparison | None
    """Must hold; None if there is no such test that can be looked up."""
    residual: Condition | None
    """What must hold as well; None if nothing."""


def entries(condition: Condition) -> Sequence[Entry]:
    """The ways to satisfy a condition: each is enough.

    An ``&&`` has the access predicates of its cheapest operand, an ``||`` those of all operands.
    """
    return _planned(condition)[1]


def are_exclusive(ways: Sequence[Entry]) -> bool:
    """Whether a message can satisfy one of these at most: one field equals different texts."""
    tests = [way.predicate for way in ways]
    return len(tests) < 2 or (
        all(test is not None and is_equality(test) for test in tests)
        and len({test.selector for test in tests if test is not None}) == 1
        and len(set(tests)) == len(tests)
    )


def _planned(condition: Condition) -> tuple[int, Sequence[Entry]]:
    if isinstance(condition, Or):
        plans = [_planned(operand) for operand in condition.operands]
        cost = max(cost for cost, _ in plans)
        if cost == _ALWAYS:
            return _ALWAYS, (Entry(None, condition),)
        return cost, [entry for _, found in plans for entry in found]
    if isinstance(condition, And):
        plans = [_planned(operand) for operand in condition.operands]
        best = min(range(len(plans)), key=lambda index: plans[index][0])
        cost, found = plans[best]
        if cost == _ALWAYS:
            return _ALWAYS, (Entry(None, condition),)
        others = condition.operands[:best] + condition.operands[best + 1 :]
        return cost, [Entry(one.predicate, _conjunction(one.residual, others)) for one in found]
    cost = _cost(condition)
    if cost == _ALWAYS or not isinstance(condition, Comparison):
        return _ALWAYS, (Entry(None, condition),)
    return cost, (Entry(condition, None),)


def _conjunction(first: Condition | None, others: tuple[Condition, ...]) -> Condition:
    operands = others if first is None else (*others, first)
    return operands[0] if len(operands) == 1 else And(operands)


def _cost(test: Condition) -> int:
    """How often a test holds, roughly: a rule depends on the one that holds least."""
    if not isinstance(test, Comparison) or test.operator == "!=" or test.selector.has_wildcard:
        return _ALWAYS
    if is_equality(test):
        return _RARE.get(test.selector.steps, 1)
    if isinstance(test.value, Text):
        return 5 if is_exists(test) else 3
    return 3 if isinstance(test.value, Regex) else 4


def is_equality(test: Comparison) -> bool:
    """Whether only one text satisfies a comparison."""
    return test.operator == "=" and isinstance(test.value, Text) and "*" not in test.value.text


def is_exists(test: Comparison) -> bool:
    """Whether every text and number satisfies a comparison: ``$.field = *``."""
    return isinstance(test.value, Text) and not test.value.text.strip("*")
