"""Log events that AWS has written into files of other formats: exports of log groups, and CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from exporter.model import LONGEST, DamagedContentError
from exporter.sources.file_content import Lines

Messages = Sequence[str | None]
"""None for those that are too long."""

_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
_starts = re.compile(_TIME, re.ASCII).match
_is_export = re.compile(f"{_TIME}.", re.ASCII).match
_is_record = re.compile(_TIME + r'\{"eventVersion" ?: ?"', re.ASCII).match
_NAME: Final = re.compile(r"(?:.*/)?\d{6}(?:\.[a-z0-9]+)?", re.ASCII | re.DOTALL)
"""AWS: the objects of an export are ``…/<task>/<log stream>/000000.gz`` and so on."""
_COLUMNS: Final = ("eventjson", "@message")
_OF_CONSOLE: Final = ["timestamp", "message"]
_LONGEST_ROW: Final = 2 * LONGEST
_LONGEST_HEADER: Final = 4096

csv.field_size_limit(LONGEST)


def is_export(first: str, path: str) -> bool:
    """Whether a content is an export of a log group, by its first line and its file's name.

    Programs write such a time in front of their own lines, too, which must stay as they are.
    """
    return _is_record(first) is not None or (
        _NAME.fullmatch(path) is not None and _is_export(first) is not None
    )


def exported(lines: Iterable[Lines]) -> Iterator[Messages]:
    """The messages of an export: the lines from one that begins with a time to the next.

    AWS: CreateExportTask writes the time of a log event and a blank in front of its message.
    """
    parts: list[str] | None = []
    size = 0
    for some in lines:
        found: list[str | None] = []
        for text in some.texts:
            time = None if text is None else _starts(text)
            if time is not None and (parts is None or parts):
                found.append(_joined(parts))
                parts, size = [], 0
            part = text if text is None or time is None else text[time.end() :]
            size += LONGEST + 1 if part is None else len(part) + 1
            if part is None or parts is None or size > LONGEST:
                parts = None
            else:
                parts.append(part)
        if found:
            yield found
    if parts is None or parts:
        yield [_joined(parts)]


def _joined(parts: Sequence[str] | None) -> str | None:
    return None if parts is None else "\n".join(parts).rstrip("\n")


def column_of(first: str) -> int | None:
    """The column of a CSV file that has the messages, by its first line; None for other files.

    AWS: results of CloudTrail Lake have records in ``eventJson``, those of Logs Insights messages
    in ``@message``. The console downloads ``timestamp,message``.
    """
    if len(first) > _LONGEST_HEADER or (
        "," not in first and first.strip('"').lower() != _COLUMNS[0]
    ):
        return None
    try:
        names = [name.lower() for name in next(csv.reader([first]), [])]
    except csv.Error:
        return None
    for name in _COLUMNS:
        if name in names:
            return names.index(name)
    return 1 if names == _OF_CONSOLE else None


def cells(lines: Iterable[Lines], column: int) -> Iterator[Messages]:
    """The cells of a column, without its name. Raises DamagedContentError."""
    size = 0

    def texts() -> Iterator[str]:
        nonlocal size
        for some in lines:
            for text in some.texts:
                if text is None or (size := size + len(text) + 1) > _LONGEST_ROW:
                    raise DamagedContentError("its CSV has a row that is too long")
                yield f"{text}\n"

    rows = csv.reader(texts())
    next(rows, None)
    while True:
        size = 0
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise DamagedContentError("its CSV is damaged") from error
        if row is None:
            return
        if column < len(row):
            yield (row[column],)
