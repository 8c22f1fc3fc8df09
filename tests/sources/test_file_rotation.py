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
        self.now = 0.0
        self._patterns = patterns
        self._complete = complete
        self._batch = batch
        self.start()

    def start(self) -> None:
        """Begin with no more than the ledger."""
        self.source = Files(
            [str(one) for one in self._patterns],
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
        if self.path.exists():
            self._shift()
            self.path.rename(self._numbered(1))

    def copy_and_truncate(self) -> None:
        if self.path.exists():
            self._shift()
            shutil.copy(self.path, self._numbered(1))
            os.truncate(self.path, 0)

    def compress(self, suffix: str) -> None:
        for number in range(self._rotations + 1, 0, -1):
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
        for step, most in steps:
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
