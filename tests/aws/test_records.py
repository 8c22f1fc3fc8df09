"""Pages of log events: the typed records are what json and a careful look at each would make."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import botocore.session
import pytest
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.aws.accounts import AwsAccounts
from exporter.aws.answers import ALWAYS_SENT, admit, is_refused, json_document
from exporter.aws.calls import Call
from exporter.clock import Clock
from exporter.model import LogEvent, Partition
from exporter.sources.base import Environment
from exporter.sources.event_history import EventHistoryConfig
from exporter.sources.log_groups import LogGroupsConfig
from exporter.sources.pace import EventPage
from exporter.sources.regional import RegionalSource

PLACE = Partition("s", "123456789012", "us-east-1", "/app")
OPERATIONS = ("FilterLogEvents", "LookupEvents")


class OnePage:
    """Accounts whose only answer is a page with these records."""

    def __init__(self, records: Sequence[object]) -> None:
        self._records = records

    def pages(self, _call: Call, _parameters: Mapping[str, object]) -> list[Sequence[object]]:
        return [self._records]


def source(operation: str, records: Sequence[object]) -> RegionalSource:
    environment = Environment(cast("AwsAccounts", OnePage(records)), Clock(lambda: 1.7e9))
    if operation == "LookupEvents":
        return EventHistoryConfig(name="s").source(environment, {})
    return LogGroupsConfig(name="s", log_groups=("/app",)).source(environment, {})


def event_page(operation: str, members: Mapping[str, Any]) -> EventPage | None:
    """What a source makes of the members of an answer; None if it is not AWS's."""
    sent = ALWAYS_SENT[operation]
    records, token = members.get(sent.member), members.get(sent.following)
    if not isinstance(records, list) or not isinstance(token, str | None):
        return None
    (page,) = source(operation, records).pages(PLACE, 0, 10**12)
    return page


def fast(operation: str, body: bytes) -> Mapping[str, Any] | None:
    page = ALWAYS_SENT[operation].page
    assert page is not None
    return page.decode(body)


def record(operation: str, message: str, milliseconds: int, event_id: str) -> dict[str, Any]:
    """As AWS sends one."""
    if operation == "LookupEvents":
        return {
            "EventId": event_id,
            "EventName": "Decrypt",
            "EventTime": milliseconds / 1000,
            "Resources": [{"ResourceType": "AWS::KMS::Key", "ResourceName": "k"}],
            "CloudTrailEvent": message,
        }
    return {
        "logStreamName": "2026/11/26/[$LATEST]0ä",
        "timestamp": milliseconds,
        "message": message,
        "ingestionTime": milliseconds + 900,
        "eventId": event_id,
    }


def answer(operation: str, records: Sequence[object], token: object = None) -> dict[str, Any]:
    sent = ALWAYS_SENT[operation]
    following = {} if token is None else {sent.following: token}
    return {sent.member: list(records), **following, "searchedLogStreams": []}


TEXTS = st.text(min_size=1, max_size=20) | st.just('{"eventID": "1", "ä": "\\u2028"}')
TIMES = st.integers(0, 2**41)
IDS = st.from_regex(r"[0-9a-f-]{1,56}", fullmatch=True)


@pytest.mark.parametrize("operation", OPERATIONS)
@given(
    events=st.lists(st.tuples(TEXTS, TIMES, IDS), max_size=4),
    token=st.none() | st.text(max_size=5),
    ascii_only=st.booleans(),
)
def test_a_page_of_awss_is_decoded_fast_to_its_log_events(
    operation: str, events: list[tuple[str, int, str]], token: str | None, ascii_only: bool
) -> None:
    document = answer(operation, [record(operation, *event) for event in events], token)
    found = fast(operation, json.dumps(document, ensure_ascii=ascii_only).encode())
    assert found is not None
    assert found[ALWAYS_SENT[operation].following] == token
    assert event_page(operation, found) == EventPage([LogEvent(*event) for event in events])


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | TIMES | IDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(IDS, inner, max_size=2),
    max_leaves=4,
)
NAMES = (
    "EventId EventTime CloudTrailEvent eventId timestamp message Events events nextToken NextToken"
).split()


INSERTED = st.sampled_from(
    [b"", b"", b"", b"\xff", b'"', b",", b"\\", b"-", b"0", b"\x00", b"\\ud800", b"\xef\xbb\xbf"]
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, bytes]:
    """An operation, and the body of an answer in which something may be odd."""
    operation = draw(st.sampled_from(OPERATIONS))
    events = draw(st.lists(st.tuples(TEXTS, TIMES, IDS), max_size=3))
    records: list[Any] = [record(operation, *event) for event in events]
    changes = draw(st.lists(st.tuples(st.sampled_from(NAMES), ODD), max_size=2))
    for one, change in zip(records, changes, strict=False):
        one.update([change])
    document = answer(operation, records + draw(st.lists(ODD, max_size=1)), draw(ODD))
    document.update(changes[len(records) :])
    body = json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    at = draw(st.integers(0, len(body)))
    return operation, body[:at] + draw(INSERTED) + body[at:]


