"""Warnings: what AWS does not document, and what is seldom meant."""

from __future__ import annotations

import pytest

from exporter.patterns import compile_pattern

UNCERTAIN = [
    ("hello-world", 5),
    ("a.b", 1),
    ("a:b", 1),
    ("a=b", 1),
    ("café", 3),
    ("ERROR - WARN", 6),
    ("%ERROR% -WARN", 0),
    ("-%ERROR%", 0),
    ("?%a% ?%b%", 0),
    ("%a{,2}%", 2),
    ("%a{3, 5}%", 2),
    ("%a+?%", 3),
    ("%a]%", 2),
    ("%[[]%", 2),
    (r"%a\-b%", 2),
    ("%a|%", 2),
    ("{ $.a = x*y }", 8),
    ('{ $.a != "*x*y*" }', 9),
    ("{ $.a = *1.1 }", 8),
    ("{ $.a = us-east-1 }", 8),
    ("{ $.a = 0x10 }", 8),
    ("{ $.a = +5 }", 8),
    ("{ $.a = .5 }", 8),
    ("{ $.a > 5. }", 8),
    ("{ $.a > 9007199254740993 }", 8),
    ("{ $.a != %x% }", 9),
    ('{ $.a[*] != "x" }', 2),
    ("{ $.a[*] IS NULL }", 2),
    ("{ $.a[*] NOT EXISTS }", 2),
    ("{ $.a is null }", 6),
    ("{ $.a not exists }", 6),
    ("{ $.a.['b.c'] = 1 }", 6),
    ("{ $.['a b'] = 1 }", 4),
    ("{ $.['@timestamp'] = 1 }", 4),
    ("{ $.[0] = 1 }", 4),
    ("[a, , c]", 4),
    ("[..., ]", 6),
    ("[(a=1), b]", 1),
    ("[a=eni-1*, b]", 3),
    ('[a="x*", b]', 3),
    ("[a-b, c]", 1),
    ("[1, c]", 1),
]
TRAPS = [
    ('" "', 0),
    ('""', 0),
    ("ERROR ?a ?b", 6),
    ("?a -b", 0),
    ('"%a%"', 0),
    ('{ $.a = "%a%" }', 8),
    ("{ $.a = true }", 8),
    ("{ $.a != FALSE }", 9),
    ('{ $.a = "1" }', 8),
    ("{ $.a = 1 || $.b = 2 && $.c = 3 }", 21),
    ("{ ($.a = 1 || $.b = 2 && $.c = 3) }", 22),
    ("[a=1 || a=2 && a=3, ...]", 12),
    ("[a=ERROR]", 1),
    ("[a, b > 1]", 4),
    (r"[a, b = %^5\d\d$%]", 4),
    ("[ERROR]", 1),
]
UNDOUBTED = [
    "",
    "ERROR -WARN",
    "?ERROR ?WARN",
    '"a phrase" -"another"',
    r"%^\d+[a-z]{2,3}$%",
    '{ ($.a = "x") && ($.b != *x* || $.c = 1.5) }',
    "{ $.a = x.y.com && $.b[*] = y && $.c NOT EXISTS && $.d IS TRUE }",
    "{ $.a[*] IS TRUE || $.b[*].c IS FALSE }",
    '{ $.a = "say \\"hi\\"" }',
    "[ip, user, ..., status = 4*, bytes]",
    "[..., request=*.html*, status=4*,]",
    "[w1=ERROR || w1=%WARN%, w2]",
    r"[line = *duration* && line = %^\S+ LOG: duration: %]",
    "[]",
]


@pytest.mark.parametrize(("text", "position"), UNCERTAIN)
def test_what_aws_does_not_document_is_marked_uncertain(text: str, position: int) -> None:
    warnings = compile_pattern(text).warnings
    assert ("uncertain", position) in [(w.code, w.position) for w in warnings]


@pytest.mark.parametrize(("text", "position"), TRAPS)
def test_what_is_seldom_meant_is_marked_a_trap(text: str, position: int) -> None:
    warnings = compile_pattern(text).warnings
    assert ("trap", position) in [(w.code, w.position) for w in warnings]


@pytest.mark.parametrize("text", UNDOUBTED)
def test_documented_patterns_have_no_warnings(text: str) -> None:
    assert compile_pattern(text).warnings == ()


def test_warnings_come_in_the_order_of_the_pattern() -> None:
    warnings = compile_pattern(
        '{ $.a[*] != x*y && $.b = true && $.c is null && $.d = "1" }'
    ).warnings
    positions = [warning.position for warning in warnings]
    assert positions == sorted(positions)
    assert len(positions) == 5
    assert all(warning.message.endswith(".") for warning in warnings)
