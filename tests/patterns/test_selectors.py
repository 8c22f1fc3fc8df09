"""Selectors, as labels and values of rules use them."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.patterns import MISSING, Document, NumberText, PatternError, parse_selector

OBJ: dict[str, Any] = {
    "a": {"b": [{"c": 1}, {"c": 2}, {"d": None}]},
    "x.y": {"z z": "deep"},
    "n": None,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$.a.b[1].c", 2),
        ("$.a.b[*].c", 1),
        ("$.a.b[2].d", None),
        ("$.a.b[2].c", MISSING),
        ("$.a.b[3]", MISSING),
        ("$.a.b.c", MISSING),
        ("$.a.*[0].c", 1),
        ("$.['x.y'].['z z']", "deep"),
        ("$.n", None),
        ("$.n.x", MISSING),
        ("$.m[*]", MISSING),
        (" $.n ", None),
    ],
)
def test_the_first_value_or_missing(text: str, expected: object) -> None:
    assert parse_selector(text).select(OBJ) == expected


def test_all_values_come_in_order() -> None:
    assert list(parse_selector("$.a.b[*].c").select_all(OBJ)) == [1, 2]
    assert list(parse_selector("$.a.b[0].c").select_all(OBJ)) == [1]
    assert list(parse_selector("$.a.zz").select_all(OBJ)) == []


@pytest.mark.parametrize(
    "text",
    ["", "a", "$", "$.", "$.a ", "$.a b", "$.a.b[", "$.a[*].b[*]", "$.a = 1", "$.a]", "$.a}"],
)
def test_anything_else_is_an_error(text: str) -> None:
    if text == "$.a ":
        assert parse_selector(text) == parse_selector("$.a")
        return
    with pytest.raises(PatternError):
        parse_selector(text)


def test_equal_paths_are_equal_selectors() -> None:
    assert parse_selector("$.a.*") == parse_selector("$.['a'][*]")
    assert hash(parse_selector("$.a.*")) == hash(parse_selector("$.['a'][*]"))
    assert str(parse_selector("$.['a'].['b.c'][0].*")) == "$.a.['b.c'][0][*]"
    assert parse_selector(" $.['a']").text == "$.['a']"


def test_numbers_keep_their_text() -> None:
    obj = Document('{"n": -1.50e0, "m": 00}').json
    assert obj is None
    obj = Document('{"n": -1.50e0}').json
    assert obj is not None
    value = parse_selector("$.n").select(obj)
    assert isinstance(value, NumberText)
    assert value == "-1.50e0"
    assert value.decimal == -1.5


@pytest.mark.parametrize("text", ["$.*", "$.*.a", "$.[0]", "$.[0][1].a", "$.['[*]']"])
def test_a_first_step_in_brackets_is_written_so_that_it_can_be_read_again(text: str) -> None:
    selector = parse_selector(text)
    assert str(selector) == text
    assert parse_selector(str(selector)) == selector
