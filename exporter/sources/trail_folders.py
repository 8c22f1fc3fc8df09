"""The folders in which CloudTrail writes its objects, and which of them are read."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Final, Literal, TypeAlias

from exporter.model import EventFormat
from exporter.sources.options import Distinct

Folder: TypeAlias = Literal[
    "CloudTrail", "CloudTrail-NetworkActivity", "CloudTrail-Insight", "CloudTrail-Aggregated"
]
"""``CloudTrail-Digest`` has no log events."""
Folders: TypeAlias = Annotated[tuple[Folder, ...], Distinct]

DEFAULT_FOLDERS: Final[tuple[Folder, ...]] = ("CloudTrail", "CloudTrail-NetworkActivity")
"""Aggregated events count atomic ones again; Insights events are about others."""

_FOLDER: Final = re.compile("(?:^|/)AWSLogs/(?:.*/)?(CloudTrail(?:-[A-Za-z]+)?)/")


def folder_of(key: str) -> str | None:
    """The folder of an object of CloudTrail; None for any other object."""
    found = _FOLDER.search(key)
    return None if found is None else found[1]


def is_read(folder: str | None, folders: Collection[str], event_format: EventFormat) -> bool:
    """Whether the objects of a folder are read.

    With the format ``cloudtrail``, those of other folders have no log events.
    """
    return event_format != "cloudtrail" if folder is None else folder in folders
