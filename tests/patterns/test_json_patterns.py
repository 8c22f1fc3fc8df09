"""JSON patterns: what each kind of value does under each kind of test."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from exporter.patterns import compile_pattern

TESTS = ["= 1", "!= 1", "> 0", '= "1"', '!= "1"', "= *", "IS NULL", "IS TRUE", "NOT EXISTS"]
MATRIX = {
    "{}": "........T",
    '{"v":null}': "......T..",
    '{"v":true}': ".......T.",
    '{"v":false}': ".........",
    '{"v":1}': "T.TT.T...",
    '{"v":1.0}': "T.T.TT...",
    '{"v":1e0}': "T.T.TT...",
    '{"v":2}': ".TT.TT...",
    '{"v":-2}': ".T..TT...",
    '{"v":"1"}': "T..T.T...",
    '{"v":"1.0"}': ".T..TT...",
    '{"v":"10"}': ".T..TT...",
    '{"v":""}': ".T..TT...",
    '{"v":[]}': ".........",
    '{"v":[1]}': ".........",
    '{"v":[null]}': "......T..",
    '{"v":{}}': ".........",
    '{"v":{"1":1}}': ".........",
    "[1]": ".........",
    "1": ".........",
    '"v"': ".........",
    "null": ".........",
    "": ".........",
    'x {"v":1}': ".........",
    '{"v":1} x': ".........",
    '{"v":1}{"v":1}': ".........",
    '\ufeff{"v":1}': ".........",
    '{"v":NaN}': ".........",
    '{"v":Infinity}': ".........",
    '{"v":01}': ".........",
    '{"v":1': ".........",
    ' {"v":2,"v":1}\n': "T.TT.T...",
}


@pytest.mark.parametrize("test", TESTS)
def test_the_type_matrix(test: str) -> None:
    pattern = compile_pattern(f"{{ $.v {test} }}")
    column = TESTS.index(test)
    got = {message: pattern.match(message) is not None for message in MATRIX}
    assert got == {message: row[column] == "T" for message, row in MATRIX.items()}


@pytest.mark.parametrize(
    ("condition", "message", "expected"),
    [
        ("$.a = 1 || $.b = 1 && $.c = 1", {"a": 1}, True),
        ("($.a = 1 || $.b = 1) && $.c = 1", {"a": 1}, False),
        ("($.a = 1 || $.b = 1) && $.c = 1", {"b": 1, "c": 1}, True),
        ("$.a[*].x = 1 && $.a[*].y = 2", {"a": [{"x": 1}, {"y": 2}]}, True),
        ("$.a[*] = 1", {"a": {"k": 1}}, True),
        ("$.a.* = 1", {"a": [2, 1]}, True),
        ("$.a[*] = 1", {"a": 1}, False),
        ("$.* = x", {"a": {"b": "x"}}, False),
        ("$.a[*] != x", {"a": ["x", "y"]}, True),
        ("$.a[*] NOT EXISTS", {"a": []}, True),
        ("$.a[*] NOT EXISTS", {"a": [None]}, False),
        ("$.a[*] IS NULL", {"a": [1, None]}, True),
        ("$.a[0] = x", {"a": {"0": "x"}}, False),
        ("$.a.0 = x", {"a": ["x"]}, False),
        ("$.a.b = x", {"a.b": "x"}, False),
        ("$.['a.b'] = x", {"a.b": "x"}, True),
        ("$.a-b_1 = x", {"a-b_1": "x"}, True),
        ("$.a = true", {"a": "true"}, True),
        ("$.a = Xx", {"a": "xx"}, False),
        ('$.a = "ü"', {"a": "ü"}, True),
        ("$.a = %^4..$%", {"a": 404}, True),
        ("$.a = %x%", {"a": None}, False),
        ("$.a != %x%", {"a": "y"}, True),
        ("$.a != %x%", {}, False),
        ("$.a > 9007199254740992", {"a": 9007199254740993}, True),
        ("$.a = 0.1", {"a": 0.1}, True),
        ("$.a >= -.5e-3", {"a": -0.0005}, True),
    ],
)
def test_conditions(condition: str, message: dict[str, Any], expected: bool) -> None:
    pattern = compile_pattern(f"{{{condition}}}")
    assert (pattern.match(json.dumps(message)) is not None) is expected
    assert pattern.explain(json.dumps(message)).matched is expected


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("*", "", True),
        ("**", "x", True),
        ("a*", "abc", True),
        ("a*", "ba", False),
        ("*c", "abc", True),
        ("*c", "cab", False),
        ("*b*", "abc", True),
        ("a*c", "abc", True),
        ("a*c", "abcd", False),
        ("aa*a", "aa", False),
        ("*.111.111.111", "111.111.111.111", True),
        ("*111.111.111", "111.111.111.111", True),
        ("111*111", "111.111.111.111", True),
        ("*s", "RunInstances", True),
        ("*x", "axx", True),
        ("*-prod", "a-prod-prod", True),
        ("a*a", "a", False),
        ("ab*ba", "aba", False),
        ("*ab*b", "ab", False),
        ("*ab*b", "abab", True),
        ("a**c", "ac", True),
        ("*a*b*", "xxaxxbxx", True),
        ("*b*a*", "xxaxxbxx", False),
        ("a?c", "abc", False),
        ("a?c", "a?c", True),
    ],
)
def test_an_asterisk_is_any_text_wherever_it_is(value: str, text: str, expected: bool) -> None:
    message = json.dumps({"v": text})
    assert (compile_pattern(f'{{$.v = "{value}"}}').match(message) is not None) is expected
    assert (compile_pattern(f'{{$.v != "{value}"}}').match(message) is not None) is not expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("1e999999999999999999999999", True),
        ("-1e999999999999999999999999", False),
        ("1e-999999999999999999999999", False),
        ("1e" + "9" * 10_000, True),
        ("9" * 10_000, True),
        ("0e" + "9" * 10_000, False),
        ("1" + "0" * 5_000 + "e-5000", False),
    ],
)
def test_absurd_numbers_are_compared_all_the_same(number: str, expected: bool) -> None:
    pattern = compile_pattern("{ $.v > 1 }")
    assert (pattern.match(f'{{"v":{number}}}') is not None) is expected


def test_deeply_nested_messages_do_not_match_and_do_not_raise() -> None:
    pattern = compile_pattern("{ $.v NOT EXISTS }")
    assert pattern.match('{"a":' * 100_000 + "1" + "}" * 100_000) is None
    assert "nested too deeply" in pattern.explain('{"a":' * 100_000).render()


def test_absurd_numbers_in_patterns_compile() -> None:
    huge = compile_pattern("{ $.v < 1e99999999999999999999999 }", aws_limits=False)
    assert huge.match('{"v": 5}')


@pytest.mark.parametrize(
    "value",
    [
        "*a" * 50 + "*b",
        "*a" * 50_000 + "*b*",
        "*" + "a" * 50_000 + "b*",
        "*" + "a" * 50_000 + "b*" + "a" * 50_000 + "*c",
        "*" + ("a" * 300 + "b*") * 300,
        "*" * 100_000 + "b*",
    ],
)
def test_wildcard_bombs_are_linear(value: str) -> None:
    pattern = compile_pattern('{ $.v = "' + value + '" }', aws_limits=False)
    message = '{"v":"' + "a" * 5_000_000 + '"}'
    started = time.process_time()
    assert pattern.match(message) is None
    assert time.process_time() - started < 2
