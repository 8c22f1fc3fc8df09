"""Files: CloudTrail's JSON files, JSON lines and log files, plain or compressed.

All their events count, of any age.
"""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import structlog
from pydantic import AfterValidator, ValidationInfo

from exporter.aws.iam_policy import Deployment, Grant
from exporter.model import (
    DamagedContentError,
    EventFormat,
    Partition,
    PartitionGoneError,
    PartitionKind,
    Records,
    SourceError,
)
from exporter.planning.interest import Interest
from exporter.sources.base import Discovery, Environment, Reading, SourceConfig
from exporter.sources.containers import NOT_EVENTS, Container, Leftover, in_lines
from exporter.sources.file_batches import Batch, after
from exporter.sources.file_content import AT_ONCE
from exporter.sources.file_look import Look
from exporter.sources.file_position import FilePosition, sample
from exporter.sources.json_records import Found
from exporter.sources.options import Distinct, Interval
from exporter.yamlfile.globs import absolute_glob, is_path

_TWO_WEEKS = 14 * 86_400_000
_NOT_EVENTS = f"file is read without some of its records: {NOT_EVENTS}"
_BROKEN = "file is broken, only events before that count"

FILE = PartitionKind("path", "File", by_event_time=False)

_log = structlog.get_logger(__name__)


def _absolute(path: str, info: ValidationInfo) -> str:
    if not is_path(path):
        raise ValueError("a path must not contain the character U+0000")
    return absolute_glob(Path.cwd() if info.context is None else info.context, path)


class FilesConfig(SourceConfig):
    """A source of the type ``files``."""

    kind: ClassVar = FILE
    stand_ins: ClassVar = {"paths": ["*"]}

    type: Literal["files"] = "files"
    paths: Annotated[tuple[Annotated[str, AfterValidator(_absolute)], ...], Distinct]
    """Absolute globs (the configuration's are relative to its file); ``**`` matches any folders."""
    format: EventFormat = "auto"
    interval: Interval = 60.0
    """Between two checks for new files and new lines."""

    def source(self, environment: Environment, since: Mapping[str, int]) -> Files:  # noqa: ARG002
        """See SourceConfig."""
        return Files(
            self.paths,
            name=self.name,
            format=self.format,
            interval=self.interval,
            complete=environment.complete,
            checkpoints=environment.checkpoints,
        )

    def permissions(self, deployment: Deployment) -> Iterator[Grant]:  # noqa: ARG002
        """Files need no IAM permission."""
        return iter(())


