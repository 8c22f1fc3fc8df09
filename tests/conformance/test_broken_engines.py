"""The suite bites: each small fault of an engine fails a case of the rule that it breaks."""

from __future__ import annotations

import pytest

from conformance.score import Verdict, exporter_engine, failures, load_cases
from tests.support import broken_json, broken_text
from tests.support.broken_engines import Fault

FAULTS = broken_json.FAULTS + broken_text.FAULTS


@pytest.mark.parametrize(
    ("rule", "fault"), FAULTS, ids=[f"{fault.__name__}-{rule}" for rule, fault in FAULTS]
)
def test_a_broken_engine_fails_a_case_of_the_rule(
    rule: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [case for case in load_cases() if case.clause == rule]
    assert failures(cases, exporter_engine) == []
    engine = fault(monkeypatch) or exporter_engine
    assert failures(cases, engine) != []


@pytest.mark.parametrize(
    "verdict", [Verdict(valid=False), Verdict(valid=True), Verdict(valid=True, match=True)], ids=str
)
def test_an_engine_that_always_says_the_same_fails_most_rules(verdict: Verdict) -> None:
    cases = load_cases()
    failed = {
        failure.case.clause for failure in failures(cases, lambda _pattern, _message: verdict)
    }
    passed = {case.clause for case in cases} - failed
    refusals = {case.clause for case in cases if not case.expected.valid}
    assert passed <= (refusals if not verdict.valid else {"kind.empty", "json.object"})


def test_an_engine_that_searches_for_substrings_only_fails() -> None:
    """As some emulators do: each term is searched for, and all else matches."""

    def engine(text: str, message: str) -> Verdict:
        if text[:1] in ("{", "[", "%"):
            return Verdict(valid=True, match=True)
        return Verdict(valid=True, match=all(term in message for term in text.split()))

    cases = load_cases()
    assert len(failures(cases, engine)) > len(cases) / 2
