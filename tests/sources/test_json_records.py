"""CloudTrail files are cut into the texts of their records, whatever their shape."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import jsontext
from exporter.model import DamagedContentError
from exporter.sources import json_records
from exporter.sources.json_records import JsonRecords

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
_RECORDS = st.lists(
    st.dictionaries(st.text(max_size=8).filter(lambda key: key != "Records"), _VALUES, max_size=5),
    max_size=6,
)


def _pieces(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(0, len(text), size))


def split_records(chunks: Iterable[str], *, cloudtrail: bool = False) -> Iterator[str | None]:
    records = JsonRecords("cloudtrail" if cloudtrail else "auto", 0)
    return (None if one is None else one.message for one in records.split(chunks))


def _texts(*chunks: str) -> list[str | None]:
    return list(split_records(chunks))


@given(
    records=_RECORDS,
    shape=st.sampled_from(["document", "array", "lines", "concatenated", "pretty", "documents"]),
    ascii_only=st.booleans(),
    size=st.integers(1, 60),
)
def test_every_record_comes_as_it_was_written_in_every_shape_and_in_chunks_of_any_size(
    records: list[dict[str, Any]], shape: str, ascii_only: bool, size: int
) -> None:
    indent = 2 if shape == "pretty" else None
    written = [json.dumps(record, ensure_ascii=ascii_only, indent=indent) for record in records]
    listed = ", ".join(written)
    text = {
        "document": f'{{"Records": [{listed}]}}',
        "pretty": f'{{\n"a": {{"Records": 1}}, "Records" : [\n{listed}\n] , "b": 2}}\r\n',
        "array": f"[{listed}]",
        "lines": "\n".join(written),
        "concatenated": "".join(written),
        "documents": "".join(f'{{"Records":[{record}]}}' for record in written),
    }[shape]

    assert list(split_records(_pieces(text, size))) == written


def test_records_that_are_whole_in_memory_are_split_without_decoding_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded = 0
    decode = jsontext._DECODER.raw_decode

    def counting(text: str, at: int) -> tuple[Any, int]:
        nonlocal decoded
        decoded += 1
        return decode(text, at)

    monkeypatch.setattr(jsontext._DECODER, "raw_decode", counting)
    written = [f'{{"eventVersion": "1.08", "number": {number}.0}}' for number in range(10_000)]
    text = '{"Records": [' + ",\n  ".join(written) + "]}"
    assert list(split_records(_pieces(text, 100_000), cloudtrail=True)) == written
    # The first of a chunk, and the one that goes on in the next.
    assert decoded < 3 * (len(text) / 100_000 + 1)
    decoded = 0
    for line in written:
        assert list(split_records((line + "\r\n",), cloudtrail=True)) == [line]
    assert decoded == 0


@settings(deadline=None)
@given(
    records=_RECORDS,
    ascii_only=st.booleans(),
    damage=st.tuples(st.floats(0, 1), st.sampled_from(['"', "{", "]", ",", "\\", "\x00", "N", ""])),
    cloudtrail=st.booleans(),
)
def test_damage_is_the_same_whatever_the_chunks(
    records: list[dict[str, Any]], ascii_only: bool, damage: tuple[float, str], cloudtrail: bool
) -> None:
    alike = [{"eventVersion": 1, **record} for record in records * 3]
    text = json.dumps({"Records": [*alike, 5, *records]}, ensure_ascii=ascii_only)
    at = round(damage[0] * len(text))
    text = text[:at] + damage[1] + text[at + 1 :]

    def outcome(chunks: Iterable[str]) -> tuple[list[str | None], bool]:
        found: list[str | None] = []
        try:
            found.extend(split_records(chunks, cloudtrail=cloudtrail))
        except DamagedContentError:
            return found, True
        return found, False

    assert outcome((text,)) == outcome(text) == outcome(_pieces(text, 40))


@pytest.mark.parametrize(
    "odd",
    ["NaN", '"\\ud800"', '"\t"', "9e999", "9" * 5000, "[" * 900 + "]" * 900, "-0", '"\ud800"'],
)
def test_an_odd_record_among_many_is_split_as_the_others_are(odd: str) -> None:
    written = [f'{{"eventName": "a", "number": {number}}}' for number in range(20)]
    written[7] = f'{{"eventName": {odd}, "x": {odd}}}'
    for text in (",".join(written), ",\n".join([*written, '{"Records": 1}'])):
        expected = [*written, '{"Records": 1}'] if "Records" in text else written
        assert list(split_records((f"[{text}]",))) == expected


def test_numbers_keep_their_spelling() -> None:
    record = '{"a":1.0,"b":1,"c":1e5,"d":' + "9" * 5000 + ',"e":NaN}'

    assert _texts(f'{{"Records":[{record}]}}') == [record]


def test_what_is_no_record_is_told_from_records() -> None:
    assert _texts('{"Records":[1,{"a":1},null,"x",[2],{"b":2}]}') == [
        None,
        '{"a":1}',
        None,
        None,
        None,
        '{"b":2}',
    ]


def test_documents_in_an_array_are_opened() -> None:
    assert _texts('[{"Records":[{"a":1}]},{"Records":[{"b":2}]}]') == ['{"a":1}', '{"b":2}']


def test_a_record_whose_records_are_no_list_is_a_record() -> None:
    assert _texts('{"Records":"none"}') == ['{"Records":"none"}']


def test_a_digest_file_is_no_cloudtrail_record() -> None:
    digest = '{"awsAccountId":"111122223333","digestStartTime":"2026-01-01T00:00:00Z"}'

    assert list(split_records((digest,), cloudtrail=True)) == [None]


def test_an_empty_file_has_no_records() -> None:
    assert _texts("") == []
    assert _texts(" \r\n\t", "") == []


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ('{"Records":[{"a":1},{"b":', ['{"a":1}']),
        ('{"Records":[{"a":1},{"b":2}', ['{"a":1}', '{"b":2}']),
        ('{"Records":[{"a":1} {"b":2}]}', ['{"a":1}']),
        ('{"Records":[{"a":1},oops,{"b":2}]}', ['{"a":1}']),
        ('{"a":1}\nnot json', ['{"a":1}']),
        ("hello", []),
        ("{", []),
        ("[", []),
        ('{"a"', []),
        ('{"Records":' + "[" * 100_000, []),
    ],
)
def test_what_comes_before_the_damage_is_read(text: str, readable: list[str]) -> None:
    records = split_records(_pieces(text, 7))
    assert list(itertools.islice(records, len(readable))) == readable
    with pytest.raises(DamagedContentError):
        next(records)


@pytest.mark.parametrize(
    "value", ['"' + '\\"' * 50_000 + '"', "[" + "[]," * 30_000 + '"}"]', "9" * 100_000]
)
@pytest.mark.parametrize("size", [1, 999, 1_000_000])
def test_a_record_that_is_too_long_is_left_out_and_the_others_count(
    monkeypatch: pytest.MonkeyPatch, value: str, size: int
) -> None:
    monkeypatch.setattr(jsontext, "LONGEST", 10_000)
    monkeypatch.setattr(json_records, "LONGEST", 10_000)
    size = max(size, len(value) // 20_000)
    long = f'{{"b":{value}}}'
    for text, expected in (
        (f'{{"Records":[{{"a":1}},{long},{{"c":2}}]}}', ['{"a":1}', None, '{"c":2}']),
        (f'[{{"a":1}},{value},{{"c":2}}]', ['{"a":1}', None, '{"c":2}']),
        (f'{{"a":1}}{long}{{"c":2}}', ['{"a":1}', None, '{"c":2}']),
        (f'{{"x":{value},"Records":[{{"a":1}}]}}', ['{"a":1}']),
    ):
        assert list(split_records(_pieces(text, size))) == expected


@pytest.mark.parametrize("size", [1000, 1_000_000])
@pytest.mark.parametrize(
    "value",
    [
        "[" + "[]," * 40_000 + "1]",
        "{" + ",".join(f'"{one:x}":{one}' for one in range(20_000)) + "}",
        "[" + "1,NaN," * 20_000 + "1]",
    ],
    ids=["lists", "keys", "numbers"],
)
def test_a_record_with_too_many_values_is_left_out_in_bounded_memory(
    monkeypatch: pytest.MonkeyPatch, value: str, size: int
) -> None:
    monkeypatch.setattr(jsontext, "LONG", 10_000)
    monkeypatch.setattr(jsontext, "_MOST_VALUES", 2_000)
    text = f'{{"Records":[{{"a":1}},{{"b":{value},"c":"x"}},{{"d":","}}]}}'
    chunks = list(_pieces(text, size))
    tracemalloc.start()
    try:
        assert list(split_records(chunks)) == ['{"a":1}', None, '{"d":","}']
        assert tracemalloc.get_traced_memory()[1] < 2 * len(text) + 500_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [2**18, 2**24])
def test_a_long_record_with_many_brackets_in_a_text_counts(size: int) -> None:
    long = f'{{"b":"{"[]," * 400_000}"}}'
    text = f'{{"Records":[{{"a":1}},{long},{{"c":2}}]}}'
    assert list(split_records(_pieces(text, size))) == ['{"a":1}', long, '{"c":2}']


def test_memory_is_bounded_where_a_record_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext, "LONGEST", 10_000)

    def long() -> Iterator[str]:
        yield '{"Records":[{"a":1},{"b":"'
        for _ in range(5_000):
            yield "x" * 1000

    records = split_records(long())
    assert next(records) == '{"a":1}'
    tracemalloc.start()
    try:
        with pytest.raises(DamagedContentError, match="too long"):
            next(records)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_document_is_read_as_a_stream() -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        yield '{"Records":['
        while True:
            taken += 1
            yield f'{{"number":{taken}}},'

    records = split_records(endless())
    assert [next(records) for _ in range(1000)][-1] == '{"number":1000}'
    assert taken < 1010


@pytest.mark.parametrize("size", [3, 1000])
def test_of_two_lists_of_records_none_is_lost_whatever_the_chunks(size: int) -> None:
    for text, expected in (
        ('{"Records":[{"a":1}],"Records":1}', ['{"a":1}']),
        ('{"Records":1,"Records":[{"a":1}]}', ['{"a":1}']),
        ('{"Records":[{"a":1}],"Records":[{"b":2}]}', ['{"a":1}', '{"b":2}']),
    ):
        assert list(split_records(_pieces(text, size))) == expected


def test_a_record_in_the_chunk_before_the_damage_is_read() -> None:
    def damaged() -> Iterator[str]:
        yield '{"Records":[{"a":"long enough to ask for two chunks'
        yield '"},{"b":2}'
        raise DamagedContentError("the rest is damaged")

    records = split_records(damaged())
    assert [next(records), next(records)] == [
        '{"a":"long enough to ask for two chunks"}',
        '{"b":2}',
    ]
    with pytest.raises(DamagedContentError, match="the rest is damaged"):
        next(records)
