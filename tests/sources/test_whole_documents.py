"""Files that are read in one piece count what they count when they are read bit by bit."""

from __future__ import annotations

import gzip
import io
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter import compression
from exporter.configuration import RuleConfig
from exporter.model import (
    DamagedContentError,
    EventFormat,
    Excluded,
    Increment,
    Limits,
    Partition,
    Records,
)
from exporter.rules import RuleSet
from exporter.sources.base import Reading
from exporter.sources.decompression import decompressed
from exporter.sources.files import FILE, Files
from exporter.yamlfile.problems import Location

_ELEMENTS = st.sampled_from(
    [
        '{"eventVersion": "1.08", "eventID": "1"}',
        '{"eventID":"2","eventName":"é€😀","x":{"Records":[{"eventID":"3"}]}}',
        '{"eventID":"4","n":1.50,"eventID":"5"}',
        '{"Records":[{"eventID":"6"}],"eventID":"7"}',
        '{"awsAccountId":"111122223333"}',
        '{"eventID":"12","recipientAccountId":"111122223333","eventTime":"2026-11-20T00:00:00Z"}',
        '{"eventID":"13","recipientAccountId":"444455556666","eventTime":"2026-11-20T00:00:01Z"}',
        '{"eventID":"14","recipientAccountId":111122223333,"eventTime":1.50}',
        '{"eventID":NaN}',
        '{"eventID":"\\ud800"}',
        '"]}"',
        "17",
        "null",
        "[{}]",
        "{}",
        '{"a":',
        "",
    ]
)
_AROUND = st.sampled_from(
    [
        '{{"Records":[{}]}}',
        ' {{ "Records" :\n[ {} ]\r\n}}\t\n',
        '{{"Records":[{}],"a":1}}',
        '{{"a":1,"Records":[{}]}}',
        '{{"Records":[{}],"Records":[{{"eventID":"8"}}]}}',
        '{{"Records":[{{"eventID":"8"}}],"Rec\\u006frds":[{}]}}',
        '{{"Records":[{}]}}{{"Records":[{{"eventID":"9"}}]}}',
        '{{"Records":[{}]}}\n{{"Records":[]}}',
        '\ufeff{{"Records":[{}]}}',
        '{{"Records":[{}]}}]}}',
        '{{"Records":[{}]]}}',
        '{{"Records":[{}]}}\x00',
        "[{}]",
        "{}",
    ]
)
_PACKINGS: dict[str, Callable[[bytes, int], bytes]] = {
    "plain": lambda content, _: content,
    "cut": lambda content, at: content[:at],
    "gzip": lambda content, _: gzip.compress(content),
    "bad bytes": lambda content, at: content[:at] + b"\xff" + content[at:],
    "members": lambda content, at: gzip.compress(content[:at]) + gzip.compress(content[at:]),
    "the same twice": lambda content, _: gzip.compress(content) * 2,
    "cut gzip": lambda content, at: gzip.compress(content)[: -1 - at % 30],
    "zeros after": lambda content, at: gzip.compress(content) + bytes(at % 20),
    "garbage after": lambda content, at: gzip.compress(content) + b"garbage"[: at % 8],
}


def _read(
    path: Path, event_format: EventFormat, at_once: int, checkpoint: str | None = None
) -> tuple[list[str], int, str | None]:
    """Messages, how many records are undecodable, and the checkpoint."""
    source = Files([str(path)], name="files", format=event_format, complete=True, at_once=at_once)
    messages, undecodable = [], 0
    for reading in source.poll(Partition("files", resource=str(path)), checkpoint, own_starts={}):
        messages += [event.message for event in reading.events]
        undecodable += reading.undecodable
        checkpoint = reading.checkpoint
    return messages, undecodable, checkpoint


