"""Files: CloudTrail's JSON files, JSON lines and log files, plain or gzipped.

All their events count, of any age.
"""

from __future__ import annotations

import glob
import io
import itertools
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import structlog
from pydantic import AfterValidator, ValidationInfo

from exporter.aws.iam_policy import Deployment, Grant
from exporter.model import (
    EventFormat,
    LogEvent,
    Partition,
    PartitionGoneError,
    PartitionKind,
    SourceError,
)
from exporter.sources.base import Discovery, Environment, Reading, SourceConfig
from exporter.sources.file_content import (
    Layout,
    TextLine,
    decode,
    inflate,
    is_gzip,
    layout_of,
    read_chunks,
    split_lines,
)
from exporter.sources.file_position import FilePosition, sample
from exporter.sources.json_records import (
    BrokenContentError,
    split_records,
)
from exporter.sources.options import Distinct, Interval
from exporter.yamlfile.globs import absolute_glob, is_path

_TWO_WEEKS = 14 * 86_400_000
_HEAD = 64 * 1024

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
        )

    def permissions(self, deployment: Deployment) -> Iterator[Grant]:  # noqa: ARG002
        """Files need no IAM permission."""
        return iter(())


class Files:
    """Files by path or glob; each file is a partition.

    Plain line files are followed as they grow. JSON documents and gzip files are read once for each
    version; if data was only appended, reading continues after the last record. A last line without
    a newline counts if the file did not change between two polls, or immediately if ``complete``.
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
        batch_events: int = 5000,
        batch_bytes: int = 8 * 1024 * 1024,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.format: EventFormat = format
        self.interval = interval
        self.discovery_interval = interval
        self.place: Partition | None = Partition(name, kind=FILE)
        self._paths = tuple(paths)
        self._complete = complete
        self._batch_events = batch_events
        self._batch_bytes = batch_bytes
        self._clock = clock
        self._versions: dict[str, tuple[int, int]] = {}
        """Size and modification time of each line file at the last poll."""
        self._warned: set[tuple[str, str]] = set()

    def discover(self) -> Discovery:
        """The regular files that exist now. A path without a file is not a failure."""
        found: set[str] = set()
        for pattern in self._paths:
            files = _existing(pattern)
            if not files:
                self._warn_once(pattern, "no such file (yet), it is looked for again")
            found |= files
        return Discovery([Partition(self.name, resource=path, kind=FILE) for path in sorted(found)])

    def read_up_to(self, partition: Partition, checkpoint: str | None) -> int | None:  # noqa: ARG002
        """None, because files are not read by time."""
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
        turn: float = math.inf,  # noqa: ARG002 - a file is read in order
    ) -> Iterator[Reading]:
        """Read the new records; raises PartitionGoneError if the file is gone, else SourceError."""
        path = partition.resource
        try:
            with Path(path).open("rb") as file:
                yield from self._read(path, file, checkpoint)
        except FileNotFoundError as error:
            raise PartitionGoneError(f"File {path} is gone.", reason="not_found") from error
        except OSError as error:
            raise SourceError(
                f"File {path} cannot be read ({error.strerror or error}); "
                "check its permissions and its volume. It is tried again.",
                reason="unreadable",
            ) from error

    def _read(
        self, path: str, file: io.BufferedReader, checkpoint: str | None
    ) -> Iterator[Reading]:
        stat = os.fstat(file.fileno())
        position = None if checkpoint is None else FilePosition.decode(checkpoint)
        if position is not None and position.finished_with(stat):
            return
        if position is not None and not position.holds_for(file, stat):
            _log.warning("file was replaced or truncated, reading it from its start", path=path)
            position = FilePosition.in_lines(file, stat, 0)
            yield Reading((), position.encode())
        compressed = is_gzip(file)
        content = inflate(file) if compressed else read_chunks(file, stat.st_size)
        head, broken = _head(content)
        layout = layout_of(path, self.format, head[:_HEAD])
        if layout == "lines" and not compressed:
            yield from self._follow(path, file, stat, position)
            return
        if position is not None and position.unit != "records":
            position = None
        chunks = _again(head, content, broken)
        yield from self._read_whole(path, file, stat, position, self._records(layout, chunks))

    def _follow(
        self,
        path: str,
        file: io.BufferedReader,
        stat: os.stat_result,
        position: FilePosition | None,
    ) -> Iterator[Reading]:
        """Read the whole lines after the position."""
        version = (stat.st_size, stat.st_mtime_ns)
        settled = self._complete or self._versions.get(path) == version
        self._versions[path] = version
        start, midline = 0, False
        if position is not None and position.unit == "bytes":
            start, midline = position.done, position.midline
        done = start
        batch = _Batch(self._now())

        def reading() -> Reading:
            after = FilePosition.in_lines(file, stat, done, midline=midline)
            return batch.take(after, size=done - start)

        file.seek(start)
        for line in split_lines(read_chunks(file, stat.st_size - start)):
            if not midline:
                if not (line.terminated or settled or line.text is None):
                    break
                self._add_line(path, line, batch, first=done == 0)
            midline = not line.terminated
            done += line.length
            if batch.full(self._batch_events, self._batch_bytes):
                yield reading()
                start = done
        if done > start:
            yield reading()

    def _add_line(self, path: str, line: TextLine, batch: _Batch, *, first: bool) -> None:
        if line.text is None:
            self._warn_once(path, "file has a line that is too long, skipping it")
            batch.undecodable += 1
            return
        text = line.text.removeprefix("\ufeff") if first else line.text
        for message in self._messages(text):
            if message is None:
                self._warn_once(path, "file has lines that are not CloudTrail records")
            batch.add(message)

    def _messages(self, line: str) -> Iterator[str | None]:
        """The line, or the CloudTrail records in it; None if it has none."""
        if self.format != "cloudtrail":
            if line:  # AWS: a log event's message has at least one character
                yield line
            return
        try:
            yield from split_records((line,), cloudtrail=True)
        except BrokenContentError:
            yield None

    def _records(self, layout: Layout, chunks: Iterator[bytes]) -> Iterator[str | None]:
        """The messages of a file; None for each record that is not a message."""
        if layout == "documents":
            yield from split_records(decode(chunks), cloudtrail=self.format == "cloudtrail")
            return
        for index, line in enumerate(split_lines(chunks)):
            if line.text is None:
                yield None
                continue
            yield from self._messages(line.text.removeprefix("\ufeff") if index == 0 else line.text)

    def _read_whole(
        self,
        path: str,
        file: io.BufferedReader,
        stat: os.stat_result,
        position: FilePosition | None,
        records: Iterator[str | None],
    ) -> Iterator[Reading]:
        """Read the records after the position, to the end or the first damage."""
        done = 0 if position is None else position.done
        fingerprint = sample(file, stat.st_size)
        batch = _Batch(self._now())
        read = 0

        def reading(*, finished: bool = False) -> Reading:
            nonlocal read
            before, read = read, stat.st_size if finished else file.tell()
            after = FilePosition(
                unit="records",
                done=done,
                inode=stat.st_ino,
                covered=stat.st_size,
                sample=fingerprint,
                modified=stat.st_mtime_ns,
                finished=finished,
            )
            return batch.take(after, size=read - before)

        try:
            for record in itertools.islice(records, done, None):
                if record is None:
                    self._warn_once(path, "file has records that are not log events, skipping them")
                batch.add(record)
                done += 1
                if batch.full(self._batch_events, self._batch_bytes):
                    yield reading()
        except BrokenContentError as error:
            self._warn_once(path, f"file is broken, only events before that count: {error}")
            batch.undecodable += 1
        yield reading(finished=True)

    def _warn_once(self, path: str, message: str) -> None:
        if (path, message) not in self._warned:
            self._warned.add((path, message))
            _log.warning(message, path=path)

    def _now(self) -> int:
        return round(self._clock() * 1000)


class _Batch:
    """Log events of the next reading."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._events: list[LogEvent] = []
        self._characters = 0
        self.undecodable = 0

    def add(self, message: str | None) -> None:
        if message is None:
            self.undecodable += 1
            return
        self._events.append(LogEvent(message, self._now))
        self._characters += len(message)

    def full(self, events: int, characters: int) -> bool:
        return len(self._events) + self.undecodable >= events or self._characters >= characters

    def take(self, position: FilePosition, *, size: int) -> Reading:
        reading = Reading(self._events, position.encode(), size=size, undecodable=self.undecodable)
        self._events, self._characters, self.undecodable = [], 0, 0
        return reading


def _head(content: Iterator[bytes]) -> tuple[bytes, BrokenContentError | None]:
    """The first _HEAD bytes of a file or more, and the error after them, if any."""
    head = bytearray()
    try:
        while len(head) < _HEAD and (chunk := next(content, b"")):
            head += chunk
    except BrokenContentError as error:
        return bytes(head), error
    return bytes(head), None


def _again(
    head: bytes, rest: Iterator[bytes], broken: BrokenContentError | None
) -> Iterator[bytes]:
    """The whole content, from its head and the rest."""
    yield head
    if broken is not None:
        raise broken
    yield from rest


def _existing(pattern: str) -> set[str]:
    """Absolute paths of the regular files that a path or glob matches."""
    # os.path, because Path raises errors for folders without permission and resolves links.
    is_file = os.path.isfile
    paths = [pattern] if is_file(pattern) else glob.glob(pattern, recursive=True)  # noqa: PTH207
    return {os.path.abspath(path) for path in paths if is_file(path)}  # noqa: PTH100
