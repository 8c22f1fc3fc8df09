"""Files: every message exactly once, however they grow, are cut into batches, or are broken."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import EventFormat, Partition, PartitionGoneError, SourceError
from exporter.sources import decompression, file_content
from exporter.sources.files import Files
from tests.support.envelopes import envelope, finding
from tests.support.shared import shared_files


class Reader:
    """Polls one file as the exporter does: a reading's checkpoint is kept before the next."""

    def __init__(
        self,
        path: Path,
        event_format: EventFormat = "auto",
        *,
        complete: bool = True,
        batch_events: int = 5000,
        batch_bytes: int = 2**20,
        at_once: int = 2**20,
    ) -> None:
        self.partition = Partition("files", resource=str(path))
        self.source = Files(
            [str(path)],
            name="files",
            format=event_format,
            complete=complete,
            batch_events=batch_events,
            batch_bytes=batch_bytes,
            at_once=at_once,
            checkpoints=lambda _: {} if self.checkpoint is None else {str(path): self.checkpoint},
        )
        self.checkpoint: str | None = None
        self.messages: list[str] = []
        self.undecodable = 0
        self.readings: list[int] = []

    def poll(self, most: int | None = None) -> list[str]:
        """Read what is due, ``most`` readings at most; what is new."""
        before = len(self.messages)
        for moved in self.source.discover().moved.values():
            self.checkpoint = moved.checkpoint
        for number, reading in enumerate(
            self.source.poll(self.partition, self.checkpoint, own_starts={})
        ):
            if number == most:
                break
            self.checkpoint = reading.checkpoint
            self.messages += [event.message for event in reading.events]
            self.undecodable += reading.undecodable
            self.readings.append(len(reading.events))
        return self.messages[before:]


def _record(number: int) -> dict[str, Any]:
    return {"eventVersion": "1.08", "eventID": str(number), "eventName": "RunInstances"}


def _document(numbers: Sequence[int]) -> str:
    return json.dumps({"Records": [_record(number) for number in numbers]})


def _ids(messages: Sequence[str]) -> list[int]:
    return [int(json.loads(message)["eventID"]) for message in messages]


# Line files


@settings(deadline=None)
@given(
    lines=st.lists(st.text("ab€\r ", max_size=6), max_size=12),
    cuts=st.sets(st.integers(0, 60), max_size=6),
    batch=st.integers(1, 4),
    interrupted=st.lists(st.integers(0, 3), max_size=6),
    last_newline=st.booleans(),
)
def test_every_line_counts_once_however_a_file_grows_and_reading_is_interrupted(
    lines: list[str], cuts: set[int], batch: int, interrupted: list[int], last_newline: bool
) -> None:
    content = "\n".join(lines).encode() + (b"\n" if last_newline else b"")
    # Without any newline, lines end in CR.
    line_end = "\n" if b"\n" in content else "\r"
    expected = [line.removesuffix("\r") for line in content.decode().split(line_end)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.log"
        reader = Reader(path, complete=False, batch_events=batch)
        written = 0
        ends = sorted({cut for cut in cuts if cut < len(content)} | {len(content)})
        for end, most in itertools.zip_longest(ends, interrupted[: len(ends)]):
            with path.open("ab") as file:
                file.write(content[written:end])
            written = end
            reader.poll(most)
        for _ in range(3):  # once to read on, once to see that the last line stays as it is
            reader.poll()
        assert reader.poll() == []

    assert reader.messages == [line for line in expected if line]


def test_a_last_line_without_newline_counts_once_when_it_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo")
    reader = Reader(path, complete=False)

    assert reader.poll() == ["one"]
    assert reader.poll() == ["two"]
    with path.open("ab") as file:
        file.write(b" goes on\nthree\n")
    assert reader.poll() == ["three"]
    assert reader.poll() == []


def test_a_last_line_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntw")
    reader = Reader(path, complete=False)

    assert reader.poll() == ["one"]
    with path.open("ab") as file:
        file.write(b"o")
    assert reader.poll() == []
    with path.open("ab") as file:
        file.write(b"\n")
    assert reader.poll() == ["two"]


@pytest.mark.parametrize("blanks", ["", " \t"])
def test_a_first_line_that_is_an_object_counts_once_wherever_it_was_cut(
    tmp_path: Path, blanks: str
) -> None:
    # Its file's name does not say that it has lines, and its content only with the first newline.
    lines = [json.dumps(_record(number)) + blanks for number in range(3)]
    content = "".join(f"{line}\n" for line in lines)
    for cut in range(len(lines[0]) + 2):
        path = tmp_path / f"{cut}.txt"
        path.write_text(content[:cut])
        reader = Reader(path, complete=False)
        reader.poll()
        path.write_text(content)
        reader.poll()
        assert _ids(reader.messages) == [0, 1, 2]


def test_a_single_run_counts_the_last_line_without_newline(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\r\ntwo")

    assert Reader(path).poll() == ["one", "two"]


def test_a_restart_goes_on_where_the_last_commit_was(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"".join(b"%d\n" % number for number in range(10)))
    first = Reader(path, batch_events=3)
    first.poll(most=2)

    second = Reader(path, batch_events=3)
    second.checkpoint = first.checkpoint
    assert first.messages + second.poll() == [str(number) for number in range(10)]


def test_a_truncated_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\n")
    reader = Reader(path)
    reader.poll()

    os.truncate(path, 0)
    assert reader.poll() == []
    with path.open("ab") as file:
        file.write(b"one\ntwo\nthree\n")
    assert reader.poll() == ["one", "two", "three"]


def test_a_file_rewritten_with_as_many_bytes_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\n")
    reader = Reader(path)
    reader.poll()

    path.write_bytes(b"uno\ndos\n")
    assert reader.poll() == ["uno", "dos"]


def test_a_rotated_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    reader = Reader(path)
    reader.poll()

    path.rename(tmp_path / "app.log.1")
    path.write_bytes(b"one\ntwo\n")
    assert reader.poll() == ["one", "two"]


def test_a_line_that_never_ends_is_left_out_and_what_follows_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_content, "LONGEST", 1000)
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n" + b"x" * 1001 + b"\n" + b"y" * 1000 + b"\n" + b"z" * 5000)
    reader = Reader(path, complete=False)

    assert reader.poll() == ["one", "y" * 1000]
    with path.open("ab") as file:
        file.write(b"zz\nlast\n")
    assert reader.poll() == ["last"]
    assert reader.undecodable == 2


@pytest.mark.parametrize("length", [171_000, 976_000])
def test_long_lines_are_read(tmp_path: Path, length: int) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"x" * length + b"\nnext\n")

    assert [len(message) for message in Reader(path).poll()] == [length, 4]