@settings(deadline=None, max_examples=150)
@given(
    elements=st.lists(_ELEMENTS, max_size=4),
    around=_AROUND,
    packing=st.sampled_from(list(_PACKINGS)),
    at=st.integers(0, 120),
    event_format=st.sampled_from(["auto", "cloudtrail", "lines"]),
    name=st.sampled_from(["a.json", "a", "a.log"]),
    more=st.sampled_from(['{"eventID":"10"}', '{"Records":[{"eventID":"11"},5]}', "]}"]),
)
def test_what_counts_does_not_depend_on_how_a_file_is_read(
    *,
    elements: list[str],
    around: str,
    packing: str,
    at: int,
    event_format: EventFormat,
    name: str,
    more: str,
) -> None:
    content = around.format(",".join(elements)).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(_PACKINGS[packing](content, at))
        *at_once, first = _read(path, event_format, 2**20)
        *in_pieces, second = _read(path, event_format, 0)
        assert at_once == in_pieces
        # Another poll reads nothing, and one of the file with more in it reads the same.
        assert _read(path, event_format, 2**20, first) == ([], 0, first)
        with path.open("ab") as file:
            file.write(gzip.compress(more.encode()) if "gz" in packing else more.encode())
        expected = _read(path, event_format, 0, second)[:2]
        for size, start in ((2**20, first), (0, first), (2**20, second)):
            assert _read(path, event_format, size, start)[:2] == expected


RULES = RuleSet.of(
    RuleConfig(
        name=f"rule_{number}",
        sources=("files",),
        pattern=pattern,
        metric=f"rule_{number}_total",
        labels={"label": label},
        location=Location("rules.yaml"),
    )
    for number, (pattern, label) in enumerate(
        [
            ("{ $.eventID = * }", "$.eventID"),
            ("{ $.eventID NOT EXISTS }", "$.awsAccountId"),
            ("{ $.n = 1.5 || $.a = 1 }", "$.n"),
            ("{ $.x.Records[0].eventID = 3 }", "$.eventName"),
        ]
    )
)


_LIMITS = st.builds(
    Limits,
    account_ids=st.sampled_from([None, frozenset({"111122223333"})]),
    since=st.sampled_from([None, 1_795_132_801_000]),
)
_OF_ACCOUNT = '{"awsAccountId":"1"}'
_INCOMPLETE = '{"eventID":"1","recipientAccountId":"111122223333"}'
_PLAIN, _TWICE = '{{"Records":[{}]}}', '{{"Records":[{}],"Records":[{{"eventID":"8"}}]}}'


@settings(deadline=None, max_examples=100)
@given(
    elements=st.lists(_ELEMENTS, max_size=4),
    around=st.just(_PLAIN) | _AROUND,
    event_format=st.sampled_from(["auto", "cloudtrail"]),
    limits=st.none() | _LIMITS,
    zipped=st.booleans(),
)
@example([_OF_ACCOUNT], _PLAIN, "cloudtrail", None, True)
@example([_OF_ACCOUNT], _PLAIN, "auto", None, True)
@example(['{"eventID":"1"}'], _TWICE, "cloudtrail", Limits(frozenset()), True)
@example([_INCOMPLETE], _PLAIN, "auto", Limits(frozenset({"111122223333"})), False)
def test_rules_count_the_same_in_a_document_that_is_not_split(
    elements: list[str], around: str, event_format: EventFormat, limits: Limits | None, zipped: bool
) -> None:
    content = around.format(",".join(elements)).encode()
    partition = Partition("files", resource="a.json", kind=FILE)

    def counted(path: Path, at_once: int) -> tuple[list[Increment], int, int, Excluded]:
        source = Files([str(path)], name="files", format=event_format, at_once=at_once)
        increments, events, undecodable = [], 0, 0
        excluded: Counter[tuple[str, str]] = Counter()
        for reading in source.poll(Partition("files", resource=str(path)), None, own_starts={}):
            found = RULES.evaluate(reading.events, partition, event_format, limits=limits)
            increments += found.increments
            excluded.update(found.excluded)
            events += len(reading.events)
            undecodable += reading.undecodable
        return increments, events, undecodable, excluded

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        path.write_bytes(gzip.compress(content) if zipped else content)
        assert counted(path, 2**20) == counted(path, 0)


