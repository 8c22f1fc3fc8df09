"""What LookupEvents is asked for returns whatever the rules match."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.patterns import Document, compile_pattern
from exporter.planning import ANY, Attributes, attributes_of
from exporter.planning.write_events import is_write
from tests.support.alerting import pack_rules
from tests.support.samples import cloudtrail_files
from tests.support.tools import ROOT

PACKS = sorted((ROOT / "config/rules").glob("c*.yaml"))


def attributes(record: Mapping[str, Any]) -> dict[str, Any]:
    """AWS: what LookupEvents can be asked for of a record, by the names of its attributes."""
    return {
        "EventName": record.get("eventName"),
        "EventSource": record.get("eventSource"),
        "ReadOnly": record.get("readOnly"),
        "root": (record.get("userIdentity") or {}).get("type") == "Root",
    }


def has(record: Mapping[str, Any], wanted: Attributes) -> bool:
    """Whether a look-up by each of the attributes returns the record."""
    own = attributes(record)
    return (
        (wanted.event_names is None or own["EventName"] in wanted.event_names)
        and (wanted.event_sources is None or own["EventSource"] in wanted.event_sources)
        and (wanted.read_only is None or own["ReadOnly"] is wanted.read_only)
        and (not wanted.is_root or own["root"])
    )


NAMES = (
    "ConsoleLogin",
    "DeleteTrail",
    "Deletion",
    "AssumeRole",
    "GetUser",
    "Delete*",
    "consolelogin",
)
SELECTORS = ("$.eventName", "$.eventSource", "$.['eventName']", "$.detail.eventName", "$.readOnly")
VALUES = (*NAMES, "sts.amazonaws.com", "*Login", "%Delete%", "5", '""', '"a b"', "false", "*")
TESTS = (
    *map(" ".join, product(SELECTORS, ("=", "!="), VALUES)),
    *map(" ".join, product(SELECTORS, ("IS TRUE", "IS FALSE", "IS NULL", "NOT EXISTS"))),
    *("$.userIdentity.type = Root", "$.userIdentity.type != Root", "$.* = ConsoleLogin"),
)
tests = st.sampled_from(TESTS)
patterns = st.recursive(
    tests,
    lambda inner: st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(
        lambda parts: f"({' '.join(parts)})"
    ),
    max_leaves=8,
).map(lambda condition: f"{{ {condition} }}")
ABSENT = object()
FIELDS = {
    "eventName": [*NAMES, "DeleteUser", 5, None, "", "a b", ABSENT],
    "eventSource": ["sts.amazonaws.com", "iam.amazonaws.com", ABSENT],
    "readOnly": [True, False, None, "false", ABSENT],
    "userIdentity": [{"type": "Root"}, {"type": "IAMUser"}, ABSENT],
}


def is_real(record: Mapping[str, Any]) -> bool:
    """Whether AWS writes such a record: its name decides whether it is read-only."""
    name = record.get("eventName")
    return not (isinstance(name, str) and is_write(name)) or record.get("readOnly") is False


EVERY = [dict(zip(FIELDS, values, strict=True)) for values in product(*FIELDS.values())]
RECORDS = [{key: one[key] for key in one if one[key] is not ABSENT} for one in EVERY]
DOCUMENTS = [(record, Document(json.dumps(record))) for record in RECORDS if is_real(record)]


@settings(max_examples=200, deadline=None)
@given(patterns)
def test_each_match_has_the_attributes_of_one_alternative(text: str) -> None:
    pattern = compile_pattern(text, aws_limits=False)
    alternatives = attributes_of(pattern)
    for record, document in DOCUMENTS:
        if pattern.match_document(document):
            assert any(has(record, one) for one in alternatives), record


def test_each_match_of_a_single_test_has_its_attributes() -> None:
    for pattern in (compile_pattern(f"{{ {test} }}") for test in TESTS):
        (wanted,) = attributes_of(pattern)
        assert all(has(record, wanted) for record, one in DOCUMENTS if pattern.match_document(one))


def test_every_match_of_the_packs_in_real_records_has_the_attributes() -> None:
    rules = [rule for pack in PACKS for rule in pack_rules(pack.stem)]
    packed = [compile_pattern(rule["pattern"]) for rule in rules]
    asked = [attributes_of(pattern) for pattern in packed]
    matched = 0
    for line in (line for file in cloudtrail_files() for line in file.read_text().splitlines()):
        document = Document(line)
        record = json.loads(line)
        # Records of before 2019 lack it; event history has those of 90 days.
        record.setdefault("readOnly", False)
        if isinstance(record["readOnly"], str):  # through other tools
            record["readOnly"] = record["readOnly"] == "true"
        for pattern, alternatives in zip(packed, asked, strict=True):
            if pattern.match_document(document):
                matched += 1
                assert any(has(record, one) for one in alternatives), (pattern.text, line)
    assert matched > 100


def test_no_real_record_of_a_write_event_is_read_only() -> None:
    seen = set()
    for line in (line for file in cloudtrail_files() for line in file.read_text().splitlines()):
        record = json.loads(line)
        name = record.get("eventName")
        if not isinstance(name, str) or not is_write(name):
            continue
        old = record.get("eventVersion", "") < "1.08" and "readOnly" not in record
        assert old or record["readOnly"] in (False, "false"), record
        seen.add(name)
    assert len(seen) > 30


@pytest.mark.parametrize(
    "name",
    "AssumeRole AssumeRoleWithSAML GetSessionToken GetFederationToken Decrypt GenerateDataKey"
    " StartQuery BatchGetSecretValue CreateConnectionToken DescribeInstances AssumeRole* Create* *"
    " Put* Get* *Delete".split(),
)
def test_events_that_may_be_read_only_are_not_taken_for_writes(name: str) -> None:
    assert not is_write(name)


def names(*names: str) -> frozenset[str]:
    return frozenset(names)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{ $.eventName = ConsoleLogin }", [Attributes(names("ConsoleLogin"), read_only=False)]),
        (
            "{ $.eventName = AssumeRole || $.eventName = StopLogging }",
            [Attributes(names("StopLogging"), read_only=False), Attributes(names("AssumeRole"))],
        ),
        (
            '{ $.eventSource = "kms.amazonaws.com" && ($.eventName = DisableKey || $.a = 1) }',
            [
                Attributes(names("DisableKey"), names("kms.amazonaws.com"), False),
                Attributes(None, names("kms.amazonaws.com")),
            ],
        ),
        ("{ $.readOnly IS FALSE && $.a NOT EXISTS }", [Attributes(read_only=False)]),
        ("{ $.userIdentity.type = Root }", [Attributes(is_root=True)]),
        ("{ $.eventName = Disable* }", [Attributes(read_only=False)]),
        ("{ $.eventName = A && $.eventName = B }", []),
        ("{ $.eventName != A }", [ANY]),
        ("{ $.eventName = Assume* }", [ANY]),
        ("{ $.eventName = %^Console% }", [ANY]),
        ("{ $.detail.eventName = A }", [ANY]),
        ("{ $.eventName = A || $.errorCode = B }", [ANY]),
        ("ConsoleLogin", [ANY]),
        ("[a = ConsoleLogin, ...]", [ANY]),
        ("", [ANY]),
    ],
)
def test_attributes_are_those_that_are_certain(text: str, wanted: list[Attributes]) -> None:
    assert list(attributes_of(compile_pattern(text))) == wanted


def test_many_alternatives_become_one() -> None:
    several = " || ".join(f'($.eventSource = "s{n}" && $.eventName = E{n})' for n in range(300))
    (one,) = attributes_of(compile_pattern(f"{{ {several} }}", aws_limits=False))
    assert one.event_names is not None
    assert len(one.event_names) == 300
    (one,) = attributes_of(
        compile_pattern(f'{{ {several} || $.eventSource = "t" }}', aws_limits=False)
    )
    assert one.event_names is None
    assert len(one.event_sources or ()) == 301