def test_lines_are_decoded_leniently(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"\xef\xbb\xbfone\n\xff\xfe\n\n  \n")

    assert Reader(path).poll() == ["one", "\ufffd\ufffd", "  "]


def test_log_lines_that_are_json_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text(_document([1, 2]) + "\n")

    assert Reader(path).poll() == [_document([1, 2])]


def test_cloudtrail_lines_may_hold_records_or_documents_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "trail.jsonl"
    lines = [json.dumps(_record(1)), _document([2, 3]), "oops", '{"digestPublicKey":1}', "", "[4]"]
    path.write_text("\n".join(lines))
    reader = Reader(path, "cloudtrail")

    assert _ids(reader.poll()) == [1, 2, 3]
    assert reader.undecodable == 3


# JSON documents and gzip


@pytest.mark.parametrize(("at_once", "readings"), [(10**6, [20]), (100, [6, 6, 6, 2])])
@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.bin", "a", "a.gz"])
def test_a_cloudtrail_file_is_known_by_name_or_content(
    tmp_path: Path, name: str, at_once: int, readings: list[int]
) -> None:
    path = tmp_path / name
    content = _document(range(20)).encode()
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    reader = Reader(path, "cloudtrail", batch_events=6, at_once=at_once)

    assert _ids(reader.poll()) == list(range(20))
    assert reader.readings == readings
    assert reader.poll() == []


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        ('{"a":1}\n{"b":2}\n', 2),
        ('{"a":1}\noops\n{"b":2}\n', 3),
        ('[{"a":1},{"b":2}]', 2),
        ('{\n"a":1\n}\n{"b":2}', 2),
        ("[2026-01-01] one\n{not json} two\n", 2),
        ('{"Records":[{"a":1},{"b":2}]}\n', 2),
        ("", 0),
    ],
)
def test_files_of_other_names_are_read_by_content(
    tmp_path: Path, content: str, messages: int
) -> None:
    path = tmp_path / "unknown"
    path.write_text(content)

    assert len(Reader(path).poll()) == messages


