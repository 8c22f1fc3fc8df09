"""The embedded AWS's own evaluator of filter patterns."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conformance.score import CASES, UNCERTAIN, Verdict, failures, load_cases
from exporter.patterns import PatternError, PatternWarning, compile_pattern
from metric_filter_demo.patterns import Doubts, InvalidPattern, read_pattern
from tests.support.examples import examples
from tests.support.shared import shared_files


def ask(pattern: str, message: str, doubts: Doubts = Doubts()) -> Verdict:  # noqa: B008 - frozen
    try:
        extracted = read_pattern(pattern, doubts)(message)
    except InvalidPattern:
        return Verdict(valid=False)
    return Verdict(True) if extracted is None else Verdict(True, True, extracted)


@pytest.mark.parametrize("path", [CASES, UNCERTAIN], ids=lambda path: path.stem)
def test_it_answers_as_the_conformance_suite_says(path: Path) -> None:
    assert list(map(str, failures(load_cases(path), ask))) == []


def test_it_answers_as_the_shared_cases_say() -> None:
    wrong = []
    for path in shared_files("conformance", "*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            case: dict[str, Any] = json.loads(line)
            answer = ask(case["pattern"], case["message"])
            extracted = case.get("extract") or {}
            if (answer.valid, answer.match) != (case["valid"], case["match"]) or (
                answer.match and not extracted.items() <= answer.extract.items()
            ):
                wrong.append(case["id"])
    assert wrong == []


def uncertain(pattern: str) -> list[PatternWarning]:
    warnings = compile_pattern(pattern, aws_limits=False).warnings
    return [warning for warning in warnings if warning.code == "uncertain"]


def test_what_check_calls_uncertain_can_be_answered_differently() -> None:
    doubting = partial(ask, doubts=Doubts(patterns=True))
    differs: dict[str, bool] = defaultdict(bool)
    for case in load_cases(UNCERTAIN):
        if case.expected.valid and uncertain(case.pattern):
            differs[case.clause] |= doubting(case.pattern, case.message) != case.expected
    assert len(differs) > 12
    assert {clause for clause, different in differs.items() if not different} == set()


def test_what_is_certain_is_never_answered_differently() -> None:
    certain = [case for case in load_cases() if case.expected.valid and not uncertain(case.pattern)]
    assert len(certain) > 1000
    for doubts in (Doubts(patterns=True), Doubts(messages=True)):
        assert list(map(str, failures(certain, partial(ask, doubts=doubts)))) == []


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("[status = 404, text]", "404.0 gone"),
        ("[a, b]", "1\n2"),
        ("%full$%", "disk full\n"),
        ("%^.$%", "ß"),
        ("{ $.code = %5% }", '{"code":5}'),
        ("{ $.n > 0.1 }", '{"n":0.10000000000000000001}'),
    ],
)
def test_unusual_messages_can_be_answered_differently(pattern: str, message: str) -> None:
    assert ask(pattern, message).match
    assert not ask(pattern, message, Doubts(messages=True)).match


def test_numbers_beyond_all_bounds_are_compared() -> None:
    message = '{"n":1e99999999999999999999}'
    assert ask("{ $.n > 7 }", message).match
    assert not ask("{ $.n < 7 }", message).match


words = st.sampled_from(["ab", "a", "b", "ba", "7", "7.0", "x-y", "", "a b", "ß", "aab"])
texts = st.one_of(words, words.map("*".__add__), words.map(lambda word: word + "*"), st.just("a*b"))
quoted = texts.map('"{}"'.format)
numbers = st.sampled_from(["7", "-1", "7.0", "0.7e1", "+7", "70"])
atoms = st.tuples(
    st.sampled_from(["a", "b", "7", ".", "[ab]", "[^a]", "\\.", "\\x61", "\\d"]),
    st.sampled_from(["", "", "", "+", "*", "?", "{1,2}", "{2}"]),
).map("".join)
regexes = st.lists(st.one_of(atoms, st.sampled_from(["^", "$", "|"])), max_size=5).map(
    lambda parts: f"%{''.join(parts)}%"
)
selectors = st.sampled_from(["$.a", "$.b", "$.a.b", "$.a[0]", "$.a[*]", "$.b.*", "$.['a.b']"])
operators = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
comparisons = st.tuples(operators, st.one_of(texts, quoted, numbers, regexes)).map("".join)
json_tests = st.tuples(
    selectors,
    st.one_of(comparisons, st.sampled_from([" IS NULL", " IS TRUE", " IS FALSE", " NOT EXISTS"])),
).map("".join)


def joined(tests: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        tests,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from([" && ", " || "]), inner).map("".join),
            inner.map("({})".format),
        ),
        max_leaves=4,
    )


entries = st.one_of(
    st.sampled_from(["a", "b", "c", "...", ""]),
    joined(comparisons.map("a".__add__)),
    joined(comparisons.map("b".__add__)),
)
terms = st.tuples(st.sampled_from(["", "", "-", "?"]), st.one_of(texts, quoted, regexes))
patterns = st.one_of(
    joined(json_tests).map("{{ {} }}".format),
    st.lists(entries, max_size=4).map(lambda parts: f"[{', '.join(parts)}]"),
    st.lists(terms.map("".join), max_size=3).map(" ".join),
)
scalars = st.one_of(
    st.none(), st.booleans(), words, st.sampled_from([7, 7.0, -1, 70, 1e3, "7", "null"])
)
documents = st.dictionaries(
    st.sampled_from(["a", "b", "a.b"]),
    st.one_of(
        scalars,
        st.lists(scalars, max_size=3),
        st.dictionaries(st.sampled_from(["b", "0"]), scalars, max_size=2),
    ),
    max_size=3,
)
lines = st.lists(
    st.sampled_from(["a", "ab", "b", "7", "7.0", '"a b"', '"', "[", "[7 b]", "x-y", " ", "\n"])
).map(" ".join)


@settings(max_examples=examples(600), deadline=None)
@given(patterns, st.one_of(documents.map(json.dumps), lines))
def test_two_engines_written_apart_agree(pattern: str, message: str) -> None:
    assume(message)
    try:
        match = compile_pattern(pattern).match(message)
    except PatternError:
        expected = Verdict(valid=False)
    else:
        expected = Verdict(True) if match is None else Verdict(True, True, dict(match.fields))
    assert ask(pattern, message) == expected
