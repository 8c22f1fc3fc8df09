"""Files and objects hold the same log events, whatever contains them."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import jsontext
from exporter.aws.objects import ObjectName
from exporter.configuration import RuleConfig
from exporter.model import (
    DamagedContentError,
    EventFormat,
    JudgedEvent,
    Limits,
    LogEvent,
    Partition,
    Records,
)
from exporter.rules import RuleSet
from exporter.sources import containers, decompression, file_content, json_records
from exporter.sources.containers import Container
from exporter.sources.files import FILE, Files
from exporter.sources.queue_source import QUEUE
from exporter.sources.trail_folders import DEFAULT_FOLDERS, folder_of, is_read
from exporter.sources.trail_objects import TrailObject
from exporter.yamlfile.problems import Location
from tests.support.envelopes import envelope, finding, sign_in

OWNER = "222233334444"
Read = tuple[list[LogEvent], str]
"""Log events, and why others cannot be read; empty if all can."""


def of_file(content: bytes, event_format: EventFormat) -> Read:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "content")
        path.write_bytes(content)
        source = Files([str(path)], name="trail", format=event_format, complete=True)
        partition = Partition("trail", resource=str(path), kind=FILE)
        events: list[LogEvent] = []
        undecodable = 0
        for reading in source.poll(partition, None, own_starts={}):
            events += reading.events
            undecodable += reading.undecodable
    return events, "undecodable" if undecodable else ""


def of_object(content: bytes, event_format: EventFormat, key: str = "a") -> Read:
    events: list[LogEvent] = []
    one = TrailObject(ObjectName("bucket", key), "eu-west-1", None, event_format)
    try:
        for batch in one.events(content, 1):
            events += batch
    except DamagedContentError as error:
        return events, str(error)
    return events, ""


both = pytest.mark.parametrize("read", [of_file, of_object])


def text(*values: Any, between: str = "\n") -> bytes:
    return between.join(map(json.dumps, values)).encode()


def subscription(*messages: str, kind: str = "DATA_MESSAGE", **fields: Any) -> dict[str, Any]:
    events = [
        {"id": f"{number:056}", "timestamp": 1_795_000_000_000 + number, "message": message}
        for number, message in enumerate(messages)
    ]
    return {
        "messageType": kind,
        "owner": OWNER,
        "logGroup": "app",
        "logStream": "stream",
        "subscriptionFilters": ["all"],
        "logEvents": events,
        **fields,
    }


RECORDS = [sign_in(number=number) for number in range(3)]
ENVELOPES = [envelope(), finding(), envelope()]
LINES = "one\r\ntwo\n\n{three}"
FLOW_LOG = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start"
    " end action log-status\n2 111122223333 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1 2 ACCEPT OK\n"
)
CONTROL = subscription("CWL CONTROL MESSAGE", kind="CONTROL_MESSAGE")
DATA = [CONTROL, subscription("a", "b \ud800"), CONTROL, subscription("{c")]
CONTAINERS: dict[str, tuple[EventFormat, bytes, list[str]]] = {
    "document": ("cloudtrail", text({"Records": RECORDS}), list(map(json.dumps, RECORDS))),
    "list at the root": ("cloudtrail", text(RECORDS), list(map(json.dumps, RECORDS))),
    "list, auto": ("auto", text(RECORDS), list(map(json.dumps, RECORDS))),
    "JSON lines": ("cloudtrail", text(*RECORDS), list(map(json.dumps, RECORDS))),
    "documents in lines": (
        "cloudtrail",
        text({"Records": RECORDS[:1]}, {"Records": RECORDS[1:]}),
        list(map(json.dumps, RECORDS)),
    ),
    "envelopes in lines": ("cloudtrail", text(*ENVELOPES), list(map(json.dumps, ENVELOPES))),
    "envelopes without separators": (
        "cloudtrail",
        text(*ENVELOPES, between=""),
        list(map(json.dumps, ENVELOPES)),
    ),
    "envelopes, auto": ("auto", text(*ENVELOPES, between=""), list(map(json.dumps, ENVELOPES))),
    "lines": ("lines", LINES.encode(), ["one", "two", "{three}"]),
    "lines, auto": ("auto", LINES.encode(), ["one", "two", "{three}"]),
    "flow log": ("lines", FLOW_LOG.encode(), [FLOW_LOG.splitlines()[1]]),
    "subscription": ("auto", text(*DATA, between=""), ["a", "b \ud800", "{c"]),
    "subscription, lines": ("lines", text(*DATA, between=""), ["a", "b \ud800", "{c"]),
    "subscription in lines": ("auto", text(*DATA), ["a", "b \ud800", "{c"]),
    "subscription, pretty": ("auto", json.dumps(DATA[1], indent=1).encode(), ["a", "b \ud800"]),
    "subscription, sorted keys": (
        "auto",
        json.dumps(DATA[1], sort_keys=True).encode(),
        ["a", "b \ud800"],
    ),
    "subscription, list": ("auto", text(DATA), ["a", "b \ud800", "{c"]),
    "subscription of a trail": (
        "cloudtrail",
        text(subscription(*map(json.dumps, RECORDS))),
        list(map(json.dumps, RECORDS)),
    ),
    "empty": ("auto", b"", []),
}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "mark": lambda content: b"\xef\xbb\xbf" + content,
    "gzip": gzip.compress,
    "members": lambda content: b"".join(
        gzip.compress(content[at : at + 100]) for at in range(0, len(content), 100)
    ),
}


@both
@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_container_holds_the_same_log_events_in_a_file_and_in_an_object(
    read: Callable[[bytes, EventFormat], Read], packing: str, container: str
) -> None:
    event_format, content, expected = CONTAINERS[container]
    events, error = read(PACKINGS[packing](content), event_format)
    assert ([event.message for event in events], error) == (expected, "")


@given(
    container=st.sampled_from(sorted(CONTAINERS)),
    chunk=st.integers(1, 300),
    cut=st.none() | st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_the_log_events_do_not_depend_on_where_a_content_is_cut_into_chunks(
    container: str, chunk: int, cut: float | None
) -> None:
    event_format, content, _ = CONTAINERS[container]
    content = content[: None if cut is None else round(cut * len(content))]
    whole = _found(content, event_format, len(content) + 1)
    assert _found(content, event_format, chunk) == whole


def _found(content: bytes, event_format: EventFormat, chunk: int) -> tuple[list[Any], bool]:
    data: Any = io.BytesIO(content)
    file = io.BufferedReader(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_content, "CHUNK", chunk)
        patch.setattr(decompression, "CHUNK", chunk)
        found: list[Any] = []
        try:
            for some in Container(file, len(content), event_format).events(1):
                found += some
        except DamagedContentError:
            return found, True
        return found, False


# What is left out


@both
@pytest.mark.parametrize("event_format", ["auto", "cloudtrail"])
def test_a_digest_file_has_no_log_events(
    read: Callable[[bytes, EventFormat], Read], event_format: EventFormat
) -> None:
    digest = {"awsAccountId": OWNER, "digestS3Object": "AWSLogs/…", "logFiles": [{"a": 1}]}
    events, error = read(gzip.compress(text(digest)), event_format)
    assert events == []
    assert error == "undecodable" or "digest file" in error


@pytest.mark.parametrize(
    ("read", "shape"),
    [(of_object, "document"), (of_object, "subscription"), (of_file, "list"), (of_file, "lines")],
)
def test_of_records_that_are_too_long_the_others_count(
    read: Callable[[bytes, EventFormat], Read], shape: str
) -> None:
    long = {**RECORDS[1], "x": "x" * (8 * 2**20)}
    records = [RECORDS[0], long, RECORDS[2]]
    content = {
        "document": text({"Records": records}),
        "list": text(records),
        "lines": text(*records),
        "subscription": text(subscription(*map(json.dumps, records))),
    }[shape]
    events, error = read(gzip.compress(content, 1), "cloudtrail")
    partition = Partition("trail", kind=QUEUE)
    judged = RULES.evaluate(events, partition, "cloudtrail").events
    assert len(judged) == 2
    assert error


@pytest.mark.parametrize(
    ("long", "counts"),
    [("x" * (2**23 - 200), True), ("x" * 2**23, False), ([[]] * 300_000, False)],
    ids=["long", "too_long", "dense"],
)
def test_a_long_record_counts_or_not_whether_or_not_its_document_is_split(
    monkeypatch: pytest.MonkeyPatch, long: object, counts: bool
) -> None:
    content = text({"Records": [RECORDS[0], {"x": long, "eventID": "1"}, RECORDS[2]]})
    one = TrailObject(ObjectName("bucket", "a"), "eu-west-1", None)
    rules = RuleSet.of([_rule("all", "{ $.eventID = * }")])
    partition = Partition("trail", kind=QUEUE)

    def count() -> int:
        found = 0
        with suppress(DamagedContentError):
            for events in one.events(content, 1):
                found += len(rules.evaluate(events, partition, "cloudtrail").events)
        return found

    whole = count()
    monkeypatch.setattr(containers, "_is_one_document", lambda _: False)
    assert count() == whole
    assert whole == 2 + counts


@both
def test_all_before_the_damage_counts(read: Callable[[bytes, EventFormat], Read]) -> None:
    content = text(*DATA, between="") + b'{"messageType":"DATA_MESSAGE","logEv'
    events, error = read(gzip.compress(content), "auto")
    assert len(events) == 3
    assert error


@both
def test_a_bomb_is_cut_off_after_the_lines_before_it(
    read: Callable[[bytes, EventFormat], Read], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decompression, "_BOMB_BYTES", 2**20)
    content = gzip.compress(b"first\n" + bytes(33 * 2**20), compresslevel=9)
    events, error = read(content, "lines")
    assert [event.message for event in events] == ["first"]
    assert error


@both
@pytest.mark.parametrize(
    "odd", [{"id": None}, {"id": ""}, {"timestamp": 10**17}, {"message": None}]
)
def test_one_odd_log_event_of_a_subscription_is_left_out(
    read: Callable[[bytes, EventFormat], Read], odd: dict[str, Any]
) -> None:
    data = subscription("a", "b", "c")
    data["logEvents"][1] |= odd
    events, error = read(text(data), "auto")
    assert [event.message for event in events] == ["a", "c"]
    assert error


@pytest.mark.parametrize("longest", [100, 2**23])
def test_subscription_data_of_any_length_is_read_log_event_by_log_event(
    monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    monkeypatch.setattr(json_records, "LONGEST", longest)
    data = subscription(*(f"line {number}" for number in range(1000)))
    assert len(of_file(text(data), "lines")[0]) == 1000


# Where, when, and how often a log event counts


def _rule(name: str, pattern: str) -> RuleConfig:
    return RuleConfig(
        name=name,
        sources=("trail",),
        pattern=pattern,
        metric=f"{name}_total",
        labels={},
        location=Location("rules.yaml"),
    )


RULES = RuleSet.of([_rule("sign_in", "{ $.eventVersion = 1* }")])
LINE_RULES = RuleSet.of([_rule("line", "ERROR")])


def judged(
    events: Sequence[LogEvent],
    event_format: EventFormat,
    rules: RuleSet = RULES,
    limits: Limits | None = None,
) -> Iterator[tuple[JudgedEvent, dict[str, str]]]:
    partition = Partition("trail", "111122223333", "eu-west-1", "queue", QUEUE)
    for one in rules.evaluate(events, partition, event_format, limits=limits).events:
        yield one, dict(one.increments[0].series.labels)


@both
@pytest.mark.parametrize("event_format", ["auto", "lines"])
def test_a_line_of_a_log_group_has_its_place_time_and_id(
    read: Callable[[bytes, EventFormat], Read], event_format: EventFormat
) -> None:
    first, second = subscription("ERROR 1"), subscription("ERROR 2", logGroup="/aws/other")
    events, _ = read(text(first, second, between=""), event_format)
    found = list(judged(events, event_format, LINE_RULES))
    assert [labels["log_group"] for _, labels in found] == ["app", "/aws/other"]
    for one, labels in found:
        assert (labels["account_id"], labels["region"]) == (OWNER, "eu-west-1")
        assert one.event_time == 1_795_000_000_000
        assert one.event_id == "0" * 56
        # An id is unique in its log group.
        assert one.scope == f"{OWNER}:eu-west-1:{labels['log_group']}"


def test_an_owner_that_is_no_account_is_no_label() -> None:
    events, _ = of_object(text(subscription("ERROR", owner="anyone")), "lines")
    ((_, labels),) = judged(events, "lines", LINE_RULES)
    assert labels["account_id"] == ""


@pytest.mark.parametrize("event_format", ["auto", "cloudtrail"])
def test_a_record_of_a_log_group_counts_once_in_it_or_once_at_all(
    event_format: EventFormat,
) -> None:
    groups = [subscription(json.dumps(RECORDS[0]), logGroup=name) for name in ("a", "b")]
    events, _ = of_object(text(*groups, between=""), event_format)
    found = list(judged(events, event_format))
    assert {one.event_id for one, _ in found} == {RECORDS[0]["eventID"]}
    scopes = {one.scope for one, _ in found}
    assert scopes == ({""} if event_format == "cloudtrail" else set(scopes) - {""})
    assert len(scopes) == (1 if event_format == "cloudtrail" else 2)
    assert {labels["account_id"] for _, labels in found} == {RECORDS[0]["recipientAccountId"]}


def test_the_lines_of_an_object_that_comes_again_have_the_same_ids() -> None:
    content = b"same\nsame\n"
    (first, again) = (of_object(content, "lines")[0] for _ in range(2))
    other, changed = of_object(content, "lines", "b")[0], of_object(b"same\nnew\n", "lines")[0]
    ids = [[event.id for event in events] for events in (first, again, other, changed)]
    assert ids[0] == ids[1]
    assert len({one for some in ids for one in some}) == 6


@pytest.mark.parametrize("eventid", [{}, {"eventID": None}, {"eventID": ""}, {"eventID": 5}])
def test_a_record_without_an_id_counts_once_however_often_its_object_comes(
    eventid: dict[str, Any],
) -> None:
    content = text({"Records": [RECORDS[0], {"eventVersion": "1.11", "a": 1, **eventid}]})
    found = [list(judged(*_first(content))) for _ in range(2)]
    ids = [[one.event_id for one, _ in some] for some in found]
    assert ids[0] == ids[1]
    assert None not in ids[0]
    assert len(set(ids[0])) == 2


def _first(content: bytes) -> tuple[Sequence[LogEvent], EventFormat]:
    one = TrailObject(ObjectName("bucket", "a"), "eu-west-1", None)
    return next(one.events(content, 1)), "cloudtrail"


def test_the_limits_of_a_source_hold_for_lines() -> None:
    events, _ = of_object(text(subscription("ERROR")), "lines")
    for accounts, expected in (({OWNER}, 1), ({"999999999999"}, 0)):
        limits = Limits(frozenset(accounts))
        assert len(list(judged(events, "lines", LINE_RULES, limits))) == expected


@both
@pytest.mark.parametrize("shape", ["list", "document"])
@pytest.mark.parametrize("event_format", ["auto", "cloudtrail"])
def test_an_aggregated_event_has_the_id_place_and_time_of_its_own_fields(
    read: Callable[[bytes, EventFormat], Read], shape: str, event_format: EventFormat
) -> None:
    summary = {
        "eventVersion": "1.0",
        "accountId": OWNER,
        "eventId": "62759c1a-6248-48e1-a6b3-d5fb7e6c4bc0",
        "eventCategory": "Aggregated",
        "eventType": "AwsAggregatedEvent",
        "awsRegion": "us-west-2",
        "eventSource": "s3.amazonaws.com",
        "timeWindow": {"windowStart": "2025-11-17T19:20:00Z", "windowEnd": "2025-11-17T19:25:00Z"},
        "summary": {},
    }
    content = text([summary] if shape == "list" else {"Records": [summary]})
    events, error = read(gzip.compress(content), event_format)
    ((one, labels),) = judged(events, event_format)
    assert error == ""
    assert (one.event_id, one.event_time, one.scope) == (summary["eventId"], 1763407200000, "")
    assert (labels["account_id"], labels["region"]) == (OWNER, "us-west-2")


@both
def test_an_insights_event_has_the_id_place_and_time_of_its_own_fields(
    read: Callable[[bytes, EventFormat], Read],
) -> None:
    insight = {
        "eventVersion": "1.11",
        "eventTime": "2026-11-17T19:20:00Z",
        "awsRegion": "us-west-2",
        "eventID": "62759c1a-6248-48e1-a6b3-d5fb7e6c4bc0",
        "eventType": "AwsCloudTrailInsight",
        "recipientAccountId": OWNER,
        "sharedEventID": "72759c1a-6248-48e1-a6b3-d5fb7e6c4bc0",
        "insightDetails": {"state": "Start"},
        "eventCategory": "Insight",
    }
    events, _ = read(gzip.compress(text({"Records": [insight]})), "auto")
    ((one, labels),) = judged(events, "auto")
    assert (one.event_id, one.event_time) == (insight["eventID"], 1794943200000)
    assert (labels["account_id"], labels["region"]) == (OWNER, "us-west-2")


def test_the_records_of_a_trail_are_not_split() -> None:
    one = TrailObject(ObjectName("bucket", "a"), "eu-west-1", None)
    (events,) = one.events(gzip.compress(text({"Records": RECORDS})), 1)
    assert isinstance(events, Records)


# Folders


@pytest.mark.parametrize(
    ("key", "folder"),
    [
        ("AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/26/a.json.gz", "CloudTrail"),
        ("x/AWSLogs/o-1/111122223333/CloudTrail-Digest/us-east-1/a", "CloudTrail-Digest"),
        ("AWSLogs/1/CloudTrail-NetworkActivity/a", "CloudTrail-NetworkActivity"),
        ("AWSLogs/111122223333/vpcflowlogs/us-east-1/a", None),
        ("CloudTrail/a", None),
    ],
)
def test_a_key_tells_the_folder(key: str, folder: str | None) -> None:
    assert folder_of(key) == folder
    read = folder in ("CloudTrail", "CloudTrail-NetworkActivity")
    assert is_read(folder, DEFAULT_FOLDERS, "cloudtrail") is read
    assert is_read(folder, DEFAULT_FOLDERS, "lines") is (read or folder is None)


# What other programs of AWS write


def looked_up(*records: str) -> list[dict[str, Any]]:
    return [
        {"EventId": str(number), "EventName": "GetObject", "CloudTrailEvent": record}
        for number, record in enumerate(records)
    ]


def logged(*messages: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {**more, "timestamp": 1_795_000_000_000, "message": one, "ingestionTime": 1_795_000_000_001}
        for one in messages
    ]


def notified(message: str) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": message}


TEXTS = list(map(json.dumps, RECORDS))
MESSAGES = ["[error] one\tx\n", "two", '{"three": 3}']
WRAPPED: dict[str, tuple[bytes, list[str]]] = {
    "lookup-events": (json.dumps({"Events": looked_up(*TEXTS)}, indent=4).encode(), TEXTS),
    "lookup-events, token first": (
        json.dumps({"NextToken": "t", "Events": looked_up(*TEXTS)}).encode(),
        TEXTS,
    ),
    "lookup-events, pages": (text({"Events": looked_up(TEXTS[0])}, {"Events": []}), TEXTS[:1]),
    ".Events": (json.dumps(looked_up(*TEXTS), indent=2).encode(), TEXTS),
    ".Events[]": (text(*looked_up(*TEXTS)), TEXTS),
    ".Events[].CloudTrailEvent": (text(*TEXTS), TEXTS),
    "[.Events[].CloudTrailEvent]": (json.dumps(TEXTS, indent=2).encode(), TEXTS),
    "get-log-events": (
        json.dumps({"nextForwardToken": "f/1", "events": logged(*MESSAGES)}, indent=4).encode(),
        MESSAGES,
    ),
    "filter-log-events": (
        text({"searchedLogStreams": [], "events": logged(*MESSAGES, eventId="1")}),
        MESSAGES,
    ),
    ".events[]": (text(*logged(*MESSAGES, logStreamName="s", eventId="1")), MESSAGES),
    "SNS": (text(notified(text({"Records": RECORDS}).decode())), TEXTS),
    "SNS, records": (json.dumps(list(map(notified, TEXTS)), indent=1).encode(), TEXTS),
    "Lake": (
        b'"eventJson"\n' + b"".join(b'"%s"\n' % one.replace('"', '""').encode() for one in TEXTS),
        TEXTS,
    ),
    "Logs Insights": (b'@timestamp,@message\n1,"a ""b"", c"\n2,"d\ne"\n', ['a "b", c', "d\ne"]),
}


@both
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("container", WRAPPED)
def test_what_the_aws_command_line_and_sns_write_counts_as_what_is_in_it(
    read: Callable[[bytes, EventFormat], Read], container: str, encoding: str
) -> None:
    content, expected = WRAPPED[container]
    found, error = read(content.decode().encode(encoding), "auto")
    if container == "lookup-events, pages":  # an answer without events is a document like any other
        found = found[:1]
    assert [one.message for one in found] == expected
    assert not error


@both
@pytest.mark.parametrize(
    "content",
    [
        {"events": [{"timestamp": 1, "message": "x", "level": "info"}]},
        {"Events": [{"EventId": "1"}, looked_up("{}")[0]]},
        {"Type": "Notification", "Message": "ALARM"},
        {"timestamp": 1, "message": "x", "ingestionTime": 2, "level": "info"},
    ],
)
def test_a_document_that_resembles_them_is_one_log_event(
    read: Callable[[bytes, EventFormat], Read], content: dict[str, Any]
) -> None:
    found, _ = read(text(content), "auto")
    assert [one.message for one in found] == [json.dumps(content)]


EXPORT = b"2026-11-27T07:00:00.123Z one\n at a\n\n2026-11-27T07:00:01.456Z two\n"


@pytest.mark.parametrize("key", ["exports/8b1a/web-1/000000.gz", "000012"])
def test_an_export_of_a_log_group_has_its_messages(key: str) -> None:
    found, _ = of_object(gzip.compress(EXPORT), "lines", key)
    assert [one.message for one in found] == ["one\n at a", "two"]


def test_lines_that_a_program_begins_with_such_a_time_stay_as_they_are() -> None:
    found, _ = of_object(EXPORT, "lines", "logs/app.log")
    assert [one.message for one in found] == [one for one in EXPORT.decode().split("\n") if one]


@both
def test_an_exported_record_is_known_whatever_its_file_is_called(
    read: Callable[[bytes, EventFormat], Read],
) -> None:
    records = [f'{{"eventVersion":"1.08","eventID":"{number}"}}' for number in range(2)]
    content = "".join(f"2026-11-27T07:00:00.123Z {one}\n" for one in records).encode()
    assert [one.message for one in read(content, "cloudtrail")[0]] == records


@both
@pytest.mark.parametrize("bad", ["oops", '{"a": "', '{"a": 1,', '{"a": [1, 2', "}", '"'])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_bad_place_in_json_ends_nothing(
    read: Callable[[bytes, EventFormat], Read], bad: str, indent: int | None
) -> None:
    values = [json.dumps({"n": n, "text": "x" * 20}, indent=indent) for n in range(4)]
    content = "\n".join([values[0], bad, *values[1:3], bad, values[3], ""])
    found, error = read(content.encode(), "auto")
    messages = [one.message for one in found]
    assert [one for one in messages if one in values] == values
    assert error or bad in messages


def test_places_that_are_no_json_take_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext, "_MOST_WASTED", 10_000)
    nested = ('[{"a": 1},\n' * 100 + "oops\n") * 50
    found, error = of_object(('{"a":\n1}\n' + nested + '{"b":\n1}\n').encode(), "auto")
    assert 0 < len(found) < 5000
    assert error


def zipped(*contents: bytes, **options: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        archive.writestr("logs/", b"")
        for number, content in enumerate(contents):
            archive.writestr(f"logs/{number}.log", content)
    return file.getvalue()


@both
@pytest.mark.parametrize(
    "content",
    [
        bz2.compress(b"one\n") + bz2.compress(b"two\n"),
        lzma.compress(b"one\n") + bytes(8) + lzma.compress(b"two\n"),
        zipped(b"one", b"two\n"),
    ],
    ids=["bzip2", "xz", "zip"],
)
def test_compressed_files_are_read_to_their_end_or_to_their_damage(
    read: Callable[[bytes, EventFormat], Read], content: bytes
) -> None:
    found, error = read(content, "auto")
    assert ([one.message for one in found], error) == (["one", "two"], "")
    for cut in range(12, len(content) - 1):
        found, error = read(content[:cut], "auto")
        assert error or len(found) == 1
        assert [one.message for one in found] == ["one", "two"][: len(found)]


@both
@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress, zipped])
def test_bombs_of_any_compression_are_cut_off(
    read: Callable[[bytes, EventFormat], Read],
    compress: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decompression, "_BOMB_BYTES", 2**20)
    found, error = read(compress(b"one\n" + bytes(2**24)), "auto")
    assert [one.message for one in found] == ["one"]
    assert error


@both
@pytest.mark.parametrize("magic", [b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\x1f\x9d\x90"])
def test_a_compression_that_is_not_read_is_said(
    read: Callable[[bytes, EventFormat], Read], magic: bytes
) -> None:
    found, error = read(magic + b"one\n" * 20, "auto")
    assert found == []
    assert error


@both
def test_an_archive_with_a_list_of_files_that_fills_the_memory_is_not_read(
    read: Callable[[bytes, EventFormat], Read], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decompression, "_ZIP_FOLDER", 1000)
    found, error = read(zipped(*[b"one\n"] * 20), "auto")
    assert found == []
    assert error


@both
@pytest.mark.parametrize(
    "content",
    [
        "one\ntwo\n".encode("utf-16"),
        "one\r\ntwo".encode("utf-16-le"),
        "\ufeffone\r\ntwo\r\n".encode("utf-16-be"),
        "one\ntwo\n".encode("utf-32"),
        b"one\rtwo\r",
        bytes(9 * 2**20) + b"one\n" + bytes(3) + b"two\n" + bytes(5),
    ],
    ids=["UTF-16", "no mark", "big endian", "UTF-32", "CR", "NUL"],
)
def test_lines_are_found_in_other_encodings_and_behind_holes(
    read: Callable[[bytes, EventFormat], Read], content: bytes
) -> None:
    for packed in (content, gzip.compress(content)):
        assert [one.message for one in read(packed, "auto")[0]] == ["one", "two"]
