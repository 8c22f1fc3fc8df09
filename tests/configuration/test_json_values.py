"""JSON messages written in YAML."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.yamlfile.documents import read_document
from exporter.yamlfile.json_values import JsonValue, json_value
from exporter.yamlfile.problems import Findings


def read(path: Path, text: str) -> JsonValue:
    path.write_text(text, encoding="utf-8")
    item = read_document(path, Findings())
    assert item is not None
    return json_value(item)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.09", 1.09),
        ('"1.09"', "1.09"),
        ("443", 443),
        ("-5", -5),
        ("1e3", 1000.0),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("true", True),
        ("False", False),
        ("No", "No"),
        ("yes", "yes"),
        ("'true'", "true"),
        ("null", None),
        ("~", None),
        ("", None),
        ("''", ""),
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("192.0.2.1", "192.0.2.1"),
        (".5", ".5"),
    ],
)
def test_what_is_not_quoted_is_what_it_looks_like(
    tmp_path: Path, text: str, value: JsonValue
) -> None:
    read_value = read(tmp_path / "a.yaml", f"a: {text}\n")
    assert read_value == {"a": value}
    assert isinstance(read_value, dict)
    assert type(read_value["a"]) is type(value)


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    text = "base: &b {a: 1, c: [x]}\nmore: {<<: *b, a: 2}\n"
    assert read(tmp_path / "a.yaml", text) == {
        "base": {"a": 1, "c": ["x"]},
        "more": {"a": 2, "c": ["x"]},
    }


# What JSON has and YAML has not: control characters, line separators in quotes.
CHARACTERS = st.characters(exclude_categories=["Cc", "Cf", "Cn", "Cs", "Zl", "Zp"])
TEXT = st.text(CHARACTERS, max_size=8)
NUMBER = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALAR = st.none() | st.booleans() | NUMBER | TEXT


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(TEXT, st.recursive(SCALAR, lambda some: st.lists(some, max_size=3))))
def test_json_is_read_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, JsonValue]
) -> None:
    path = tmp_path_factory.getbasetemp() / "value.yaml"
    assert read(path, json.dumps(value, ensure_ascii=False)) == value
