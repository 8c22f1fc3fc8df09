"""The conformance suite: well formed, whole, the project's own, and passed by the exporter."""

from __future__ import annotations

import json
import pickle
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conformance.score import (
    CASES,
    FOLDER,
    UNCERTAIN,
    Verdict,
    exporter_engine,
    failures,
    load_cases,
)
from exporter.patterns import FilterPattern, PatternError, compile_pattern
from tests.support.shared import shared_files

SPECIFICATION = (FOLDER / "SPECIFICATION.md").read_text(encoding="utf-8")
BOTH = pytest.mark.parametrize("path", [CASES, UNCERTAIN], ids=lambda path: path.stem)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_exporter_judges_every_case_right() -> None:
    assert list(map(str, failures(load_cases(), exporter_engine))) == []


def test_the_exporters_decisions_on_what_is_uncertain_are_recorded() -> None:
    assert list(map(str, failures(load_cases(UNCERTAIN), exporter_engine))) == []


@BOTH
def test_explanations_agree_with_matching(path: Path) -> None:
    for case in load_cases(path):
        if case.expected.valid:
            explanation = compile_pattern(case.pattern).explain(case.message)
            assert explanation.matched == case.expected.match, case.id
            assert explanation.render(), case.id


@BOTH
def test_a_copy_of_a_pattern_judges_as_the_pattern_does(path: Path) -> None:
    """Pickled, as a worker process gets it; limits that were exceeded stay warnings."""

    def copying_engine(pattern: str, message: str) -> Verdict:
        try:
            compiled = compile_pattern(pattern)
        except PatternError:
            limitless = _compiled(pattern)
            assert limitless is None or _copied(limitless).warnings == limitless.warnings
            return Verdict(valid=False)
        match = _copied(compiled).match(message)
        return Verdict(valid=True) if match is None else Verdict(True, True, match.fields)

    assert list(map(str, failures(load_cases(path), copying_engine))) == []


def _compiled(pattern: str) -> FilterPattern | None:
    try:
        return compile_pattern(pattern, aws_limits=False)
    except PatternError:
        return None


def _copied(pattern: FilterPattern) -> FilterPattern:
    copy = pickle.loads(pickle.dumps(pattern))  # noqa: S301
    assert isinstance(copy, FilterPattern)
    assert copy.tree == pattern.tree
    return copy


def test_check_warns_of_most_that_is_uncertain() -> None:
    """Of what depends on the pattern: the others are about messages, or were refused."""
    about_patterns = {
        "json.inner-wildcard",
        "json.any-child-not",
        "json.keyword-case",
        "json.quoted-key-below",
        "json.bare",
        "regex.counts",
        "regex.lazy",
        "regex.not-equal",
        "space.empty-entries",
        "space.one-entry",
        "space.parentheses",
        "space.bare",
        "terms.exclude-blank",
        "terms.groups",
        "terms.regex-mixed",
        "terms.unquoted",
        "terms.empty-phrase",
    }
    cases = [case for case in load_cases(UNCERTAIN) if case.expected.valid]
    assert about_patterns <= {case.clause for case in cases}
    silent = {
        case.pattern
        for case in cases
        if case.clause in about_patterns and not compile_pattern(case.pattern).warnings
    }
    assert silent == set()


@BOTH
def test_cases_have_the_documented_format(path: Path) -> None:
    validator = jsonschema.Draft202012Validator(
        json.loads((FOLDER / "case.schema.json").read_text())
    )
    problems = [
        f"{row['id']}: {problem.message}"
        for row in rows(path)
        for problem in validator.iter_errors(row)
    ]
    assert problems == []


@pytest.mark.parametrize(
    "change",
    [
        {"note": None},
        {"evidence": "hearsay"},
        {"valid": False},
        {"match": False},
        {"extract": None},
        {"message": ""},
        {"kind": "space"},
    ],
    ids=str,
)
def test_the_schema_refuses_what_is_no_case(change: dict[str, Any]) -> None:
    case = next(row for row in rows(CASES) if row.get("extract"))
    schema = json.loads((FOLDER / "case.schema.json").read_text())
    changed = {key: value for key, value in (case | change).items() if value is not None}
    jsonschema.validate(case, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed, schema)


def test_each_case_is_there_once_and_has_an_id_of_its_own() -> None:
    counted, uncertain = rows(CASES), rows(UNCERTAIN)
    for key in (lambda row: row["id"], lambda row: (row["pattern"], row["message"])):
        several = [what for what, n in Counter(map(key, counted + uncertain)).items() if n > 1]
        assert several == []
    for row in counted:
        assert row["id"].startswith(f"{row['clause']}-"), row["id"]
        assert row["evidence"] in ("documented", "observed", "derived"), row["id"]
    for row in uncertain:
        assert row["id"].startswith(f"u.{row['clause']}-"), row["id"]
        assert row["evidence"] in ("undocumented", "conflict"), row["id"]


