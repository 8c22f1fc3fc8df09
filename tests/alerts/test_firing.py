"""Alerts fire for the events that the rules match, are as severe as the rules, and say it truly.

The events are those of the rule tests and of the public samples beside the repository: with and
without each field, carried out and refused. promtool evaluates and renders.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final

import pytest

from exporter.configuration import RuleConfig
from tests.support.alerting import Alert, alerts, rule_files
from tests.support.alerting import rules_of as rules_of_file
from tests.support.firing import SECURITY_PACKS, Case, Firing, cases, firings, rules
from tests.support.promql import deciding, selectors
from tests.support.shared import SHARED, shared_files
from tests.support.tools import ROOT, PrometheusBinaries

NEEDS_A_HISTORY: Final = re.compile(r"Surge$")
"""The names of alerts that compare with the day before, which the events here do not have."""
NEEDS_MORE: Final = {
    "ApiGatewaySlow": "a histogram",
    "HttpTargetSlow": "a histogram",
    "LambdaMemoryNearLimit": "an average over an hour",
    "AwsIdentityInstanceCredentials": "two addresses",
    "AwsSecurityConsoleLoginAfterFailures": "failed sign-ins before one that succeeds",
}
"""Alerts that the same event over and over does not fire, and what they need."""
ON_TOP: Final = {"AwsCisRootUsage": "it is about the use of root, whether or not a call succeeds"}
"""Alerts that an event may fire besides another one, and why both are wanted."""
REFUSED: Final = re.compile(
    r"\b(refused?|denie[ds]|fail(s|ed|ures?)?|tried|errors?|throttled?|used up|rejected)\b",
    re.IGNORECASE,
)
GAP: Final = re.compile(
    r"\s{2}|\(\s*\)|\s[,.;)]|^\s|\s$|<no value>|%!|\bfrom (in|for|to|at|as|by|from)\b"
    r"|\b(from|for|of|by|to|with|at|called|and|or|the|a|an)[.,;)]"
)
"""Where a word is missing."""
_FILES: Final = [path.stem for path in rule_files() if path.stem != "exporter"]
_SECURITY_FILES: Final = [name for name in _FILES if name.startswith(SECURITY_PACKS)]
_DETECTIONS: Final = (ROOT / "docs" / "detections.md").read_text()

_FILES_OF_ATTACKS: Final = [*_SECURITY_FILES, "eks-audit"]

each_file = pytest.mark.parametrize("group", _FILES)
each_security_file = pytest.mark.parametrize("group", _SECURITY_FILES)
each_file_of_attacks = pytest.mark.parametrize("group", _FILES_OF_ATTACKS)


@pytest.fixture(scope="module")
def every_case() -> list[Case]:
    samples = shared_files("samples/cloudtrail", "*.jsonl") if SHARED.exists() else []
    return cases((path.name, line) for path in samples for line in path.read_text().splitlines())


@pytest.fixture(scope="module")
def fired(
    every_case: list[Case],
    prometheus_binaries: PrometheusBinaries,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Firing]:
    return firings(every_case, prometheus_binaries, tmp_path_factory.mktemp("firing"))


@cache
def allowed() -> Mapping[str, set[str]]:
    """By severity of the rule, those of alerts that a single match may fire: the map's words."""
    table = _DETECTIONS.partition("## Severity and alert\n")[2].partition("\n\n### ")[0]
    return {
        level: {one for one in ("critical", "warning", "info") if re.search(rf"\b{one}\b", alert)}
        for levels, alert in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.*) \|$", table, re.MULTILINE)
        for level in re.findall(r"\w+", levels)
    }


def test_the_map_of_severities_is_read_from_the_documentation() -> None:
    assert allowed() == {
        "critical": {"critical", "warning"},
        "high": {"warning"},
        "medium": {"warning", "info"},
        "low": {"info"},
        "info": {"info"},
    }


def listed(section: str) -> list[str]:
    """The names in the first column of a table of docs/detections.md; they may have ``*``."""
    _, _, text = _DETECTIONS.partition(f"## {section}\n")
    assert text, f"docs/detections.md has no section {section}"
    table = text.partition("\n## ")[0].partition("\n### ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([\w*]+)`", row)]


def is_listed(section: str, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in listed(section))


@cache
def metrics_of(group: str, expression: str) -> frozenset[str]:
    """The metrics of rules whose series an alert's expression returns."""
    recorded = {
        rule["record"]: rule["expr"]
        for path in rule_files()
        if path.stem == group
        for rule in rules_of_file(path)
        if "record" in rule
    }
    names = {str(selector.name) for selector in deciding(expression)}
    deeper = (metrics_of(group, recorded[name]) for name in names & recorded.keys())
    return frozenset(names - recorded.keys()).union(*deeper)