def test_format_lines_takes_every_file_as_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"Records":[\n{"a":1}\n]}\n')

    assert Reader(path, "lines").poll() == ['{"Records":[', '{"a":1}', "]}"]


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.log.gz"])
@settings(deadline=None, max_examples=25)
@given(numbers=st.integers(0, 30), batch=st.integers(1, 12), stops=st.lists(st.integers(0, 3)))
def test_every_record_counts_once_whatever_the_batches_and_interruptions(
    name: str, numbers: int, batch: int, stops: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        content = "\n".join(json.dumps(_record(number)) for number in range(numbers)).encode()
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        reader = Reader(path, "cloudtrail", batch_events=batch)
        for stop in stops:
            reader.poll(most=stop)
        reader.poll()
        assert reader.poll() == []

    assert _ids(reader.messages) == list(range(numbers))


def test_a_gzip_file_of_several_members_that_grows_goes_on_after_what_was_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "app.log.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    reader = Reader(path)
    assert reader.poll() == ["one", "two"]

    with path.open("ab") as file:
        file.write(gzip.compress(b"three\n"))
    assert reader.poll() == ["three"]


def test_a_document_found_while_it_is_written_is_finished_later(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = _document(range(6))
    path.write_text(content[:-100])
    reader = Reader(path, "cloudtrail")
    first = reader.poll()
    assert 0 < len(first) < 6
    assert reader.undecodable == 1

    with path.open("a") as file:
        file.write(content[-100:])
    assert _ids(first + reader.poll()) == list(range(6))


def test_a_touched_document_counts_nothing_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(_document([1]))
    reader = Reader(path)
    reader.poll()

    os.utime(path, ns=(1, 1))
    assert reader.poll() == []


def test_a_damaged_gzip_file_counts_up_to_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "app.log.gz"
    # Stored, not compressed: the first lines can be told from the cut exactly.
    content = gzip.compress(b"".join(b"line %d\n" % n for n in range(1000)), compresslevel=0)
    path.write_bytes(content[:500])
    reader = Reader(path)

    messages = reader.poll()
    assert messages == [f"line {n}" for n in range(len(messages))]
    assert len(messages) > 40
    assert reader.undecodable == 1
    assert reader.poll() == []


def test_a_file_that_only_claims_to_be_gzip_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_text(_document([1, 2]))

    assert _ids(Reader(path).poll()) == [1, 2]


def test_garbage_after_the_gzip_magic_is_one_undecodable(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(b"\x1f\x8bgarbage")
    reader = Reader(path)

    assert reader.poll() == []
    assert reader.undecodable == 1


def test_a_decompression_bomb_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompression, "_BOMB_BYTES", 4 * 1024 * 1024)
    path = tmp_path / "app.log.gz"
    path.write_bytes(gzip.compress(b"first\n" + b"\0" * (64 * 1024 * 1024), compresslevel=9))
    reader = Reader(path)

    assert reader.poll() == ["first"]
    assert reader.undecodable == 1


def test_how_a_gzip_file_is_cut_does_not_depend_on_its_members(tmp_path: Path) -> None:
    lines = [b'{"a":1}', b"\n", b"no JSON\n", b'{"b":2}\n']
    path = tmp_path / "app.gz"
    path.write_bytes(b"".join(map(gzip.compress, lines)))

    assert Reader(path).poll() == ['{"a":1}', "no JSON", '{"b":2}']


# Partitions and errors


def test_globs_are_resolved_again_at_each_discovery(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.log").touch()
    (tmp_path / "a" / "folder.log").mkdir()
    source = Files(
        [str(tmp_path / "**" / "*.log"), str(tmp_path / "a" / "one.log"), "/nowhere"], name="files"
    )
    assert [p.resource for p in source.discover().partitions] == [str(tmp_path / "a" / "one.log")]

    (tmp_path / "two.log").touch()
    discovery = source.discover()
    assert [p.resource for p in discovery.partitions] == [
        str(tmp_path / "a" / "one.log"),
        str(tmp_path / "two.log"),
    ]
    assert not discovery.failures


def test_a_rotated_file_that_the_glob_still_finds_is_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "app.log").touch()
    narrow = Files([str(tmp_path / "app.log")], name="files")
    wide = Files([str(tmp_path / "app.log*")], name="files")
    assert len(wide.discover().partitions) == 1

    (tmp_path / "app.log").rename(tmp_path / "app.log.1")
    (tmp_path / "app.log").touch()
    assert [p.resource for p in wide.discover().partitions] == [
        str(tmp_path / "app.log"),
        str(tmp_path / "app.log.1"),
    ]
    assert len(narrow.discover().partitions) == 1


def test_a_file_that_vanished_is_gone(tmp_path: Path) -> None:
    with pytest.raises(PartitionGoneError, match=r"vanished\.log is gone"):
        Reader(tmp_path / "vanished.log").poll()


def test_a_file_that_cannot_be_read_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=str(tmp_path)) as caught:
        Reader(tmp_path).poll()
    assert caught.value.reason == "unreadable"


def test_batches_end_at_a_number_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes((b"x" * 99 + b"\n") * 10)
    reader = Reader(path, batch_bytes=300)
    reader.poll()

    assert reader.readings == [4, 4, 2]


@pytest.mark.parametrize("folder", ["cloudtrail", "logs"])
def test_real_files_give_the_lines_that_are_in_them(folder: str) -> None:
    for path in shared_files(f"samples/{folder}"):
        event_format: EventFormat = "cloudtrail" if folder == "cloudtrail" else "auto"
        lines = path.read_bytes().decode().split("\n")
        expected = [line.removesuffix("\r") for line in lines if line.removesuffix("\r")]
        reader = Reader(path, event_format)

        assert reader.poll() == expected, path
        assert reader.undecodable == 0, path


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize("event_format", ["auto", "cloudtrail"])
def test_envelopes_of_eventbridge_are_log_events(
    tmp_path: Path, name: str, event_format: EventFormat
) -> None:
    path = tmp_path / name
    sent = [json.dumps(envelope()), json.dumps(finding())]
    path.write_text("\n".join(sent))
    assert Reader(path, event_format).poll() == sent