def test_each_rule_of_the_specification_has_cases_and_the_other_way_round() -> None:
    evidence = dict(
        re.findall(r"^\| `([a-z]+\.[a-z-]+)` \|.*\| (\w+) \|$", SPECIFICATION, re.MULTILINE)
    )
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows(CASES):
        found[row["clause"]].add(row["evidence"])
    strength = ["documented", "observed", "derived"]
    assert evidence == {clause: min(kinds, key=strength.index) for clause, kinds in found.items()}


def test_each_rule_about_messages_has_cases_on_both_sides() -> None:
    """So that an engine that always says the same fails each of them.

    But for the empty pattern, which matches all, and objects, which match nothing.
    """
    sides: dict[str, set[bool]] = defaultdict(set)
    for row in rows(CASES):
        if row["valid"]:
            sides[row["clause"]].add(row["match"])
    assert {clause for clause, found in sides.items() if len(found) == 1} == {
        "kind.empty",
        "json.object",
    }


def edges() -> dict[int, str]:
    register = SPECIFICATION.partition("## Register of edges")[2].partition("\n## ")[0]
    return {
        int(number): rest
        for number, rest in re.findall(r"^\| (\d+) \| (.*)$", register, re.MULTILINE)
    }


def test_each_edge_of_the_register_has_a_case() -> None:
    counted = {row["edge"] for row in rows(CASES) if "edge" in row}
    uncertain = {row["edge"] for row in rows(UNCERTAIN) if "edge" in row}
    assert counted | uncertain == set(edges())
    for number, row in edges().items():
        assert number in (uncertain if "uncertain" in row else counted), number


def test_the_register_has_each_row_of_the_shared_one() -> None:
    (path,) = shared_files(".", "PATTERNS.md")
    register = path.read_text().partition("## 7. Edge-case register")[2].partition("\n## ")[0]
    numbers = {int(number) for number in re.findall(r"^\| (\d+) \|", register, re.MULTILINE)}
    assert numbers == set(edges())
    assert len(numbers) > 20


def test_no_case_is_a_copy_of_a_shared_one() -> None:
    """The shared cases that AWS printed or others observed are restated, not copied."""
    (path,) = shared_files("conformance", "filter_patterns.jsonl")
    theirs = {
        (row["pattern"], row["message"])
        for row in rows(path)
        if row["source"] in ("docs", "thread")
    }
    ours = rows(CASES) + rows(UNCERTAIN)
    assert [row["id"] for row in ours if (row["pattern"], row["message"]) in theirs] == []
    assert len(theirs) > 900


TESTS = """\
= 7|!= 7|= 7.0|!= 7.0|< 8|<= 7|> 6|>= 7|= "7"|!= "7"|= seven|!= seven|= "seven"|!= "seven"|\
= "sev*"|= 7*|!= 7*|= *|= "*"|!= "*"|= %sev%|IS NULL|IS TRUE|IS FALSE|NOT EXISTS|\
= true|= "true"|!= "true"|= false|!= false"""
VALUES = """null|true|false|7|7.0|7e0|70|"7"|"7.0"|"seven"|""|"true"|[7]|[]|[null]|{"x":7}|{}"""


def test_the_type_matrix_is_whole() -> None:
    messages = ['{"level":"7"}', *(f'{{"reading":{value}}}' for value in VALUES.split("|"))]
    asked = {(row["pattern"], row["message"]) for row in rows(CASES)}
    missing = [
        (test, message)
        for test in TESTS.split("|")
        for message in messages
        if (f"{{ $.reading {test} }}", message) not in asked
    ]
    assert missing == []


def test_the_readme_shows_a_case_and_answers_as_they_are() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*)\n```", readme)
    assert json.loads(example) in rows(CASES)
    for question, answer in re.findall(r"^→ (.*)\n← (.*)$", readme, re.MULTILINE):
        asked, told = json.loads(question), json.loads(answer)
        verdict = exporter_engine(asked["pattern"], asked["message"])
        assert (verdict.valid, verdict.match) == (told["valid"], told.get("match", False))
        assert verdict.extract == told.get("extract", {})


def test_every_kind_of_pattern_is_covered() -> None:
    def kind(text: str) -> str:
        try:
            pattern: FilterPattern = compile_pattern(text)
        except PatternError:
            return "refused"
        return pattern.kind

    count = Counter(kind(row["pattern"]) for row in rows(CASES))
    assert set(count) == {"all", "unstructured", "json", "space", "refused"}
