"""What alerts say about the events that the rules really match, rendered by promtool.

The events are those of the rule tests and the public samples beside the repository: with and
without each field, carried out and refused.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import pytest

from tests.support.alerting import Alert, alerts, rule_files
from tests.support.firing import SECURITY_PACKS, Case, Firing, cases, firings
from tests.support.samples import distinct_records
from tests.support.shared import shared_files
from tests.support.tools import PrometheusBinaries

NEEDS_A_HISTORY: Final = re.compile(r"Surge$")
"""The names of alerts that compare with the day before, which the events here do not have."""
NEEDS_MORE: Final = {
    "ApiGatewaySlow": "a histogram",
    "HttpTargetSlow": "a histogram",
    "LambdaMemoryNearLimit": "an average over an hour",
    "AwsSecurityConsoleLoginAfterFailures": "failed sign-ins before one that succeeds",
}
"""Alerts that the same event over and over does not fire, and what they need."""
TWO_ALERTS: Final[dict[frozenset[str], str]] = {}
"""Pairs of alerts that one event may fire, and why both are wanted."""
REFUSED: Final = re.compile(
    r"\b(refuse[ds]?|denied|denies|fail(s|ed|ures?)?|tried|errors?|throttle[ds]?|used up|rejected)\b",
    re.IGNORECASE,
)
GAP: Final = re.compile(
    r"\s{2}|\(\s*\)|\s[,.;)]|^\s|\s$|<no value>|%!|\bfrom (in|for|to|at|as|by|from)\b"
    r"|\b(from|for|of|by|to|with|at|called|and|or|the|a|an)[.,;)]"
)
"""Where a word is missing."""
_SECURITY_FILES: Final = [
    path.stem for path in rule_files() if path.stem.startswith(SECURITY_PACKS)
]
_FILES: Final = [path.stem for path in rule_files() if path.stem != "exporter"]


@pytest.fixture(scope="module")
def fired(
    prometheus_binaries: PrometheusBinaries, tmp_path_factory: pytest.TempPathFactory
) -> list[Firing]:
    return firings(cases(), prometheus_binaries, tmp_path_factory.mktemp("firing"))


def of_file(fired: Iterable[Firing], group: str) -> list[Firing]:
    names = {alert.name for alert in alerts() if alert.group == group}
    return [one for one in fired if one.name in names]


def told(faults: Iterable[tuple[str, str]]) -> str:
    """Each fault with the first of its examples."""
    examples = dict(reversed(list(faults)))
    return "\n".join(f"{fault}: {examples[fault]}" for fault in sorted(examples))


@pytest.mark.parametrize("group", _FILES)
def test_a_sentence_has_no_gap_where_the_event_lacks_a_field(
    fired: list[Firing], group: str
) -> None:
    faults = []
    for one in of_file(fired, group):
        for text in (one.summary, one.description):
            if gap := GAP.search(text):
                faults.append((f"{one.name} has {gap[0]!r}", f"{text} [{one.case.name}]"))
        for label in sorted(bare_labels(description_of(one)) - one.labels.keys()):
            faults.append((f"{one.name} has no {label}", f"{one.description} [{one.case.name}]"))
    if faults:
        pytest.fail(told(faults), pytrace=False)


def bare_labels(text: str) -> set[str]:
    """The labels that a text shows whether they are empty or not."""
    without = re.sub(r"{{-? *(with|if) .*?{{-? *end *-?}}", " ", text, flags=re.DOTALL)
    return set(re.findall(r"\$labels\.(\w+)", without))


def description_of(one: Firing) -> str:
    """The template that a firing alert's description comes from."""
    (text,) = {
        alert.description
        for alert in alerts()
        if (alert.name, alert.severity, alert.summary) == (one.name, one.severity, one.summary)
    }
    return text


@pytest.mark.parametrize("group", _SECURITY_FILES)
def test_a_refused_call_is_not_told_as_a_deed_nor_a_deed_as_refused(
    fired: list[Firing], group: str
) -> None:
    faults = []
    for one in of_file(fired, group):
        example = f"{one.summary} {one.description} [{one.case.name}]"
        if one.many or not one.case.record.get("eventName"):
            continue
        for kind, text in (("summary", one.summary), ("description", one.description)):
            if one.case.refused and not REFUSED.search(text):
                fault = f"{one.name} ({one.severity}): its {kind} tells a refused call as done"
                faults.append((fault, example))
        if not one.case.refused and re.search(r"\b(refused|denied)\b", one.description):
            faults.append((f"{one.name} ({one.severity}) tells a call as refused", example))
        if not one.case.refused and re.match(r".* (tried|attempted) to ", one.summary):
            faults.append((f"{one.name} ({one.severity}) tells a call as an attempt", example))
    if faults:
        pytest.fail(told(faults), pytrace=False)


@pytest.mark.parametrize("group", _SECURITY_FILES)
def test_a_refused_call_pages_nobody(fired: list[Firing], group: str) -> None:
    faults = [
        (f"{one.name} is critical for a refused call", f"{one.description} [{one.case.name}]")
        for one in of_file(fired, group)
        if one.case.refused and not one.many and one.severity == "critical"
    ]
    if faults:
        pytest.fail(told(faults), pytrace=False)


@pytest.mark.parametrize("group", _SECURITY_FILES)
def test_one_event_is_one_alert(fired: list[Firing], group: str) -> None:
    by_case: dict[str, set[str]] = defaultdict(set)
    for one in fired:
        if not one.many and one.severity != "info":
            by_case[one.labels["account_id"]].add(one.name)
    own = {alert.name for alert in alerts() if alert.group == group}
    faults = []
    for one in fired:
        names = by_case[one.labels["account_id"]]
        if not one.many and len(names) > 1 and names & own and frozenset(names) not in TWO_ALERTS:
            faults.append((" + ".join(sorted(names)), one.case.name))
    if faults:
        pytest.fail(told(faults), pytrace=False)


def test_every_alert_takes_part(fired: list[Firing]) -> None:
    known = {alert.name for alert in alerts() if alert.group != "exporter"}
    missing = {
        name for name in known - {one.name for one in fired} if not NEEDS_A_HISTORY.search(name)
    }
    assert missing == set(NEEDS_MORE)
