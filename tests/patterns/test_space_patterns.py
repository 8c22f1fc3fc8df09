"""Space-delimited patterns: how lines are split, aligned, compared and extracted."""

from __future__ import annotations

import pytest

from exporter.patterns import Document, compile_pattern

LINE = '10.0.0.1  - bob\t[10/Oct/2000:13:25:15 -0700] "GET /a b" 404 17'


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("", []),
        (" \t\n", []),
        ("a  b\tc\nd\r\n", ["a", "b", "c", "d"]),
        (LINE, ["10.0.0.1", "-", "bob", "10/Oct/2000:13:25:15 -0700", "GET /a b", "404", "17"]),
        ('"" x', ["", "x"]),
        ('"a" "b', ["a", '"b']),
        ('a "b', ["a", '"b']),
        ('"', ['"']),
        ("[a [b] c]", ["a [b", "c]"]),
        ('"x"y z', ['"x"y', "z"]),
        ('"x"y z" w', ['x"y z', "w"]),
        ("a[1 2] b", ["a[1", "2]", "b"]),
        ("x\xa0y", ["x\xa0y"]),
    ],
)
def test_lines_are_split_as_aws_does(line: str, texts: list[str]) -> None:
    assert Document(line).texts == texts


@pytest.mark.parametrize(
    ("pattern", "line", "fields"),
    [
        ("[a, b]", "x", None),
        ("[a, b]", "x y", {"$a": "x", "$b": "y"}),
        ("[a, b]", 'x y "z  w"', {"$a": "x", "$b": 'y "z  w"'}),
        ("[a, b]", 'x "z  w" ', {"$a": "x", "$b": "z  w"}),
        ("[a]", " x  y ", {"$a": "x  y"}),
        ("[a, b, ...]", "x y", {"$a": "x", "$b": "y"}),
        ("[a, ...]", "x y z", {"$a": "x", "$2": "y", "$3": "z"}),
        ("[..., a, b]", "x", None),
        ("[..., a, b]", "w x y z", {"$1": "w", "$2": "x", "$a": "y", "$b": "z"}),
        ("[a, ..., z]", "x y z", {"$a": "x", "$2": "y", "$z": "z"}),
        ("[a, ..., z]", "x", None),
        ("[..., a,]", "x y z", {"$1": "x", "$a": "y", "$3": "z"}),
        ("[a, ]", "x y z", {"$a": "x", "$2": "y z"}),
        ("[]", "x y", {"$1": "x", "$2": "y"}),
        ("[]", " ", None),
        ("[...]", " ", {}),
    ],
)
def test_fields_are_aligned_and_extracted(
    pattern: str, line: str, fields: dict[str, str] | None
) -> None:
    match = compile_pattern(pattern).match(line)
    assert (None if match is None else match.fields) == fields


@pytest.mark.parametrize(
    ("condition", "text", "expected"),
    [
        ("n = 404", "404", True),
        ("n = 404", "404.0", True),
        ("n = 404", "x", False),
        ('n = "404"', "404.0", False),
        ("n != 404", "404.0", False),
        ("n != 404", "-", True),
        ("n = 4*", "404", True),
        ("n = %^4%", "404", True),
        ("n != %^4%", "404", False),
        ("n > 10", "11ms", False),
        ("n > 10", "1e3", True),
        ("n > 10", "+11.", True),
        ("n > 10", "NaN", False),
        ("n > 10", "Infinity", False),
        ("n > 10", "0x20", False),
        ("n > 10", "1_000", False),
        ("n > 10", "\u0661\u0661", False),
        ("n > 10 && n < 20", "15", True),
        ("n < 10 || n > 20", "15", False),
        ("n = a || n = b && n = c", "a", True),
        ("(n = a || n = b) && n != a", "a", False),
    ],
)
def test_conditions_on_a_field(condition: str, text: str, expected: bool) -> None:
    pattern = compile_pattern(f"[{condition}, ...]")
    line = f"{text} rest of the line"
    assert (pattern.match(line) is not None) is expected
    assert pattern.explain(line).matched is expected


def test_a_condition_on_the_last_field_sees_the_rest_of_the_line() -> None:
    assert compile_pattern("[a, n > 1]").match("x 5")
    assert compile_pattern("[a, n > 1]").match("x 5 y") is None
    assert compile_pattern("[a, n > 1, ...]").match("x 5 y")


def test_the_references_that_labels_may_use_are_known() -> None:
    pattern = compile_pattern("[a, , b=1, ..., c]")
    assert pattern.field_names == {"$a", "$b", "$c"}
    assert [n for n in range(1, 7) if pattern.can_extract(f"${n}")] == [2, 4, 5, 6]
    assert not pattern.can_extract("$x")
    assert not pattern.can_extract("$0")
    assert not pattern.can_extract("$" + "9" * 5000 + "x")
    assert compile_pattern("[a, ]").can_extract("$2")
    assert not compile_pattern("[a, ]").can_extract("$3")
    assert compile_pattern("[]").can_extract("$9")
    assert not compile_pattern("{ $.a = 1 }").can_extract("$a")
    assert compile_pattern("ERROR").field_names == frozenset()


@pytest.mark.parametrize("opening", ['"', "["])
def test_unclosed_delimiters_are_linear(opening: str) -> None:
    line = f"{opening}a " * 200_000
    assert len(Document(line).fields) == 200_000