@cache
def templates() -> Mapping[tuple[str, str, str], Alert]:
    """The alerts as they are written, by name, severity and summary."""
    found = {(alert.name, alert.severity, alert.summary): alert for alert in alerts()}
    assert len(found) == len(alerts()), "alerts of one name differ in severity or summary"
    return found


def template_of(one: Firing) -> Alert:
    return templates()[one.name, one.severity, one.summary]


def behind(one: Firing) -> list[RuleConfig]:
    """The rules that matched the event and whose metrics the alert looks at."""
    alert = template_of(one)
    metrics = metrics_of(alert.group, alert.expression)
    return [rules()[name] for name in one.case.rules if rules()[name].metric in metrics]


@each_file_of_attacks
def test_an_alert_is_as_severe_as_its_rule(fired: list[Firing], group: str) -> None:
    faults = []
    for one in of_file(fired, group):
        fitting = {level for rule in behind(one) for level in allowed()[rule.severity]}
        if not one.many and one.severity not in fitting and not is_listed("Deviations", one.name):
            matched = ", ".join(f"{rule.name} ({rule.severity})" for rule in behind(one))
            faults.append((f"{one.name} is {one.severity} for {matched}", one.case.name))
    if faults:
        pytest.fail(told(faults), pytrace=False)


def is_by_a_stack(record: Mapping[str, Any]) -> bool:
    """Whether CloudFormation made the call: docs/detections.md, "Left out on purpose"."""
    caller = record.get("userIdentity") or {}
    return bool(caller.get("invokedBy") == "cloudformation.amazonaws.com")


@each_file_of_attacks
def test_each_event_of_a_severe_rule_fires_an_alert_as_severe(
    every_case: list[Case], fired: list[Firing], group: str
) -> None:
    severities: dict[int, set[str]] = defaultdict(set)
    for one in fired:
        severities[id(one.case)].add(one.severity)
    uncertain = {
        metric
        for alert in alerts()
        if alert.name in NEEDS_MORE or NEEDS_A_HISTORY.search(alert.name)
        for metric in metrics_of(alert.group, alert.expression)
    }
    faults = []
    for case in every_case:
        for rule in (rules()[name] for name in case.rules):
            if rule.pack != group or is_listed("Rules without an alert", rule.name):
                continue
            if rule.severity != "critical" and is_by_a_stack(case.record):
                continue
            wanted = {"critical": {"critical"}, "high": {"critical", "warning"}}.get(rule.severity)
            if rule.severity == "critical" and case.refused:
                wanted = {"critical", "warning"}
            got = severities[id(case)]
            if wanted and not got & wanted and not is_listed("Deviations", rule.name):
                what = ", ".join(sorted(got)) or "nothing"
                kind = "a refused call" if case.refused else "a call"
                faults.append((f"{rule.name} ({rule.severity}) fires {what} for {kind}", case.name))
            if rule.severity == "medium" and not got and rule.metric not in uncertain:
                faults.append((f"{rule.name} (medium) fires nothing", case.name))
    if faults:
        pytest.fail(told(faults), pytrace=False)


def test_a_rule_of_medium_severity_or_above_has_an_alert_or_a_reason() -> None:
    watched = {metric for alert in alerts() for metric in metrics_of(alert.group, alert.expression)}
    families = {re.sub(r"_(bucket|sum|count)$", "", metric) for metric in watched} | watched
    without = {
        rule.name
        for rule in rules().values()
        if rule.severity in ("critical", "high", "medium") and rule.metric not in families
    }
    assert sorted(name for name in without if not is_listed("Rules without an alert", name)) == []
    idle = [
        pattern
        for pattern in listed("Rules without an alert")
        if not any(fnmatchcase(name, pattern) for name in without)
    ]
    assert idle == [], "these have one, or are not of that severity"
    assert all(rule.severity in allowed() for rule in rules().values() if rule.pack)


def test_the_deviations_are_of_rules_and_alerts_that_exist() -> None:
    known = rules().keys() | {alert.name for alert in alerts()}
    assert set(listed("Deviations")) <= known


@pytest.fixture(scope="module")
def known_values(every_case: list[Case]) -> Mapping[tuple[str, str], set[str]]:
    """The values of the labels of metrics: seen in the events, and named by the patterns."""
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for case in every_case:
        for metric, labels in case.series:
            for label, value in labels.items():
                values[metric, label].add(value)
    for rule in rules().values():
        for label, spec in rule.labels.items():
            if spec.literal is not None:
                values[rule.metric, label].add(spec.literal)
            for reference in spec.references:
                compared = rf"{re.escape(str(reference))}\s*=\s*\"?([^\s\"*)]+)\"?\s*\)"
                values[rule.metric, label].update(re.findall(compared, rule.pattern))
    return values


