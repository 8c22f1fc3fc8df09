"""The shapes in which events of EventBridge come in a queue."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import jsontext
from exporter.sources.bus_messages import BusEvent, UnknownShapeError, bus_events
from tests.support.envelopes import envelope, finding, sign_in

ENVELOPE, RECORD, FINDING = envelope(), sign_in(), finding()
METADATA = {"aws:EventId": "e-1", "aws:DeliveryType": "LIVE"}


def notification(message: Any, kind: str = "Notification") -> dict[str, str]:
    topic = "arn:aws:sns:us-east-1:123456789012:events"
    return {"Type": kind, "TopicArn": topic, "MessageId": "m", "Message": json.dumps(message)}


def with_metadata(data: Any) -> dict[str, Any]:
    return {"Data": data, "Metadata": {"tenant": "a"}, "SystemMetadata": METADATA}


def read(body: str) -> list[Any]:
    return [
        one if isinstance(one, UnknownShapeError) else json.loads(one.text)
        for one in bus_events(body)
    ]


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (ENVELOPE, [ENVELOPE]),
        (RECORD, [RECORD]),
        (with_metadata(ENVELOPE), [ENVELOPE]),
        (with_metadata(RECORD), [RECORD]),
        (with_metadata({"order": 1}), [{"order": 1}]),
        ([ENVELOPE, RECORD, with_metadata(FINDING)], [ENVELOPE, RECORD, FINDING]),
        (notification(ENVELOPE), [ENVELOPE]),
        (notification([with_metadata(RECORD), FINDING]), [RECORD, FINDING]),
    ],
)
def test_each_shape_brings_its_events(body: Any, events: list[Any]) -> None:
    assert read(json.dumps(body)) == events
    assert read(json.dumps(body, indent=2)) == events


def test_the_metadata_identifies_data_that_has_no_id() -> None:
    (event,) = bus_events(json.dumps(with_metadata({"order": 1})))
    assert event == BusEvent('{"order": 1}', "e-1")
    (event,) = bus_events(json.dumps(with_metadata(ENVELOPE)))
    assert isinstance(event, BusEvent)
    assert event.id is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "login",
        "{",
        "[]",
        "1",
        '"text"',
        '{"user": "root"}',
        json.dumps({"detail": RECORD}),
        json.dumps(notification(ENVELOPE, "SubscriptionConfirmation")),
        json.dumps({"Data": "aGVsbG8=", "SystemMetadata": METADATA}),
        json.dumps({**ENVELOPE, "detail": "text"}),
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_anything_else_is_an_error_that_says_nothing_of_the_content(body: str) -> None:
    (error,) = bus_events(body)
    assert isinstance(error, UnknownShapeError)
    assert "root" not in str(error)


def test_the_other_events_of_a_list_are_read() -> None:
    found = read(json.dumps([ENVELOPE, {"no": "event"}, RECORD]))
    assert [one for one in found if isinstance(one, dict)] == [ENVELOPE, RECORD]
    assert len(found) == 3


def test_an_event_with_half_a_surrogate_is_read_as_it_was_written() -> None:
    body = json.dumps(envelope(sign_in(userAgent="\ud800")))
    (event,) = bus_events(f"[{body}]")
    assert isinstance(event, BusEvent)
    assert event.text == body


_wrappers = st.lists(st.sampled_from([notification, with_metadata, lambda one: [one]]), max_size=4)


@given(st.lists(st.sampled_from([ENVELOPE, RECORD, FINDING]), min_size=1, max_size=4), _wrappers)
def test_wrapping_changes_no_event(events: list[Any], wrappers: list[Any]) -> None:
    body: Any = events
    for wrap in wrappers:
        body = wrap(body)
    assert read(json.dumps(body)) == events


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("\ud83d"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), _json), st.sampled_from([None, 1]), st.booleans())
def test_the_texts_of_members_are_those_of_the_object(
    value: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    found = jsontext.members(text)
    assert found is not None
    assert {name: json.loads(part) for name, part in found.items()} == value
    listed = jsontext.elements(f"[{text}, {text}]")
    assert listed == [text, text]
    for end in (1, len(text) // 2, len(text) - 1):
        assert jsontext.members(text[:end]) is None
        assert jsontext.members(text + text[:end]) is None
