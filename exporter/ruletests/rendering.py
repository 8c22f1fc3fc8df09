"""Results of rule tests as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import indent
from typing import TYPE_CHECKING

from exporter.configuration import SERIES_LABELS, RuleConfig
from exporter.ruletests.coverage import Coverage
from exporter.ruletests.evaluation import Failure, Got, TestResult
from exporter.ruletests.models import Expectation
from exporter.yamlfile.problems import plural

if TYPE_CHECKING:
    # It imports boto3, which takes a while.
    from exporter.ruletests.against_aws import Difference

_SHOWN = 5
"""Matches of one rule that a failure lists."""


def render_failed(result: TestResult) -> str:
    """A failed test: its name and place; for each rule the expected and actual matches, and why."""
    lines = [f"FAILED {result.test.name} ({result.test.location})"]
    for failure in result.failures:
        lines += [indent(line, "  ") for line in _failure(failure)]
    return "\n".join(lines)


def render_passed(result: TestResult) -> str:
    """A test that passed, and its matches."""
    lines = [f"ok {result.test.name} ({result.test.location})"]
    lines += [f"  {one.rule} {_shown(one)}" for one in result.got]
    return "\n".join(lines)


def render_difference(difference: Difference) -> str:
    """The messages that AWS and the exporter judge differently."""
    rule = difference.rule
    if difference.refusal:
        return f"DIFFERENT {rule.name}: AWS refuses the pattern: {difference.refusal}"
    places = ", ".join(str(place) for place in difference.tests)
    verdict = "AWS matches, the exporter does not"
    if not difference.aws_matches:
        verdict = "the exporter matches, AWS does not"
    explanation = _explanation(rule, difference.message)
    return f"DIFFERENT {rule.name}: {verdict} ({places})\n{indent(explanation, '    ')}"


def _failure(failure: Failure) -> list[str]:
    expected = "no match"
    if failure.expected is not None:
        expected = _expectation(failure.expected)
    elif failure.is_near_miss:
        expected = "no match: the test names it as a near miss"
    came = [f"match {_shown(one, failure.expected)}" for one in failure.got[:_SHOWN]]
    came = came or ["no match"]
    if len(failure.got) > _SHOWN:
        came.append(f"and {len(failure.got) - _SHOWN:,} more")
    lines = [
        failure.rule.name,
        f"  expected: {expected}",
        *(
            f"  {'got:     ' if number == 0 else '         '} {one}"
            for number, one in enumerate(came)
        ),
    ]
    if failure.message is not None:
        explanation = _explanation(failure.rule, failure.message)
        lines += ["  the pattern:", indent(explanation, "    ")]
    elif not failure.got:
        lines.append("  none of the messages matches the pattern")
    return lines


def _explanation(rule: RuleConfig, message: str) -> str:
    whole = rule.compiled.explain(message)
    # A whole with one part is that part once more, in one long line.
    is_its_part = len(whole.children) == 1 and not whole.note
    return (whole.children[0] if is_its_part else whole).render()


def _expectation(expected: Expectation) -> str:
    words = ["match", _labels(expected.labels.items())] if expected.labels else ["match"]
    if expected.value is not None:
        no_value = expected.value == "error"
        words.append(
            "without a usable value" if no_value else f"with value {_number(expected.value)}"
        )
    if expected.count is not None:
        words.append(f"in {plural(expected.count, 'message')}")
    return " ".join(words)


def _shown(got: Got, expected: Expectation | None = None) -> str:
    wanted = expected.labels if expected is not None else {}
    labels = [
        (name, value)
        for name, value in got.labels.items()
        if name in wanted or name not in SERIES_LABELS
    ]
    value = "no usable value" if got.value is None else f"value {_number(got.value)}"
    return f"{_labels(labels)} with {value}"


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"


def _number(value: float | str) -> str:
    return f"{float(value):.12g}"


def render_coverage(rows: Sequence[Coverage]) -> str:
    """A table: each rule, its pack, and how many tests it has of either kind."""
    table = [("rule", "pack", "matches", "near misses")]
    table += [
        (row.rule.name, row.rule.pack or "-", str(row.matches), str(row.near_misses))
        for row in rows
    ]
    widths = [max(len(cells[column]) for cells in table) for column in range(4)]
    return "\n".join(
        f"{name:<{widths[0]}}  {pack:<{widths[1]}}  {matches:>{widths[2]}}  {misses:>{widths[3]}}"
        for name, pack, matches, misses in table
    )
