"""What holds for every pattern and every message."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.patterns import (
    Document,
    FilterPattern,
    PatternError,
    Selector,
    compile_pattern,
)
from exporter.patterns.compile import wildcard_test
from exporter.patterns.lint import has_border
from exporter.patterns.syntax import (
    ANY_CHILD,
    NUMBER,
    And,
    AnyFields,
    Comparison,
    Condition,
    Field,
    FieldComparison,
    IsTest,
    JsonPattern,
    NotExists,
    Number,
    Or,
    SpacePattern,
    Term,
    TermsPattern,
    Text,
    Tree,
)
from fuzz.rendering import render
from tests.support.examples import examples

QUICK = settings(max_examples=200, deadline=None)

any_text = st.text(st.characters(codec=None), max_size=60)
TOKENS = (
    '{ } [ ] ( ) $ . .. ... * && || & | = != == < <= > >= ! , " % \\ - ? ERROR a b $.a $.b[*] '
    "$.c[0] $.['k.k'] IS NULL TRUE NOT EXISTS 1 -1.5e3 *x* \\d {2} é %a.b%"
)
pattern_like = st.lists(st.sampled_from([*TOKENS.split(), " ", "\n", '"a b"']), max_size=20)
patterns = st.one_of(
    any_text,
    pattern_like.map("".join),
    pattern_like.map(" ".join),
    pattern_like.map(lambda parts: "{" + " ".join(parts) + "}"),
    pattern_like.map(lambda parts: "[" + ",".join(parts) + "]"),
    pattern_like.map(lambda parts: "%" + "".join(parts) + "%"),
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec=None))
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "k.k"]), inner, max_size=3)
    ),
    max_leaves=8,
)
messages = st.one_of(
    any_text,
    st.dictionaries(st.sampled_from(["a", "b", "c", "k.k"]), values, max_size=4).map(json.dumps),
)


@settings(QUICK, max_examples=examples(600))
@given(patterns, messages, st.booleans())
def test_compiling_raises_pattern_errors_only_and_matching_raises_nothing(
    text: str, message: str, aws_limits: bool
) -> None:
    try:
        pattern = compile_pattern(text, aws_limits=aws_limits)
    except PatternError as caught:
        error = caught
    else:
        check_pattern(pattern, message)
        return
    assert 0 <= error.position <= len(text)
    assert error.caret().splitlines()[-1].strip() == "^"


def check_pattern(pattern: FilterPattern, message: str) -> None:
    match = pattern.match(message)
    assert (match is not None) == pattern.explain(message).matched
    pattern.explain(message).render()
    assert all(0 <= warning.position <= len(pattern.text) for warning in pattern.warnings)
    if match is not None:
        assert all(pattern.can_extract(reference) for reference in match.fields)
    assert compile_pattern(render(pattern.tree), aws_limits=False).tree == pattern.tree


keys = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True),
    st.text(st.characters(exclude_characters="']"), max_size=4),
)
steps = st.lists(st.one_of(keys, st.integers(0, 9)), min_size=1, max_size=3)
selectors = st.builds(
    lambda key, path, wildcard: Selector((key, *path, *((ANY_CHILD,) if wildcard else ()))),
    keys,
    steps,
    st.booleans(),
)
texts = st.text(st.characters(codec="utf-8"), max_size=8).map(Text)
numbers = st.from_regex(NUMBER, fullmatch=True).map(Number)
equality = st.sampled_from(["=", "!="])
ordered = st.sampled_from(["<", "<=", ">", ">="])
json_tests: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Comparison, selectors, equality, texts | numbers),
    st.builds(Comparison, selectors, ordered, numbers),
    st.builds(IsTest, selectors, st.sampled_from(["NULL", "TRUE", "FALSE"])),
    st.builds(NotExists, selectors),
)


def compound(tests: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    def join(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
        operands = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return st.builds(And, operands) | st.builds(Or, operands)

    return st.recursive(tests, join, max_leaves=6)


def field(name: str) -> st.SearchStrategy[Field]:
    tests: st.SearchStrategy[Condition] = st.one_of(
        st.builds(FieldComparison, st.just(name), equality, texts | numbers),
        st.builds(FieldComparison, st.just(name), ordered, numbers),
    )
    return st.builds(Field, st.just(name), st.none() | compound(tests))


entries = st.tuples(field("a"), st.just(Field(None)), field("b"), st.just(AnyFields()), field("c"))
trees: st.SearchStrategy[Tree] = st.one_of(
    st.builds(JsonPattern, compound(json_tests)),
    st.builds(SpacePattern, entries),
    st.builds(
        TermsPattern,
        st.lists(
            st.builds(Term, st.sampled_from(["required", "optional", "excluded"]), texts),
            min_size=1,
            max_size=4,
        ).map(tuple),
    ),
)


@settings(QUICK, max_examples=examples(200))
@given(trees)
def test_a_rendered_tree_parses_to_itself(tree: Tree) -> None:
    assert compile_pattern(render(tree), aws_limits=False).tree == tree


def test_texts_that_look_like_something_else_are_rendered_in_quotes() -> None:
    for text in ("null", "true", "1", "-1.5e3", "", "a b", "a:b", 'a"b\\', "%x%"):
        tree = JsonPattern(Comparison(Selector(("a",)), "=", Text(text)))
        assert render(tree) == f"{{ $.a = {json.dumps(text)} }}"
        assert compile_pattern(render(tree)).tree == tree


@QUICK
@given(values, st.sampled_from(["1", '"x"', "*", '"*x*"', "%x%", "1.5"]))
def test_an_inequality_is_never_true_of_what_is_no_text_or_number(value: Any, literal: str) -> None:
    message = json.dumps({"v": value})
    equal = compile_pattern(f"{{ $.v = {literal} }}").match(message)
    unequal = compile_pattern(f"{{ $.v != {literal} }}").match(message)
    comparable = isinstance(value, str) or (
        isinstance(value, int | float) and not isinstance(value, bool)
    )
    if Document(message).json is None:
        comparable = False  # NaN and Infinity
    assert (equal is not None) + (unequal is not None) == comparable


words = st.text("ab", min_size=1, max_size=3)


@QUICK
@given(st.lists(st.tuples(st.sampled_from(["", "?", "-"]), words), min_size=1), st.text("ab c"))
def test_terms_are_substrings(terms: list[tuple[str, str]], message: str) -> None:
    text = " ".join(sign + word for sign, word in terms)
    found = {
        sign: [word in message for one, word in terms if one == sign] for sign in ("", "?", "-")
    }
    if len(found["?"]) == len(terms):
        expected = any(found["?"])
    else:
        expected = all(found[""]) and not any(found["-"])
    assert (compile_pattern(text).match(message) is not None) == expected


def naive_fields(line: str) -> list[str]:
    """The rule, character by character."""
    fields: list[str] = []
    at = 0
    while at < len(line):
        if line[at] in " \t\n\r":
            at += 1
            continue
        closing = {'"': '"', "[": "]"}.get(line[at])
        for end in range(at + 1, len(line)):
            if line[end] == closing and (end + 1 == len(line) or line[end + 1] in " \t\n\r"):
                fields.append(line[at + 1 : end])
                at = end + 1
                break
        else:
            end = at
            while end < len(line) and line[end] not in " \t\n\r":
                end += 1
            fields.append(line[at:end])
            at = end
    return fields


@settings(QUICK, max_examples=500)
@given(st.text('ab"[] \t\n', max_size=20))
def test_lines_are_split_by_the_rule(line: str) -> None:
    document = Document(line)
    assert document.texts == naive_fields(line)
    assert all(
        line[start:end].strip('"[]') == text.strip('"[]') for text, start, end in document.fields
    )


def naive_wildcard(pattern: str, text: str) -> bool:
    """The rule itself: a ``*`` takes no character, or one more."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return naive_wildcard(pattern[1:], text) or (
            bool(text) and naive_wildcard(pattern, text[1:])
        )
    return text[:1] == pattern[0] and naive_wildcard(pattern[1:], text[1:])


