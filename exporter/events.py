"""Log events and the partitions they are read from: the words that every stage shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EventFormat = Literal["auto", "cloudtrail", "lines"]
"""How a source's messages are to be understood.

``cloudtrail``: each JSON message is a CloudTrail record. ``lines``: none is. ``auto``: a message
with what only CloudTrail writes together is one.
"""


@dataclass(frozen=True, slots=True)
class Partition:
    """The unit in which a source keeps its position.

    One (account, region) of event history, one (account, region, log group), or one file. A file
    belongs to no account: its ``account_id`` and ``region`` are empty.
    """

    source: str
    """The source's name in the configuration."""
    account_id: str = ""
    region: str = ""
    log_group: str | None = None
    path: str | None = None

    @property
    def key(self) -> str:
        """The partition's name within its source: stable over restarts, the ledger's key."""
        parts = (self.account_id, self.region, self.log_group, self.path)
        return ":".join(part for part in parts if part)

    def __str__(self) -> str:
        """For log lines and error messages: the source and where in it."""
        return f"{self.source} {self.key}".rstrip()


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One record as a source hands it on: a CloudTrail record or a CloudWatch Logs message."""

    message: str
    time: int
    """Milliseconds since the epoch, by the clock that the API selects by: a log event's timestamp,
    a look-up's EventTime; for files, the time of reading."""
    id: str | None = None
    """Unique within the partition, or None where the position alone makes the event count once
    (a line of a file)."""
