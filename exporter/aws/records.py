"""Pages of log events, decoded from the bytes of an answer into typed records.

json makes a dictionary of every record; here only what a log event needs is made, at a third of
the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

LATEST: Final = 253_402_300_799_999
"""The end of the year 9999, in milliseconds."""

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=LATEST)]
_Seconds = (
    Annotated[int, msgspec.Meta(ge=0, le=LATEST // 1000)]
    | Annotated[float, msgspec.Meta(ge=0, le=LATEST / 1000)]
)


class FilteredLogEvent(msgspec.Struct, frozen=True, gc=False):
    """A record of FilterLogEvents."""

    message: _Text
    time: _Milliseconds = msgspec.field(name="timestamp")
    id: _Text = msgspec.field(name="eventId")


class HistoryEvent(msgspec.Struct, frozen=True, gc=False):
    """A record of LookupEvents."""

    message: _Text = msgspec.field(name="CloudTrailEvent")
    time: _Seconds = msgspec.field(name="EventTime")
    id: _Text = msgspec.field(name="EventId")


TypedRecord = FilteredLogEvent | HistoryEvent


class PageDecoder:
    """Decodes the answers of one operation; thread-safe."""

    def __init__(self, record: type[TypedRecord], member: str, following: str) -> None:
        """``member``: the member with the records. ``following``: that with the next token."""
        page = msgspec.defstruct(
            f"{record.__name__}s",
            [
                ("records", list[record], msgspec.field(name=member)),  # type: ignore[valid-type]
                ("following", str | None, msgspec.field(name=following, default=None)),
            ],
            gc=False,
        )
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(page)
        self._member = member
        self._following = following

    def decode(self, body: bytes) -> Mapping[str, object] | None:
        """The records and the token by the names of their members.

        None if anything in the answer does not fit, be it in a single record: then json decodes it.
        """
        try:
            if not body.isascii():
                body.decode()  # msgspec does not check the members that it skips
            page = self._decoder.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        records: Sequence[TypedRecord] = page.records
        if not "".join([record.id for record in records]).isascii():
            return None
        return {self._member: records, self._following: page.following}