def test_wildcards_agree_with_the_rule_in_60_000_random_cases() -> None:
    random = Random(20261126)
    matches = 0
    for _ in range(60_000):
        pattern = "".join(random.choices("ab*", k=random.randint(0, 7)))
        text = "".join(random.choices("ab", k=random.randint(0, 8)))
        expected = naive_wildcard(pattern, text)
        matches += expected
        assert wildcard_test(pattern)(text) == expected, (pattern, text)
    assert 10_000 < matches < 50_000  # both outcomes are met


@settings(QUICK, max_examples=500)
@given(st.text("ab*", min_size=1, max_size=7), st.text("ab", min_size=1, max_size=9))
def test_wildcards_are_the_same_in_json_patterns_and_in_fields(pattern: str, text: str) -> None:
    expected = naive_wildcard(pattern, text)
    message = json.dumps({"v": text})
    for sign, wanted in (("=", expected), ("!=", not expected)):
        in_json = compile_pattern(f'{{ $.v {sign} "{pattern}" }}')
        in_field = compile_pattern(f'[v {sign} "{pattern}"]')
        assert (in_json.match(message) is not None) == wanted
        assert (in_field.match(text) is not None) == wanted
        assert in_json.explain(message).matched == in_field.explain(text).matched == wanted


@QUICK
@given(st.text("ab", max_size=10))
def test_borders_are_found(text: str) -> None:
    naive = any(text.startswith(text[start:]) for start in range(1, len(text)))
    assert has_border(text) == naive
