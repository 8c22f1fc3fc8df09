"""Unstructured patterns and regular expressions."""

from __future__ import annotations

import json

import pytest

from exporter.patterns import compile_pattern


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("", "", True),
        ("  \n", "anything", True),
        ("ERROR", "xERRORx", True),
        ("ERROR", "error", False),
        ("a b", "b then a", True),
        ("a b", "a", False),
        ("a -b", "a", True),
        ("a -b", "ab", False),
        ("-a -b", "", True),
        ("?a ?b", "b", True),
        ("?a ?b", "c", False),
        ("?a ?b c", "c", True),
        ("?a ?b c", "a", False),
        ("?a -c", "x", True),
        ("?a -c", "ac", False),
        ('"a  b"', "a b", False),
        ('" "', "ab", False),
        ('""', "", True),
        ('"\\"\\\\"', 'x"\\', True),
        ('"a*c"', "abc", False),
        ('"{ $.a = 1 }"', "{ $.a = 1 }", True),
        ('"[ERROR]"', "[ERROR] x", True),
        ("%a% -b", "ab", False),
        ("-%a%", "b", True),
        ("?%a% ?%b%", "b", True),
        ('ERROR - "x y"', "ERROR x y", False),
        ('"a" -404', "a 404", False),
        ('"code"', '{"code":1}', True),
    ],
)
def test_terms(pattern: str, message: str, expected: bool) -> None:
    compiled = compile_pattern(pattern)
    assert (compiled.match(message) is not None) is expected
    assert compiled.explain(message).matched is expected


@pytest.mark.parametrize(
    ("regex", "text", "expected"),
    [
        ("a.b", "a\nb", False),
        ("a.b", "a\rb", False),
        ("a.b", "aéb", True),
        ("a[^x]b", "a\nb", True),
        (r"a\Db", "a\nb", True),
        (r"^\s+$", " \t\n\v\f\r", True),
        (r"\S", " \t\n\v\f\r", False),
        (r"[\S]", "\v", False),
        (r"[^\S]", "\v", True),
        (r"\s", "\xa0", False),
        (r"\d", "\u0661", False),
        (r"^[\w]+$", "aZ_9", True),
        (r"[\W]", "aZ_9", False),
        (r"[\D]", "09", False),
        ("^b$", "a\nb", False),
        ("b$", "ab\n", True),
        ("b$", "ab\r\n", True),
        ("b$", "ab\n\n", False),
        ("a|b$", "ax", True),
        ("^a|b", "xb", True),
        (r"\x41\x21", "A!", True),
        (r"[\x41-\x43]", "B", True),
        (r"\xe9", "é", True),
        ("[a-]", "-", True),
        ("[-a]", "-", True),
        (r"[a\-z]", "-", True),
        (r"[a\-z]", "b", False),
        ("[]a]", "]", True),
        ("[^]a]", "]", False),
        (r"[\]]", "]", True),
        ("[.*+?^$|{}]", "x", False),
        ("[.*+?^$|{}]", "|", True),
        ("[[:alpha:]]", "x]", False),
        ("[[:alpha:]]", "a]", True),
        ("a]b}", "a]b}", True),
        ("x{,2}y", "xxy", True),
        ("^x{2, 3}$", "xxx", True),
        ("^x{2 , }$", "xxxxx", True),
        ("^a{0}$", "", True),
        ("^a??$", "a", True),
        ("a+?b", "aab", True),
        ("a||b", "", True),
        (r"\\\.\^\$", "\\.^$", True),
        ("a:_#=@/;,-b", "a:_#=@/;,-b", True),
        ("a b", "a b", True),
    ],
)
def test_regular_expressions(regex: str, text: str, expected: bool) -> None:
    assert (compile_pattern(f"%{regex}%").match(text) is not None) is expected
    value = compile_pattern(f"{{ $.v = %{regex}% }}")
    assert (value.match(json.dumps({"v": text})) is not None) is expected


def test_lone_surrogates_are_one_character() -> None:
    assert compile_pattern("{ $.v = %^.$% }").match('{"v":"\\ud800"}')
    assert compile_pattern("%^x.$%").match("x\udfff")
    assert compile_pattern("ERROR").match("ERROR \ud800")
    assert compile_pattern("[a, b]").match("\ud800 y")
    assert compile_pattern("{ $.v = 1 }").explain('{"v":"\\ud800"}').render().isascii() is False


@pytest.mark.parametrize("regex", ["a+a+a+a+a+$", "a*a*a*a*b", "[ab]*a[ab]{15}c", "a{1,1000}b"])
def test_regular_expressions_are_linear(regex: str) -> None:
    assert compile_pattern(f"%{regex}%").match("a" * 1_000_000 + "d") is None


def test_regular_expressions_are_bounded_in_memory() -> None:
    with pytest.raises(ValueError, match=r"too large|cannot be compiled"):
        compile_pattern("%" + "a{1000}" * 100 + "%")
