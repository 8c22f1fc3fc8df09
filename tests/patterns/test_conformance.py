"""The cases of ../shared/conformance; tests/conformance has those of the project's own suite."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from exporter.patterns import Document, FilterPattern, PatternError, compile_pattern
from tests.support.shared import shared_files


def cases(name: str) -> list[dict[str, Any]]:
    (path,) = shared_files("conformance", name)
    return [json.loads(line) for line in path.read_text().splitlines()]


@cache
def compiled(text: str) -> FilterPattern | PatternError:
    try:
        return compile_pattern(text)
    except PatternError as error:
        return error


def disagreements(name: str) -> list[str]:
    wrong: list[str] = []
    for case in cases(name):
        pattern = compiled(case["pattern"])
        if isinstance(pattern, PatternError):
            if case["valid"]:
                wrong.append(f"{case['id']}: rejected: {pattern}")
            continue
        if not case["valid"]:
            wrong.append(f"{case['id']}: accepted")
            continue
        match = pattern.match(case["message"])
        if (match is not None) != case["match"]:
            wrong.append(f"{case['id']}: {pattern!r} gives {match} for {case['message']!r}")
        for key, value in (case.get("extract") or {}).items():
            if match is not None and match.fields.get(key) != value:
                wrong.append(f"{case['id']}: {key} is {match.fields.get(key)!r}, not {value!r}")
    return wrong


def test_every_documented_or_observed_case_is_right() -> None:
    assert disagreements("filter_patterns.jsonl") == []


def test_the_best_guesses_are_followed() -> None:
    assert disagreements("uncertain.jsonl") == []


def test_explanations_agree_with_matching() -> None:
    wrong: list[str] = []
    for case in cases("filter_patterns.jsonl") + cases("uncertain.jsonl"):
        pattern = compiled(case["pattern"])
        if isinstance(pattern, FilterPattern):
            matched = pattern.match_document(Document(case["message"])) is not None
            explanation = pattern.explain(case["message"])
            if explanation.matched != matched or not explanation.render():
                wrong.append(case["id"])
    assert wrong == []


def test_only_space_delimited_patterns_extract_fields() -> None:
    for case in cases("filter_patterns.jsonl"):
        pattern = compiled(case["pattern"])
        if isinstance(pattern, FilterPattern):
            match = pattern.match(case["message"])
            if match is not None:
                assert bool(match.fields) == (pattern.kind == "space"), case["id"]
