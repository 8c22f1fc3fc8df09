"""Aliases that never end or stand for too much are refused, at their place, at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from exporter.configuration import Problem
from exporter.yamlfile.documents import MAX_ALIASED

ProblemsOf = Callable[[str], Sequence[Problem]]


def _chain(length: int, link: str) -> str:
    """Anchors, each of which stands for what is made of the one before."""
    lines = [f"- &a{i} {link.replace('*a', f'*a{i - 1}')}\n" for i in range(1, length)]
    return "sources:\n- &a0 {name: a}\n" + "".join(lines)


@pytest.mark.parametrize("text", ["a: &x {<<: *x}\n", "a: &x [b, {c: *x}]\n", "&x {<<: [*x, *x]}"])
def test_an_alias_inside_of_what_it_stands_for_is_an_error(
    problems_of: ProblemsOf, text: str
) -> None:
    (problem,) = problems_of(text)
    assert "inside the value that it repeats" in problem.message
    assert problem.location.line == 1


@pytest.mark.parametrize("link", ["[*a, *a]", "{<<: [*a, *a]}", "{name: *a, type: *a}"])
def test_aliases_that_grow_twofold_in_each_line_are_an_error(
    problems_of: ProblemsOf, link: str
) -> None:
    (problem,) = problems_of(_chain(60, link))
    assert f"more than {MAX_ALIASED:,} values" in problem.message
    assert problem.location.line is not None


@pytest.mark.parametrize("link", ["[*a]", "{<<: *a}", "{name: *a}"])
def test_aliases_that_nest_a_level_deeper_in_each_line_are_an_error(
    problems_of: ProblemsOf, link: str
) -> None:
    (problem,) = problems_of(_chain(2000, link))
    assert "nested deeper" in problem.message


def test_one_alias_used_for_many_rules_is_none(problems_of: ProblemsOf) -> None:
    rules = "".join(f"  - {{<<: *common, name: rule_{i}}}\n" for i in range(300))
    text = "sources: [{name: h, type: event_history}]\nrules:\n"
    text += "  - &common {name: common, pattern: ERROR, labels: {a: $.a, b: $.b}}\n" + rules
    assert not problems_of(text)


@pytest.mark.parametrize(
    ("text", "line", "column"), [("[", 1, 2), ("a: [\n", 2, 1), ("a:\n  '", 2, 4)]
)
def test_an_error_at_the_end_of_a_file_is_in_a_line_that_exists(
    problems_of: ProblemsOf, text: str, line: int, column: int
) -> None:
    (problem,) = problems_of(text)
    assert (problem.location.line, problem.location.column) == (line, column)
    assert problem.location.source_line == text.split("\n")[line - 1]