class Files:
    """Files by path or glob; each file is a partition.

    Plain line files are followed as they grow. JSON documents and gzip files are read once for each
    version; if data was only appended, reading continues after the last record. A last line without
    a newline counts if the file did not change between two polls, or immediately if ``complete``.
    A file that was renamed, copied or compressed is read on from its position (``file_rotation``).
    """

    memory = _TWO_WEEKS

    def __init__(
        self,
        paths: Sequence[str],
        *,
        name: str,
        format: EventFormat = "auto",
        interval: float = 60,
        complete: bool = False,
        checkpoints: Callable[[str], Mapping[str, str]] | None = None,
        batch_events: int = 5000,
        batch_bytes: int = 8 * 1024 * 1024,
        at_once: int = AT_ONCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is looked for yet.

        ``checkpoints``: see Environment. ``at_once``: bytes of the longest document that is one
        reading, whatever its batches.
        """
        self.name = name
        self.format: EventFormat = format
        self.interval = interval
        self.discovery_interval = interval
        place = Partition(name, kind=FILE)
        self.place: Partition | None = place
        self._paths = tuple(paths)
        self._complete = complete
        self._batch_events = batch_events
        self._batch_bytes = batch_bytes
        self._at_once = at_once
        self._clock = clock
        self._versions: dict[str, tuple[int, int]] = {}
        """Size and modification time of each line file at the last poll."""
        self._warned: set[tuple[str, str]] = set()
        self._look = Look(place, self._paths, checkpoints, self._warn_once, self._now)

    def discover(self) -> Discovery:
        """The regular files that exist now. A path without a file is not a failure."""
        return self._look.discovery()

    def read_up_to(self, partition: Partition, checkpoint: str | None) -> int | None:  # noqa: ARG002
        """None, because files are not read by time."""
        return None

    def counted_from(self, partition: Partition) -> int | None:  # noqa: ARG002
        """None, because everything in a file counts."""
        return None

    def size(self, partition: Partition) -> int | None:
        """Bytes of the file, if it can be accessed."""
        try:
            return Path(partition.resource).stat().st_size
        except OSError:
            return None

    def cost(self, partition: Partition) -> None:
        """None, because files have no quota."""

    def release(self, partition: Partition) -> None:
        """See ``Source.release``."""
        self._versions.pop(partition.resource, None)
        self._warned = {
            (path, warning) for path, warning in self._warned if path != partition.resource
        }

    def poll(
        self,
        partition: Partition,
        checkpoint: str | None,
        *,
        own_starts: Mapping[str, int],  # noqa: ARG002 - everything in a file counts
        interest: Interest | None = None,  # noqa: ARG002 - everything is read
        turn: float = math.inf,  # noqa: ARG002 - a file is read in order
    ) -> Iterator[Reading]:
        """Read the new records; raises PartitionGoneError if the file is gone, else SourceError."""
        path = partition.resource
        position = None if checkpoint is None else FilePosition.decode(checkpoint)
        try:
            if position is not None and position.path:
                if not (yield from self._read_rotated(path, position)):
                    return
                position = None
            with open(path, "rb") as file:  # noqa: PTH123 - quicker
                yield from self._read(path, file, position)
        except FileNotFoundError as error:
            raise PartitionGoneError(f"File {path} is gone.", reason="not_found") from error
        except OSError as error:
            raise SourceError(
                f"File {path} cannot be read ({error.strerror or error}); "
                "check its permissions and its volume. It is tried again.",
                reason="unreadable",
            ) from error

    def _read_rotated(self, path: str, position: FilePosition) -> Generator[Reading, None, bool]:
        """Read the rest of a file that was rotated away.

        Returns whether the file that has its name now is next.
        """
        rotated = position.path
        try:
            with open(rotated, "rb") as file:  # noqa: PTH123 - quicker
                stat = os.fstat(file.fileno())
                before = self._versions.get(rotated)
                for reading in self._read(rotated, file, position):
                    done = FilePosition.decode(reading.checkpoint).renamed(rotated)
                    yield replace(reading, checkpoint=done.encode())
                # Its writer may not have noticed yet.
                settled = (
                    self._complete
                    or rotated not in self._versions
                    or (before == (stat.st_size, stat.st_mtime_ns))
                )
            if not settled:
                return False
            with open(path, "rb") as file:  # noqa: PTH123
                following = FilePosition.in_lines(file, os.fstat(file.fileno()), 0)
        except FileNotFoundError:
            return False
        self._versions.pop(rotated, None)
        yield Reading((), following.encode())
        return True

    def _read(
        self, path: str, file: io.BufferedReader, position: FilePosition | None
    ) -> Iterator[Reading]:
        stat = os.fstat(file.fileno())
        if position is not None and position.finished_with(stat):
            return
        if position is not None and not position.holds_for(file, stat):
            return  # it is another file: the next look for files finds out what became of this one
        has_lines = position is not None and position.unit == "bytes" and position.covered > 0
        container = self._container(path, file, stat.st_size, has_lines=has_lines)
        if container.layout == "lines" and not container.is_compressed:
            if position is not None and position.unit == "records" and self.format != "lines":
                # Without its newline, a first line that is an object was read as a document.
                counted = position.covered if position.done else 0
                position = FilePosition.in_lines(file, stat, counted, midline=counted > 0)
            yield from self._follow(path, file, stat, position, container)
            return
        if position is None or position.unit != "records":
            position = None
            whole = container.records(self._now())
            if whole is not None:
                yield from self._read_document(path, file, stat, *whole)
                return
        done = 0
        if position is not None:
            done = self._done(path, position, file)
            container = self._container(path, file, stat.st_size)
        yield from self._read_whole(path, file, stat, done, container.events(self._now()))

    def _container(
        self, path: str, file: io.BufferedReader, size: int, *, has_lines: bool = False
    ) -> Container:
        return Container(
            file, size, self.format, path=path, has_lines=has_lines, at_once=self._at_once
        )

    def _follow(
        self,
        path: str,
        file: io.BufferedReader,
        stat: os.stat_result,
        position: FilePosition | None,
        container: Container,
    ) -> Iterator[Reading]:
        """Read the whole lines after the position."""
        version = (stat.st_size, stat.st_mtime_ns)
        settled = self._complete or self._versions.get(path) == version
        self._versions[path] = version
        start, midline = 0, False
        if position is not None and position.unit == "bytes":
            start, midline = position.done or 0, position.midline
        done = start
        now = self._now()
        batch = self._batch()

        def reading() -> Reading:
            position = FilePosition.in_lines(file, stat, done, midline=midline)
            return batch.take(position, size=done - start)

        for lines in container.lines(start, is_growing=not settled):
            rest = lines
            if midline:
                counted, rest = lines.cut(1)
                midline = not counted.terminated
                done += counted.length
            while rest.texts and (rest.terminated or settled or rest.texts[0] is None):
                lengths = [len(text or "") for text in rest.texts]
                part, rest = rest.cut(batch.room(lengths))
                found = in_lines(part.texts, self.format, now, is_first=done == 0)
                if batch.add(found, sum(lengths[: len(part.texts)])):
                    self._warn_once(path, _NOT_EVENTS)
                midline = not part.terminated
                done += part.length
                if batch.full:
                    yield reading()
                    start = done
        if done > start:
            yield reading()

    def _done(self, path: str, position: FilePosition, file: io.BufferedReader) -> int:
        """How many records of a file were counted before it grew, or was compressed.

        The file is at its start then.
        """
        file.seek(0)
        if position.done is not None:
            return position.done
        read, size, most = file, os.fstat(file.fileno()).st_size, position.copied
        if not most:
            size = position.covered
            read = io.BufferedReader(io.BytesIO(os.pread(file.fileno(), size, 0)))
        container = Container(
            read, size, self.format, path=path, at_once=self._at_once, most=most or None
        )
        count = 0
        with suppress(DamagedContentError):
            for found in container.events(0):
                count += len(found)
        file.seek(0)
        return count

    def _read_document(
        self,
        path: str,
        file: io.BufferedReader,
        stat: os.stat_result,
        records: Records,
        left: Leftover,
    ) -> Iterator[Reading]:
        """Read a document of records in one reading, without splitting it."""
        position = FilePosition.in_records(stat, None, sample(file, stat.st_size), finished=True)
        yield Reading(records, position.encode(), size=stat.st_size)
        if left.undecodable:
            self._warn_once(path, _NOT_EVENTS)
        if left.damage is not None:
            self._warn_once(path, f"{_BROKEN}: {left.damage}")
        undecodable = left.undecodable + (left.damage is not None)
        if undecodable:
            yield Reading((), position.encode(), undecodable=undecodable)

    def _read_whole(
        self,
        path: str,
        file: io.BufferedReader,
        stat: os.stat_result,
        done: int,
        lists: Iterator[Found],
    ) -> Iterator[Reading]:
        """Read the records after the first ``done``, to the end or the first damage."""
        fingerprint = sample(file, stat.st_size)
        batch = self._batch()
        read = 0

        def reading(*, finished: bool = False) -> Reading:
            nonlocal read
            before, read = read, stat.st_size if finished else file.tell()
            position = FilePosition.in_records(stat, done, fingerprint, finished=finished)
            return batch.take(position, size=read - before)

        try:
            for found in after(done, lists):
                rest = found
                while rest:
                    lengths = [len(one.message) if one else 0 for one in rest]
                    room = batch.room(lengths)
                    if batch.add(rest[:room], sum(lengths[:room])):
                        self._warn_once(path, _NOT_EVENTS)
                    done += len(rest[:room])
                    rest = rest[room:]
                    if batch.full:
                        yield reading()
        except DamagedContentError as error:
            self._warn_once(path, f"{_BROKEN}: {error}")
            error.with_traceback(None)  # whose frames have the file's content, and the error
            batch.undecodable += 1
        yield reading(finished=True)

    def _batch(self) -> Batch:
        return Batch(self._batch_events, self._batch_bytes)

    def _warn_once(self, path: str, message: str) -> None:
        if (path, message) not in self._warned:
            self._warned.add((path, message))
            _log.warning(message, path=path)

    def _now(self) -> int:
        return round(self._clock() * 1000)
