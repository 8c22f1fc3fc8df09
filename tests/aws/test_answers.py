"""An answer that is not AWS's is an error, never an empty page; odd records are only themselves."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter.aws.accounts import AwsAccounts
from exporter.aws.answers import ALWAYS_SENT, MOST_BYTES, json_document
from exporter.aws.calls import Call
from exporter.clock import Clock
from exporter.model import LogEvent, Partition, SourceError
from exporter.sources.base import Environment
from exporter.sources.log_groups import LogGroupsConfig
from tests.support.answering import ACCOUNT, IDENTITY, Answer, Answering
from tests.support.aws import Requests, event_history, log_groups, open_account

REGION = "us-east-1"
HISTORY = Partition("history", ACCOUNT, REGION)
GROUP = Partition("apps", ACCOUNT, REGION, resource="/app")
FOREIGN = [
    b"<html><body>Sign in to the network</body></html>",
    b'{"Events": [{"EventId": "a"',
    b'{"events": [{"eventId": "a"',
    b"",
    b"[]",
    b"null",
    b'"Events"',
    b'{"message": "maintenance"}',
    b"\xff\xfe",
    b"[" * 100_000,
]
HOLLOW = [
    b"{}",
    b'{"Events": null, "events": null, "logGroups": null, "matches": null}',
    b'{"Events": {}, "events": {}, "logGroups": {}, "matches": {}}',
    b'{"Events": "", "events": 0, "logGroups": "no list", "matches": 5}',
    b'{"NextToken": null, "nextToken": null}',
    b'{"NextToken": "go on", "nextToken": "go on"}',
    b'{"Events": [], "NextToken": 0, "events": [], "nextToken": 0, "logGroups": [], "x": 0}',
    b'{"Events": [], "NextToken": {}, "events": [], "nextToken": [], "logGroups": []}',
]
EMPTY = b'{"Events": [], "events": [], "logGroups": []}'
FIELDS = st.sampled_from(
    (
        "EventId EventTime CloudTrailEvent eventId timestamp message Resources logGroupName "
        "creationTime logGroupClass Error __type ResponseMetadata"
    ).split()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=8,
)
many_examples = settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def account(server: Answering) -> AwsAccounts:  # noqa: ARG001 - the environment names it
    """One that knows who it is; clients take a while to make."""
    opened = open_account()
    opened.identify([REGION])
    return opened


def look_up(account: AwsAccounts) -> list[LogEvent]:
    pages = event_history("history", account, [REGION]).pages(HISTORY, 0, 1000)
    return [event for page in pages for event in page.events]


def filter_log_events(account: AwsAccounts) -> list[LogEvent]:
    pages = log_groups("apps", account, ["/app"]).pages(GROUP, 0, 1000)
    return [event for page in pages for event in page.events]


def describe_log_groups(account: AwsAccounts) -> None:
    discovery = log_groups("apps", account, ["/app*"], [REGION]).discover()
    assert not discovery.partitions
    for _, error in discovery.failures:
        raise error


def list_log_groups(account: AwsAccounts) -> None:
    config = LogGroupsConfig.model_validate(
        {"name": "apps", "tags": {"team": "shop"}, "regions": [REGION]}
    )
    discovery = config.source(Environment(account, Clock()), {}).discover()
    assert not discovery.partitions
    for _, error in discovery.failures:
        raise error


CALLS: dict[str, Callable[[AwsAccounts], object]] = {
    "LookupEvents": look_up,
    "FilterLogEvents": filter_log_events,
    "DescribeLogGroups": describe_log_groups,
    "ListLogGroups": list_log_groups,
}


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("operation", CALLS)
def test_what_is_not_awss_is_no_empty_page(server: Answering, operation: str) -> None:
    requests = Requests()
    account = open_account(observer=requests)
    for body in (*FOREIGN, *HOLLOW):
        server.answer = Answer(body)
        with pytest.raises(SourceError, match="is not from AWS") as caught:
            CALLS[operation](account)
        assert caught.value.reason == "unreadable"
        assert f":{operation} " in str(caught.value)
        assert f"in account {ACCOUNT}, region {REGION} failed" in str(caught.value)
    counted = {key: count for key, count in requests.counts.items() if operation in key[0]}
    assert list(counted.values()) == [server.calls[operation]]
    assert {outcome for _, _, outcome in counted} == {"error"}


@pytest.mark.usefixtures("no_pause")
def test_an_answer_that_is_not_awss_is_asked_for_again_as_an_error_is(server: Answering) -> None:
    server.answer = Answer(b"{}")
    with pytest.raises(SourceError):
        look_up(open_account())
    untrue = server.calls["LookupEvents"]
    server.answer = Answer(b"", status=502)
    with pytest.raises(SourceError):
        look_up(open_account())
    assert server.calls["LookupEvents"] == 2 * untrue > 2


@pytest.mark.parametrize("operation", CALLS)
def test_an_empty_page_is_one(server: Answering, operation: str) -> None:
    server.answer = Answer(EMPTY)
    CALLS[operation](open_account())
    assert server.calls[operation] == 1


IDENTITIES = [
    b"<GetCallerIdentityResponse></GetCallerIdentityResponse>",
    IDENTITY.replace(ACCOUNT.encode(), b""),
    IDENTITY[:-5],
    b"{}",
    b"",
    b"<html/>",
]


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("body", IDENTITIES)
def test_an_identity_without_account_is_none(server: Answering, body: bytes) -> None:
    server.answers["GetCallerIdentity"] = Answer(body)
    with pytest.raises(SourceError, match="is not from AWS") as caught:
        open_account().identify([REGION])
    assert caught.value.reason == "unreadable"


def test_the_table_agrees_with_botocores_models() -> None:
    session = botocore.session.Session()
    models = {
        operation: model
        for service in "account cloudtrail iam logs organizations s3 sqs sts".split()
        for model in [session.get_service_model(service)]
        for operation in model.operation_names
    }
    for operation, sent in ALWAYS_SENT.items():
        shape = models[operation].operation_model(operation).output_shape
        assert shape is not None
        members = shape.members
        types: dict[str, type] = {
            **{"list": list, "string": str, "blob": bytes, "boolean": bool},
            **{"map": dict, "structure": dict},
        }
        assert types[members[sent.member].type_name] is sent.type
        assert bool(sent.following) == any(name.endswith("oken") for name in members)
        assert not sent.following or members[sent.following].type_name == "string"
        # What is read here; another protocol of a newer botocore would need its own reading.
        assert models[operation].resolved_protocol in ("json", "query", "rest-json", "rest-xml")


@pytest.mark.usefixtures("aws")
def test_an_operation_that_the_table_does_not_know_is_not_called() -> None:
    with pytest.raises(LookupError, match=r"DescribeTrails.*answers\.py"):
        open_account().request(Call("cloudtrail", "DescribeTrails", "", REGION))()


def packed(body: bytes) -> Answer:
    return Answer(gzip.compress(body), headers={"Content-Encoding": "gzip"})


@pytest.mark.usefixtures("no_pause")
def test_an_answer_with_gzip_is_read(server: Answering) -> None:
    record = {"EventId": "a", "EventTime": 1, "CloudTrailEvent": "{}"}
    body = json.dumps({"Events": [record]}).encode()
    twice = gzip.compress(body[:20]) + gzip.compress(body[20:])
    server.answers["GetCallerIdentity"] = packed(IDENTITY)
    for answer in (packed(body), Answer(twice, headers={"content-encoding": "GZIP"})):
        server.answer = answer
        account = open_account()
        account.identify([REGION])
        assert [event.id for event in look_up(account)] == ["a"]
    denied = json.dumps({"__type": "AccessDeniedException", "message": "No."}).encode()
    server.answer = Answer(gzip.compress(denied), 400, {"Content-Encoding": "gzip"})
    with pytest.raises(SourceError) as caught:
        look_up(open_account())
    assert caught.value.reason == "access_denied"


def bomb() -> bytes:
    """A few kilobytes that unpack to more than may be."""
    return gzip.compress(EMPTY + b" " * MOST_BYTES, compresslevel=1)


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(
    ("body", "encoding", "why"),
    [
        (bomb(), "gzip", "larger than 32 MiB"),
        (gzip.compress(EMPTY)[:-4], "gzip", "cut off"),
        (EMPTY, "gzip", "cannot be read"),
        (zlib.compress(EMPTY), "deflate", "Content-Encoding"),
    ],
    # gzip keeps the time, and each worker of a parallel run collects the tests at its own.
    ids=["bomb", "cut off", "plain", "deflate"],
)
def test_what_cannot_be_unpacked_is_an_error(
    server: Answering, body: bytes, encoding: str, why: str
) -> None:
    server.answer = Answer(body, headers={"Content-Encoding": encoding})
    with pytest.raises(SourceError, match=why) as caught:
        look_up(open_account())
    assert caught.value.reason == "unreadable"


TRUE = {"EventId": "true", "EventTime": 1, "CloudTrailEvent": "{}", "eventId": "true"}
TRUE |= {"timestamp": 1, "message": "m", "logGroupName": "/app/true"}
ODD: list[Any] = [{}, None, 5, "text", [], {**TRUE, "EventTime": "2026", "timestamp": "2026"}]
ODD += [{**TRUE, "EventTime": time, "timestamp": time} for time in (1e300, -1, True, 2**80, None)]
ODD += [{**TRUE, "EventId": 5, "eventId": {}}, {**TRUE, "EventId": "\ud800", "eventId": ""}]
ODD += [{**TRUE, "CloudTrailEvent": {}, "message": ["m"]}, {**TRUE, "EventTime": float("nan")}]


def test_odd_records_are_undecodable_and_nothing_else_is_lost(server: Answering) -> None:
    records = [TRUE, *ODD, {**TRUE, "EventId": "last", "eventId": "last"}]
    server.answer = Answer(json.dumps({"Events": records, "events": records}).encode())
    account = open_account()
    (page,) = event_history("history", account, [REGION]).pages(HISTORY, 0, 1000)
    assert [event.id for event in page.events] == ["true", "last"]
    assert page.undecodable == len(ODD)
    (page,) = log_groups("apps", account, ["/app"]).pages(GROUP, 0, 1000)
    # The last of the odd ones has a time that only LookupEvents reads.
    assert [event.id for event in page.events] == ["true", "true", "last"]


@many_examples
@given(odd=st.lists(JSON, max_size=4), place=st.integers(0, 4))
def test_whatever_is_in_a_page_the_true_records_come(
    server: Answering, account: AwsAccounts, odd: list[Any], place: int
) -> None:
    records = [*odd[:place], TRUE, *odd[place:]]
    members = {"Events": records, "events": records, "logGroups": records}
    server.answer = Answer(json.dumps(members).encode())
    assert LogEvent("{}", 1000, "true") in look_up(account)
    assert LogEvent("m", 1, "true") in filter_log_events(account)
    discovery = log_groups("apps", account, ["/app/*"], [REGION]).discover()
    assert Partition("apps", ACCOUNT, REGION, resource="/app/true") in discovery.partitions
    assert {error.reason for _, error in discovery.failures} <= {"unreadable", "unsupported"}


def test_groups_without_a_name_leave_what_is_known_of_the_region(server: Answering) -> None:
    server.answer = Answer(json.dumps({"logGroups": [{}, {"logGroupName": "/app/a"}]}).encode())
    discovery = log_groups("apps", open_account(), ["/app/*"], [REGION]).discover()
    assert [partition.resource for partition in discovery.partitions] == ["/app/a"]
    ((scope, error),) = discovery.failures
    assert scope == Partition("apps", ACCOUNT, REGION)
    assert "1 log groups without a name" in str(error)


def outcome(decode: Callable[[bytes], Any], body: bytes) -> str:
    """With the types of numbers, and NaN equal to itself."""
    try:
        return repr(decode(body))
    except (ValueError, RecursionError):
        return "not JSON"


@settings(deadline=None)
@given(
    document=JSON | st.dictionaries(FIELDS, st.lists(JSON, max_size=4) | JSON, max_size=4),
    ascii_only=st.booleans(),
    place=st.floats(0, 1),
    inserted=st.sampled_from([b"", b"", b"\xff", b'"', b",", b"]", b"\\", b"-", b"0", b"\x00"]),
)
def test_a_page_that_is_decoded_in_pieces_is_what_json_says(
    document: Any, ascii_only: bool, place: float, inserted: bytes
) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    at = round(place * len(body))
    body = body[:at] + inserted + body[at:]
    assert outcome(json_document, body) == outcome(json.loads, body)


@pytest.mark.parametrize(
    "value",
    "-0 -0.0 1E400 -1e-400 1e5 1.0 0.1e1 9007199254740993 9007199254740993.0 18446744073709551616 "
    "-9223372036854775809 NaN -Infinity 01 1. 5e-324 2.2250738585072011e-308 "
    '"\\ud800" "\\ud83d\\ude00" "\\/\\b" "\x7f" "\t" [] {} [{"a":1,"a":2}] null true'.split(" "),
)
def test_odd_values_of_a_page_are_what_json_says(value: str) -> None:
    for shape in (f'{{"events":[{{"x":{value}}}]}}', f'{{"events":{value}}}', f"[{value}]", value):
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
            body = shape.encode(encoding)
            assert outcome(json_document, body) == outcome(json.loads, body)
    body = b'{"n":' + b"7" * 5000 + b"}"
    assert outcome(json_document, body) == outcome(json.loads, body) == "not JSON"


XML_ERRORS = [
    b"<a><Error>x</Error></a>",
    b"<a><Error><Code>1</Code></Error><Error><Code>2</Code></Error></a>",
]


@pytest.mark.usefixtures("no_pause")
@many_examples
@given(
    status=st.sampled_from([300, 301, 400, 403, 404, 429, 500, 503]),
    body=st.one_of(
        st.sampled_from(FOREIGN),
        JSON.map(lambda document: json.dumps(document).encode()),
        st.dictionaries(FIELDS, JSON, max_size=3).map(lambda found: json.dumps(found).encode()),
    ),
)
@example(status=400, body=b'{"__type": 5}')
def test_whatever_an_error_says_it_is_an_error_of_the_source(
    server: Answering, account: AwsAccounts, status: int, body: bytes
) -> None:
    server.answer = Answer(body, status)
    for call in CALLS.values():
        with pytest.raises(SourceError):
            call(account)


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("status", [301, 400, 503])
@pytest.mark.parametrize("body", [*IDENTITIES, *XML_ERRORS])
def test_so_it_is_where_the_account_is_asked_for(
    server: Answering, status: int, body: bytes
) -> None:
    server.answers["GetCallerIdentity"] = Answer(body, status)
    with pytest.raises(SourceError):
        open_account().identify([REGION])