def test_a_trail_file_is_one_reading_that_is_not_split(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    document = json.dumps({"Records": [{"eventID": str(number)} for number in range(9)]}).encode()
    path.write_bytes(gzip.compress(document))
    source = Files([str(path)], name="files", batch_events=2)
    polled = source.poll(Partition("files", resource=str(path)), None, own_starts={})

    reading: Reading = next(polled)
    assert isinstance(reading.events, Records)
    assert reading.events.document == document
    assert reading.events.array is not None
    assert (
        json.loads(reading.events.document[reading.events.array]) == json.loads(document)["Records"]
    )
    reading.events.counted(9)
    assert list(polled) == []


@pytest.mark.parametrize("length", [1000, 1001])
def test_a_document_that_is_too_long_is_read_in_batches(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.json.gz"
    document = b'{"Records":[{"a":1},{"a":"'
    path.write_bytes(gzip.compress(document.ljust(length - 4, b"x") + b'"}]}'))
    source = Files([str(path)], name="files", at_once=1000, batch_events=1)
    polled = source.poll(Partition("files", resource=str(path)), None, own_starts={})

    assert [len(reading.events) for reading in polled] == ([2] if length == 1000 else [1, 1, 0])


# Inflating

_LIKE_A = gzip.compress(b"a")[-8:]
"""Bytes that are no member, but end as one of the content ``a`` does."""


@settings(max_examples=150)
@given(
    contents=st.lists(st.sampled_from([b"", b"a", b"abc" * 400, os.urandom(40)]), max_size=3),
    level=st.integers(0, 9),
    name=st.sampled_from([b"", b"trail.json"]),
    after=st.sampled_from([b"", b"\0", bytes(8), b"x", b"\x1f\x8b\x08", b"\x01\0\0\0"]),
    cut=st.integers(0, 30),
    flip=st.none() | st.integers(0, 2000),
)
@example(contents=[b"a", b"a"], level=6, name=b"", after=b"", cut=0, flip=None)
@example(contents=[b"a"], level=6, name=b"", after=_LIKE_A, cut=0, flip=None)
def test_what_is_inflated_at_once_is_what_the_standard_library_reads(
    *, contents: list[bytes], level: int, name: bytes, after: bytes, cut: int, flip: int | None
) -> None:
    packed = bytearray(b"".join(_member(content, level, name) for content in contents) + after)
    if cut:
        del packed[-cut:]
    if flip is not None and packed:
        packed[flip % len(packed)] ^= 1 << flip % 8
    found = compression.inflate(bytes(packed), 10_000)

    expected: bytes | None
    try:
        expected = b"".join(decompressed(io.BufferedReader(io.BytesIO(packed))) or ())
    except DamagedContentError:
        expected = None
    if found is not None:
        assert bytes(found) == expected
    elif len(contents) == 1 and contents != [b""] and not (after or cut or flip is not None):
        raise AssertionError("a whole member is read at once")


def _member(content: bytes, level: int, name: bytes) -> bytes:
    packed = gzip.compress(content, level, mtime=1)
    return packed[:3] + b"\x08" + packed[4:10] + name + b"\0" + packed[10:] if name else packed


def test_a_member_that_is_too_large_is_not_inflated_at_once() -> None:
    packed = gzip.compress(bytes(1001))
    assert compression.inflate(packed, 1001) == bytearray(1001)
    assert compression.inflate(packed, 1000) is None


@pytest.mark.parametrize("element", ["{}", '{"eventID":[[],[],[[]],[]]}'])
def test_a_document_that_would_fill_the_memory_is_read_bit_by_bit(
    tmp_path: Path, element: str
) -> None:
    # A gzip file of 32 KB can have 11 million empty records, which took 1.7 GB.
    path = tmp_path / "a.json.gz"
    document = f'{{"Records":[{",".join([element] * 200_000)}]}}'
    path.write_bytes(gzip.compress(document.encode()))
    source = Files([str(path)], name="trail", complete=True)
    partition = Partition("trail", resource=str(path), kind=FILE)
    sizes = [len(reading.events) for reading in source.poll(partition, None, own_starts={})]
    assert sum(sizes) == 200_000
    assert max(sizes) == 5_000


def test_limits_do_not_split_a_document() -> None:
    record = '{{"eventID":"{0}","recipientAccountId":"11112222333{0}"}}'
    content = f'{{"Records":[{record.format(3)},{record.format(4)}]}}'.encode()
    records = Records(content, 0, lambda _: pytest.fail("split"))
    found = RULES.evaluate(
        records, Partition("files"), "cloudtrail", limits=Limits(frozenset({"111122223333"}))
    )
    assert [one.event_id for one in found.events] == ["3"]
    assert found.excluded == {("account", "111122223334"): 1}
