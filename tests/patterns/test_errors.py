"""Errors of patterns: where they point, and that they say what to write instead."""

from __future__ import annotations

import pickle

import pytest

from exporter.patterns import PatternError, caret, compile_pattern


@pytest.mark.parametrize(
    ("text", "at", "advice"),
    [
        ("ERR*", "*", "leave the * out"),
        ("user@example", "@", 'write "user@example"'),
        ('ERROR "open', '"', "not closed"),
        ('?"a "b', "b", "blank"),
        ("--ERROR", 1, "one sign"),
        ("ERROR -", "-", "needs a term"),
        ("ERROR ?", "?", "needs a term"),
        ("%a(b)%", "(", r"\x28"),
        ("%a!%", "!", r"\x21"),
        ("%ä%", "ä", "ASCII"),
        ("%a", 0, "not closed"),
        ("%%", 1, "empty"),
        ("%*a%", 1, "nothing before"),
        ("%a|+%", "+", "nothing before"),
        ("%a**%", 3, "cannot follow"),
        ("%a++%", 3, "cannot follow"),
        (r"%a\b%", 2, r"\d"),
        (r"%\xg0%", 1, "hexadecimal"),
        ("%[a%", "[", "not closed"),
        ("%[z-a]%", "z", "order"),
        ("%a{3,2}%", "{", "less"),
        ("%a{b}%", "{", r"\{"),
        ("%a{1001}%", "{", "1000"),
        ("{ $.a = 1", 8, "must end with }"),
        ("[a, b", 4, "must end with ]"),
        ("{ }", 2, "empty pattern"),
        ("{ $.a == 1 }", 7, "one ="),
        ("{ $.a = 1 & $.b = 2 }", "&", "&&"),
        ("{ $.a = 1 AND $.b = 2 }", "AND", "&&"),
        ("{ $.a = 1 $.b = 2 }", "$.b", "&& or ||"),
        ("{ ($.a = 1 }", "(", "not closed"),
        ("{ $.a = 1) }", ")", "closes nothing"),
        ("{ !($.a = 1) }", "!", "NOT EXISTS"),
        ("{ $.a = null }", "null", "IS NULL"),
        ("{ $.a > abc }", "abc", "number"),
        ("{ $.a > 1* }", "1*", "number"),
        ('{ $.a < "1" }', '"', "number"),
        ("{ $.a > %1% }", "%", "number"),
        ("{ $.a = 'x' }", "'", "double quotes"),
        ("{ $.a = a:b }", ":", "double quotes"),
        ("{ $.a = }", 8, "value"),
        ('{ $.a = "x\\y" }', "\\", "\\\\"),
        ("{ $.a EXISTS }", "EXISTS", '= "*"'),
        ("{ $.a IS NOT NULL }", "NOT", "NULL, TRUE or FALSE"),
        ("{ $.a NOT NULL }", "NULL", "EXISTS"),
        ("{ $.a.b[*].* = 1 }", "* =", "one wildcard"),
        ("{ a = 1 }", "a", "$.field"),
        ("{ $a = 1 }", "$", "$.field"),
        ("{ $['a'] = 1 }", "[", "$."),
        ('{ $.["a"] = 1 }', "[", "single quotes"),
        ("{ $.a['b'] = 1 }", "[", ".['key']"),
        ("{ $..a = 1 }", 4, "whole path"),
        ("{ $.a[-1] = 1 }", "[", "negative"),
        ("{ $.a[99999999999999999999] = 1 }", "[", "index"),
        ("{ $.é = 1 }", "é", "$.['é…']"),
        ("{ $.a* = 1 }", "*", "$.['…']"),
        ("{ $.['a = 1 }", "['", "not closed"),
        ("[a, b, a]", "a]", "Duplicate"),
        ("[..., a, ...]", "...]", "Duplicate"),
        ("[a = 1 && b = 2, c]", "b =", "its own place"),
        ("[a b]", "b", "comma"),
        ("[a > x, b]", "x", "number"),
        ("[a =, b]", ",", "value"),
        ("[a = 1 || , b]", ", b", "name"),
    ],
)
def test_an_error_points_at_its_cause_and_gives_advice(
    text: str, at: str | int, advice: str
) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(text)
    assert caught.value.position == (at if isinstance(at, int) else text.index(at))
    assert advice in caught.value.message


def test_the_caret_stands_under_the_character() -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern("{\n  $.a = 1 &&\n\t$.b == 2\n}")
    line, mark = caught.value.caret().splitlines()
    assert line == " $.b == 2"
    assert mark.index("^") == line.index("== 2") + 1


def test_long_lines_are_cut_around_the_caret() -> None:
    text = "a " * 300 + "* " + "b " * 100
    for position in (0, 1, 300, 600, len(text) - 1):
        line, mark = caret(text, position).splitlines()
        assert len(line) <= 100
        column = mark.index("^")
        assert line[column] in (text[position], "…")


def test_an_error_can_be_pickled_and_says_where() -> None:
    error = pickle.loads(pickle.dumps(PatternError("Wrong.", "abc", 2)))  # noqa: S301
    assert (error.message, error.text, error.position) == ("Wrong.", "abc", 2)
    assert str(error) == "Wrong. (at character 3)"


def test_positions_count_the_white_space_around_the_pattern() -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern("  \n ERR*")
    assert caught.value.position == 7
