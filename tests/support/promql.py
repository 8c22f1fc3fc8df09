"""What a PromQL expression speaks of, and the labels of what it returns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeAlias

import promql_parser as promql

Labels: TypeAlias = frozenset[str]
_OF_KUBERNETES: Final = frozenset({"pod"})
"""Labels of targets that only some have."""


def parse(expression: str) -> promql.Expr:
    """The expression's tree; a ValueError tells what is wrong with it, its types included."""
    tree: promql.Expr = promql.parse(expression)
    return tree


def selectors(expression: str) -> Iterator[promql.VectorSelector]:
    """All selectors in an expression."""
    return iter(_selectors_and_calls(expression)[0])


def calls(expression: str, names: Iterable[str]) -> list[promql.Call]:
    """The calls of some functions in an expression."""
    return [call for call in _selectors_and_calls(expression)[1] if call.func.name in names]


@cache
def _selectors_and_calls(
    expression: str,
) -> tuple[list[promql.VectorSelector], list[promql.Call]]:
    """Cached: the library copies the rest of the tree for each node that is visited."""
    found: list[promql.VectorSelector] = []
    called: list[promql.Call] = []

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        elif isinstance(node, promql.Call):
            called.append(node)

    promql.walk(parse(expression), visit)
    return found, called


def deciding(expression: str) -> list[promql.VectorSelector]:
    """The selectors whose series an expression returns, and not those that only take some away.

    Those on the right of ``unless`` and ``and`` do the latter.
    """
    return list(_deciding(parse(expression)))


def _deciding(node: Any) -> Iterator[promql.VectorSelector]:
    match node:
        case promql.VectorSelector():
            yield node
        case promql.MatrixSelector():
            yield node.vector_selector
        case promql.BinaryExpr():
            yield from _deciding(node.lhs)
            if str(node.op) not in ("unless", "and"):
                yield from _deciding(node.rhs)
        case promql.Call():
            for argument in node.args:
                yield from _deciding(argument)
        case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
            yield from _deciding(node.expr)
        case promql.AggregateExpr():
            yield from _deciding(node.expr)


def output_labels(expression: str, known: Mapping[str, Labels]) -> Labels:
    """The labels that the series of an expression's answer may have.

    ``known``: the labels of each metric. Fails where the expression names a metric that does not
    exist, or groups, matches or selects by a label that its series do not have.
    """
    return _labels(parse(expression), known)


def _labels(node: promql.Expr, known: Mapping[str, Labels]) -> Labels:
    match node:
        case promql.VectorSelector():
            return _selected(node, known)
        case promql.MatrixSelector():
            return _selected(node.vector_selector, known)
        case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
            return _labels(node.expr, known)
        case promql.AggregateExpr():
            return _aggregated(node, known)
        case promql.Call():
            return _called(node, known)
        case promql.BinaryExpr():
            return _combined(node, known)
        case _:
            return frozenset()  # a number or a text


def _selected(selector: promql.VectorSelector, known: Mapping[str, Labels]) -> Labels:
    if selector.name is None:
        return _selected_by_pattern(selector, known)
    name = str(selector.name)
    assert name in known, f"there is no metric {name}"
    matched = {matcher.name for matcher in selector.matchers.matchers}
    assert matched <= known[name], f"{name} has no label {sorted(matched - known[name])}"
    return known[name]


def _selected_by_pattern(selector: promql.VectorSelector, known: Mapping[str, Labels]) -> Labels:
    """``{__name__=~"…"}``: at least one metric fits, and has all of the labels."""
    patterns, matched = [], set()
    for matcher in selector.matchers.matchers:
        if matcher.name == "__name__":
            patterns.append(matcher)
        else:
            matched.add(matcher.name)
    names = [name for name in known if all(_fits(matcher, name) for matcher in patterns)]
    assert names, f"no metric fits {selector}"
    with_labels = [known[name] for name in names if matched <= known[name]]
    assert with_labels, f"none of {names} has all of the labels {sorted(matched)}"
    return frozenset[str]().union(*with_labels)


def _fits(matcher: Any, name: str) -> bool:
    match matcher.op:
        case promql.MatchOp.Re:
            return re.fullmatch(matcher.value, name) is not None
        case promql.MatchOp.NotRe:
            return re.fullmatch(matcher.value, name) is None
        case promql.MatchOp.Equal:
            return bool(matcher.value == name)
        case _:
            return bool(matcher.value != name)


def _aggregated(node: promql.AggregateExpr, known: Mapping[str, Labels]) -> Labels:
    inner = _labels(node.expr, known)
    if str(node.op) in ("topk", "bottomk"):
        return inner  # they choose among the series and keep them
    if node.modifier is None:
        return frozenset()
    named = frozenset(node.modifier.labels) - _OF_KUBERNETES
    assert named <= inner, f"nothing in {node.expr} has the label {sorted(named - inner)}"
    return named if node.modifier.type == promql.AggModifierType.By else inner - named


def _called(node: promql.Call, known: Mapping[str, Labels]) -> Labels:
    labels = frozenset[str]().union(*(_labels(argument, known) for argument in node.args))
    match node.func.name:
        case "absent" | "absent_over_time":
            return frozenset()
        case "label_replace":
            return labels | {str(node.args[1].val)}
        case "histogram_quantile":
            assert "le" in labels, f"{node} has no buckets"
            return labels - {"le"}
        case _:
            return labels


def _combined(node: promql.BinaryExpr, known: Mapping[str, Labels]) -> Labels:
    left, right = _labels(node.lhs, known), _labels(node.rhs, known)
    modifier = node.modifier
    matching = modifier.matching if modifier is not None else None
    on = None
    if matching is not None and matching.type == promql.LabelModifierType.Include:
        on = frozenset(matching.labels)
        assert on <= left & right, f"not on both sides of {node.op}: {sorted(on - (left & right))}"
    match str(node.op):
        case "or":
            return left | right
        case "and" | "unless":
            return left
    if modifier is not None and modifier.group_labels is not None:
        return left | frozenset(modifier.group_labels)
    return left | right if on is None else on
