"""Rotated files: every line counts once, however they are renamed, copied, compressed and cut."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exporter.sources import file_rotation
from exporter.sources.file_position import FilePosition
from exporter.sources.files import Files

COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


class Exporter:
    """A source of files over a ledger, killed and started again whenever a test likes."""

    def __init__(self, *patterns: Path, complete: bool = True, batch: int = 5000) -> None:
        self.ledger: dict[str, str] = {}
        self.counted: list[str] = []
        self.undecodable = 0
        self.now = 1.8e9
        self.patterns = patterns
        self._complete = complete
        self._batch = batch
        self.start()

    def start(self) -> None:
        """Begin with no more than the ledger."""
        self.source = Files(
            [str(one) for one in self.patterns],
            name="files",
            complete=self._complete,
            checkpoints=lambda _: dict(self.ledger),
            batch_events=self._batch,
            clock=lambda: self.now,
        )

    def run(self, most: int | None = None) -> list[str]:
        """Look for files and poll each, with ``most`` commits before it is killed; what is new."""
        before = len(self.counted)
        left = [10**9 if most is None else most]

        def commit() -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError

        try:
            discovery = self.source.discover()
            if discovery.moved:
                commit()
            for partition, move in discovery.moved.items():
                assert self.ledger.get(partition.key) == move.expected
                if move.checkpoint is None:
                    self.ledger.pop(partition.key, None)
                else:
                    self.ledger[partition.key] = move.checkpoint
            for partition in discovery.partitions:
                known = self.ledger.get(partition.key)
                for reading in self.source.poll(partition, known, own_starts={}):
                    commit()
                    self.ledger[partition.key] = reading.checkpoint
                    self.counted += [event.message for event in reading.events]
                    self.undecodable += reading.undecodable
        except KilledError:
            self.start()
        return self.counted[before:]


class KilledError(Exception):
    """The process was killed."""


def line(number: int) -> str:
    return f"Nov 27 07:{number // 60 % 60:02}:{number % 60:02} host-4 app[77]: job {number} is done"


def append(path: Path, numbers: Iterable[int]) -> None:
    with path.open("ab") as file:
        file.write(b"".join(f"{line(number)}\n".encode() for number in numbers))


def lines(*numbers: int) -> list[str]:
    return [line(number) for number in numbers]


class Log:
    """A program that writes a log, and what rotates it."""

    def __init__(self, folder: Path, name: str = "messages") -> None:
        self.path = folder / name
        self.written: list[str] = []
        self._rotations = 0
        self._copying = False

    def write(self, count: int, *, end: str = "\n") -> None:
        first = len(self.written)
        new = lines(*range(first, first + count))
        with self.path.open("ab") as file:
            file.write("".join(f"{one}{end}" for one in new).encode())
        self.written += new

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _shift(self) -> None:
        """As logrotate does: ``messages.1`` to ``messages.2``, from the last one on."""
        for number in range(self._rotations, 0, -1):
            for suffix in ("", ".gz", ".bz2", ".xz"):
                path = Path(f"{self._numbered(number)}{suffix}")
                if path.exists():
                    path.rename(f"{self._numbered(number + 1)}{suffix}")
        self._rotations += 1

    def rename(self) -> None:
        if self.path.exists() and not self._copying:
            self._shift()
            self.path.rename(self._numbered(1))

    def copy(self, part: float = 1) -> None:
        """The first half of ``copytruncate``, which takes its time."""
        if self.path.exists():
            if not self._copying:
                self._shift()
            self._copying = True
            content = self.path.read_bytes()
            self._numbered(1).write_bytes(content[: round(part * len(content))])

    def copy_and_truncate(self) -> None:
        if self.path.exists():
            self.copy()
            os.truncate(self.path, 0)
            self._copying = False

    def compress(self, suffix: str) -> None:
        for number in range(self._rotations + 1, self._copying, -1):
            path = self._numbered(number)
            if path.exists():
                Path(f"{path}.{suffix}").write_bytes(COMPRESSIONS[suffix](path.read_bytes()))
                path.unlink()

    def replace(self) -> None:
        """As rsync and many editors do: the same content in a new file."""
        if self.path.exists():
            other = self.path.with_name(f".{self.path.name}.new")
            shutil.copy(self.path, other)
            other.replace(self.path)


STEPS: Mapping[str, Callable[[Log], None]] = {
    "write": lambda log: log.write(3),
    "write one": lambda log: log.write(1),
    "rename": Log.rename,
    "copy and truncate": Log.copy_and_truncate,
    "copy": Log.copy,
    "copy a half": lambda log: log.copy(0.5),
    "gz": lambda log: log.compress("gz"),
    "bz2": lambda log: log.compress("bz2"),
    "xz": lambda log: log.compress("xz"),
    "replace": Log.replace,
}


@settings(deadline=None, max_examples=150)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(sorted(STEPS)), st.none() | st.integers(0, 4)), max_size=14
    ),
    batch=st.sampled_from([1, 2, 5000]),
    complete=st.booleans(),
)
def test_under_a_glob_every_line_counts_once_over_rotations_and_kills(
    steps: list[tuple[str, int | None]], batch: int, *, complete: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Log(Path(folder))
        exporter = Exporter(Path(folder, "messages*"), complete=complete, batch=batch)
        for step, most in [*steps, ("copy and truncate", None)]:
            STEPS[step](log)
            exporter.run(most)
        for _ in range(3):
            exporter.run()
        assert exporter.run() == []
        assert Counter(exporter.counted) == Counter(log.written)


@settings(deadline=None, max_examples=150)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["rename", "copy and truncate", "replace"]),
            st.integers(0, 3),
            st.none() | st.sampled_from(sorted(COMPRESSIONS)),
            st.none() | st.integers(0, 4),
        ),
        max_size=8,
    ),
    batch=st.sampled_from([1, 2, 5000]),
)
def test_of_a_single_path_every_line_counts_once_if_it_is_polled_between_rotations(
    steps: list[tuple[str, int, str | None, int | None]], batch: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Log(Path(folder))
        exporter = Exporter(log.path, batch=batch)
        log.write(1)
        exporter.run()
        for step, tail, suffix, most in steps:
            log.write(tail)
            STEPS[step](log)
            if suffix is not None:
                log.compress(suffix)
            log.write(1)
            exporter.run(most)
            exporter.run()
            exporter.run()
        assert exporter.run() == []
        assert Counter(exporter.counted) == Counter(log.written)


# What is taken for the same file, and what is not


def test_lines_written_before_a_rotation_are_read_where_they_are_now(tmp_path: Path) -> None:
    log = Log(tmp_path)
    exporter = Exporter(log.path, complete=False)
    log.write(3)
    exporter.run()
    log.write(2)
    log.rename()
    assert exporter.run() == lines(3, 4)  # although there is no new file yet
    log.write(1)
    with (tmp_path / "messages.1").open("ab") as file:  # the program writes to the old one, still
        file.write(b"the last one\n")
    assert exporter.run() == ["the last one"]
    assert exporter.run() == lines(5)


def test_a_rotated_file_is_followed_until_it_is_compressed(tmp_path: Path) -> None:
    log = Log(tmp_path)
    exporter = Exporter(log.path)
    log.write(3)
    exporter.run()
    log.write(2)
    log.rename()
    log.compress("gz")
    log.write(1)
    assert exporter.run() == lines(3, 4, 5)
    log.write(1)
    assert exporter.run() == lines(6)


@pytest.mark.parametrize("start", ["", "#Version: 1.0\n#Fields: date time\n", "x" * 3000 + "\n"])
def test_files_that_begin_alike_are_files_of_their_own(tmp_path: Path, start: str) -> None:
    for name, message in (("a.log", "one"), ("b.log", "two")):
        (tmp_path / name).write_text(f"{start}{message}\n")
    exporter = Exporter(tmp_path / "*.log")
    header = start.splitlines()
    assert Counter(exporter.run()) == Counter([*header, "one", *header, "two"])
    (tmp_path / "c.log").write_text(f"{start}one\n")  # the same content, and the others are there
    assert exporter.run() == [*header, "one"]


def test_without_times_the_same_content_in_a_new_file_counts_again_and_is_said(
    tmp_path: Path,
) -> None:
    path = tmp_path / "app.log"
    path.write_text("Starting\n")
    exporter = Exporter(path)
    exporter.run()
    (tmp_path / "new").write_text("Starting\nReady\n")
    (tmp_path / "new").replace(path)
    with capture_logs() as logs:
        assert exporter.run() == ["Starting", "Ready"]
    assert any("begins like one that was read" in one["event"] for one in logs)


def test_a_backup_that_an_editor_makes_counts_nothing_again(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    append(path, range(3))
    exporter = Exporter(tmp_path / "app.log*")
    exporter.run()
    path.rename(tmp_path / "app.log~")
    append(path, range(4))
    assert exporter.run() == lines(3)


def test_a_file_that_an_editor_changed_counts_from_its_start_and_is_said(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    append(path, range(3))
    exporter = Exporter(path)
    exporter.run()
    path.unlink()
    append(path, [0, 2])
    with capture_logs() as logs:
        assert exporter.run() == lines(0, 2)
    assert [one["path"] for one in logs if "not found" in one["event"]] == [str(path)]


def test_a_compressed_copy_beside_a_file_is_left_out_until_the_file_is_gone(
    tmp_path: Path,
) -> None:
    path, packed = tmp_path / "app.log", tmp_path / "app.log.gz"
    append(path, range(3))
    packed.write_bytes(gzip.compress(path.read_bytes())[:10])  # it is being compressed
    exporter = Exporter(tmp_path / "app.log*")
    assert exporter.run() == lines(0, 1, 2)
    append(path, [3])
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert exporter.run() == lines(3)
    assert exporter.run() == []


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_file_with_several_names_counts_once(
    tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    path = tmp_path / "app-1.log"
    append(path, range(2))
    link(path, tmp_path / "current.log")
    exporter = Exporter(tmp_path / "*.log")
    assert exporter.run() == lines(0, 1)
    append(path, [2])
    assert exporter.run() == lines(2)
    (tmp_path / "current.log").unlink()
    append(tmp_path / "app-2.log", [4])
    link(tmp_path / "app-2.log", tmp_path / "current.log")
    append(path, [3])
    assert Counter(exporter.run()) == Counter(lines(3, 4))


def test_documents_that_are_compressed_later_count_once(tmp_path: Path) -> None:
    path = tmp_path / "trail.json"
    times = [f"2026-11-27T07:00:{number:02}Z" for number in range(3)]
    path.write_text(json.dumps({"Records": [{"eventTime": time} for time in times]}, indent=1))
    exporter = Exporter(tmp_path / "*")
    assert len(exporter.run()) == 3
    (tmp_path / "trail.json.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert exporter.run() == []


def test_a_volume_that_was_away_counts_nothing_again(tmp_path: Path) -> None:
    folder, away = tmp_path / "logs", tmp_path / "away"
    folder.mkdir()
    append(folder / "app.log", range(3))
    exporter = Exporter(folder / "*")
    exporter.run()
    folder.rename(away)
    assert exporter.run() == []
    away.rename(folder)
    append(folder / "app.log", [3])
    assert exporter.run() == lines(3)
    assert not FilePosition.decode(exporter.ledger[str(folder / "app.log")]).gone


def test_files_that_are_no_longer_configured_are_not_read_and_keep_their_positions(
    tmp_path: Path,
) -> None:
    for name in ("a.log", "b.log"):
        append(tmp_path / name, range(2))
    exporter = Exporter(tmp_path / "*.log")
    exporter.run()
    exporter.patterns = (tmp_path / "a.*",)
    exporter.start()
    append(tmp_path / "b.log", [2])
    assert exporter.run() == []
    (tmp_path / "b.log").rename(tmp_path / "b.log.1")
    append(tmp_path / "b.log", [3])
    assert exporter.run() == []
    exporter.patterns = (tmp_path / "*.log*",)
    exporter.start()
    assert Counter(exporter.run()) == Counter(lines(2, 3))


def test_the_positions_of_files_that_are_gone_are_forgotten_in_time(tmp_path: Path) -> None:
    append(tmp_path / "a.log", range(3))
    append(tmp_path / "b.log", range(3))
    exporter = Exporter(tmp_path / "*.log")
    exporter.run()
    (tmp_path / "a.log").unlink()
    exporter.run()
    assert len(exporter.ledger) == 2
    exporter.now += file_rotation.FORGOTTEN_AFTER / 1000 + 1
    append(tmp_path / "b.log", [3])
    exporter.run()
    assert list(exporter.ledger) == [str(tmp_path / "b.log")]


def test_positions_of_earlier_versions_are_carried_over(tmp_path: Path) -> None:
    log = Log(tmp_path)
    exporter = Exporter(tmp_path / "messages*")
    log.write(3)
    exporter.run()
    for path, checkpoint in exporter.ledger.items():
        before = {"modified": 0, "finished": False, "midline": False, **json.loads(checkpoint)}
        exporter.ledger[path] = json.dumps(before)
    log.write(1)
    log.rename()
    log.write(1)
    assert exporter.run() == lines(4, 3)


def test_files_that_stay_as_they_are_cost_no_look_at_the_ledger(tmp_path: Path) -> None:
    append(tmp_path / "a.log", range(3))
    exporter = Exporter(tmp_path / "*.log")
    exporter.run()
    exporter.run()
    asked: list[str] = []

    def checkpoints(source: str) -> dict[str, str]:
        asked.append(source)
        return exporter.ledger

    source = Files([str(tmp_path / "*.log")], name="files", checkpoints=checkpoints)
    source.discover()
    source.discover()
    assert asked == ["files"]