@settings(deadline=None)
@given(answers())
@example(("FilterLogEvents", b'\xef\xbb\xbf{"events": []}'))
@example(("FilterLogEvents", b'{"events": [], "events": null}'))
@example(("FilterLogEvents", b'{"events": []} {}'))
def test_what_is_decoded_fast_is_what_json_says(made: tuple[str, bytes]) -> None:
    operation, body = made
    found = fast(operation, body)
    if found is not None:
        assert event_page(operation, found) == event_page(operation, json_document(body))


@pytest.mark.parametrize(
    "change",
    [
        {"message": ""},
        {"message": None},
        {"eventId": ""},
        {"eventId": "ä"},
        {"eventId": "\ud800"},
        {"timestamp": -1},
        {"timestamp": 253_402_300_800_000},
        {"timestamp": 1.5},
        {"timestamp": True},
        {"timestamp": "2026-11-26T21:00:00Z"},
    ],
)
def test_a_page_with_one_odd_record_is_not_decoded_fast(change: dict[str, object]) -> None:
    true = record("FilterLogEvents", "m", 1, "a")
    body = json.dumps(answer("FilterLogEvents", [true, {**true, **change}])).encode()
    assert fast("FilterLogEvents", body) is None


def test_an_odd_byte_in_a_member_that_nobody_reads_is_seen_too() -> None:
    body = json.dumps(answer("FilterLogEvents", [record("FilterLogEvents", "m", 1, "a")])).encode()
    assert fast("FilterLogEvents", body.replace(b"2026/", b"\xff")) is None


def of_protocol(protocol: str) -> Any:
    """FilterLogEvents of a botocore whose model of logs has another protocol."""
    loader = botocore.session.Session().get_component("data_loader")
    description = copy.deepcopy(loader.load_service_model("logs", "service-2"))
    description["metadata"].update(protocol=protocol, protocols=[protocol])
    return ServiceModel(description, "logs").operation_model("FilterLogEvents")


def received(operation: Any, status: int, body: bytes) -> dict[str, Any]:
    """What a botocore client returns of an answer that ``admit`` was asked about."""
    headers = {"smithy-protocol": "rpc-v2-cbor"}
    answer = {"status_code": status, "headers": headers, "body": body, "context": {}}
    members: dict[str, Any] = {}
    admit(operation, answer, members)
    parser = create_parser(operation.service_model.resolved_protocol)
    return {**parser.parse(answer, operation.output_shape), **members}


CBOR = (
    b"\xa1\x66events\x81\xa3\x67message\x61m\x69timestamp\x1a\x00\x01\x00\x00\x67eventId\x61a",
    b"\xa1\x66events\x80",
    b"\xa1\x66eventz\x80",
    b"\xa1\x66__type\x73ThrottlingException",
)
REST = (
    b'{"events": [{"message": "m", "timestamp": 65536, "eventId": "a"}]}',
    b'{"events": []}',
    b'{"eventz": []}',
    b'{"__type": "ThrottlingException"}',
)


@pytest.mark.parametrize(
    ("protocol", "bodies"), [("rest-json", REST), ("smithy-rpc-v2-cbor", CBOR)]
)
def test_a_protocol_that_is_not_known_here_is_botocores_to_parse(
    protocol: str, bodies: Sequence[bytes]
) -> None:
    operation = of_protocol(protocol)
    full, empty, another, throttled = bodies
    parsed = received(operation, 200, full)
    assert not is_refused(parsed)
    assert event_page("FilterLogEvents", parsed) == EventPage([LogEvent("m", 65536, "a")])
    assert received(operation, 200, empty)["events"] == []
    for foreign in (another, b"<html>", b"", b"\xff" * 9):
        assert is_refused(received(operation, 200, foreign))
    assert received(operation, 400, throttled)["Error"]["Code"].startswith("Throttling")


@pytest.mark.parametrize("at", [1_700_000_000, 1_700_000_000.5])
def test_times_of_event_history_are_seconds(at: float) -> None:
    event = {"EventId": "a", "EventTime": at, "CloudTrailEvent": "{}"}
    found = fast("LookupEvents", json.dumps({"Events": [event]}).encode())
    assert found is not None
    page = event_page("LookupEvents", found)
    assert page == EventPage([LogEvent("{}", round(at * 1000), "a")])
