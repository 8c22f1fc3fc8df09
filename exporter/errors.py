"""What can go wrong with a place that log events come from."""

from __future__ import annotations


class SourceError(Exception):
    """A source could not be read; the message tells the user what is wrong, where, and what to do.

    Never holds credentials or event contents.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
        """A short word for a label: ``access_denied``, ``throttled``, ``expired_credentials``,
        ``unreachable``, ``unreadable``, …"""


class DamagedCheckpointError(Exception):
    """A checkpoint is none of the source's: what the ledger keeps of it was damaged."""


class PartitionGoneError(SourceError):
    """The partition no longer exists (a deleted log group): it is dropped, not retried."""