def alternatives(pattern: str) -> set[str]:
    """``Put(Role|User)Policy`` as ``PutRolePolicy`` and ``PutUserPolicy``."""
    if group := re.search(r"\(([^()]*)\)", pattern):
        before, after = pattern[: group.start()], pattern[group.end() :]
        return {one for part in group[1].split("|") for one in alternatives(before + part + after)}
    return set(pattern.split("|"))


def test_alternatives_are_told_apart() -> None:
    assert alternatives("Get|Put(Role|User)Policy") == {"Get", "PutRolePolicy", "PutUserPolicy"}


@each_file
def test_what_an_alert_selects_its_rules_can_produce(
    known_values: Mapping[tuple[str, str], set[str]], group: str
) -> None:
    (path,) = (path for path in rule_files() if path.stem == group)
    faults = []
    for rule in rules_of_file(path):
        for selector in selectors(rule["expr"]):
            for matcher in selector.matchers.matchers:
                known = known_values.get((str(selector.name), matcher.name))
                if known is None:
                    continue
                name = rule.get("alert") or rule["record"]
                is_pattern = "Re" in str(matcher.op)
                wanted = alternatives(matcher.value) if is_pattern else {re.escape(matcher.value)}
                faults += [
                    f"{name}: {selector.name} has no {matcher.name} {one!r}"
                    for one in wanted
                    if one and not any(re.fullmatch(one, value) for value in known)
                ]
                if wanted == {""} and str(matcher.op).endswith("NotEqual") and known <= {""}:
                    faults.append(f"{name}: {selector.name} has no {matcher.name}")
                if wanted == {""} and str(matcher.op).endswith(".Equal") and "" not in known:
                    faults.append(f"{name}: {selector.name} always has {matcher.name}")
    if faults:
        pytest.fail("\n".join(sorted(set(faults))), pytrace=False)


def of_file(fired: Iterable[Firing], group: str) -> list[Firing]:
    return [one for one in fired if template_of(one).group == group]


def told(faults: Iterable[tuple[str, str]]) -> str:
    """Each fault with the first of its examples."""
    examples = dict(reversed(list(faults)))
    return "\n".join(f"{fault}: {examples[fault]}" for fault in sorted(examples))


@each_file
def test_a_sentence_has_no_gap_where_the_event_lacks_a_field(
    fired: list[Firing], group: str
) -> None:
    faults = []
    for one in of_file(fired, group):
        texts, where = (one.summary, one.description), f"{one.description} [{one.case.name}]"
        gaps = filter(None, map(GAP.search, texts))
        faults += [(f"{one.name} has {gap[0]!r}", where) for gap in gaps]
        missing = bare_labels(template_of(one).description) - one.labels.keys()
        faults += [(f"{one.name} has no {label}", where) for label in missing]
    if faults:
        pytest.fail(told(faults), pytrace=False)


def bare_labels(text: str) -> set[str]:
    """The labels that a text shows whether they are empty or not."""
    without = re.sub(r"{{-? *(with|if) .*?{{-? *end *-?}}", " ", text, flags=re.DOTALL)
    return set(re.findall(r"\$labels\.(\w+)", without))


@each_security_file
def test_a_refused_call_is_not_told_as_a_deed_nor_a_deed_as_refused(
    fired: list[Firing], group: str
) -> None:
    faults = []
    for one in of_file(fired, group):
        example = f"{one.summary} {one.description} [{one.case.name}]"
        if one.many or not one.case.record.get("eventName") or one.name in ON_TOP:
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


@each_security_file
def test_a_refused_call_pages_nobody(fired: list[Firing], group: str) -> None:
    faults = [
        (f"{one.name} is critical for a refused call", f"{one.description} [{one.case.name}]")
        for one in of_file(fired, group)
        if one.case.refused
        and not one.many
        and one.severity == "critical"
        and one.name not in ON_TOP
    ]
    if faults:
        pytest.fail(told(faults), pytrace=False)


@each_security_file
def test_one_event_is_one_alert(fired: list[Firing], group: str) -> None:
    by_case: dict[str, set[str]] = defaultdict(set)
    for one in fired:
        if not one.many and one.severity != "info" and one.name not in ON_TOP:
            by_case[one.labels["account_id"]].add(one.name)
    own = {alert.name for alert in alerts() if alert.group == group}
    faults = []
    for one in fired:
        names = by_case[one.labels["account_id"]]
        if not one.many and len(names) > 1 and names & own:
            faults.append((" + ".join(sorted(names)), one.case.name))
    if faults:
        pytest.fail(told(faults), pytrace=False)


def test_every_alert_takes_part(fired: list[Firing]) -> None:
    known = {alert.name for alert in alerts() if alert.group != "exporter"}
    missing = {
        name for name in known - {one.name for one in fired} if not NEEDS_A_HISTORY.search(name)
    }
    assert sorted(missing) == sorted(NEEDS_MORE)
