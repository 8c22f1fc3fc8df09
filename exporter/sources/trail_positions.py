"""The checkpoint of a trail's folder: which objects were read."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Annotated, Final, TypeAlias

import msgspec

from exporter.model import DamagedCheckpointError

_DIGEST: Final = 8
"""Bytes. Two names are compared only if they are of the same minute and folder."""
_UNWRITTEN: Final = 32
"""Objects after which a checkpoint is written, or a share of those that it names."""
_WRITTEN_SHARE: Final = 64
_Minute: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=2**28)]
"""Until the year 2480."""


class _Document(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Positions as the ledger stores them."""

    late: _Minute
    read: dict[str, str] = {}
    """By minute after 1970, the digests of names, in base64."""
    spans: list[tuple[_Minute, _Minute, str]] = []
    failing: dict[str, int] = {}


# Made here: the first use of a type by several threads at once crashes msgspec.
_decode_document: Final = msgspec.json.Decoder(_Document).decode


@dataclass(slots=True)
class Span:
    """Minutes beyond the lookback whose objects are read once, in the order of their names."""

    start: int
    """Minute: everything before it was read."""
    end: int
    """Minute, exclusive."""
    after: str = ""
    """The last name that was read, of the minute ``start``."""


@dataclass(slots=True)
class Positions:
    """How far a folder has been read. Minutes are those of ``TrailFolder.minute``."""

    late: int
    """Minute: objects from here on are read as soon as they are listed, however late they come.
    Those of earlier minutes are done, except those of the spans."""
    spans: list[Span] = field(default_factory=list)
    """History that was not read yet, oldest first."""
    failing: dict[str, int] = field(default_factory=dict)
    """Names of objects that could not be read, and when they failed first, milliseconds."""
    _read: dict[int, bytes] = field(default_factory=dict)
    """By minute, digests of the names that were read, from ``late`` on and in spans. Joined, since
    a set of them would take ten times the memory."""
    known: int = field(init=False)
    """How many objects are remembered."""

    def __post_init__(self) -> None:
        self.known = sum(map(len, self._read.values())) // _DIGEST

    def is_done(self, name: str, minute: int) -> bool:
        """Whether an object is not to be read now: it was read, or it fails."""
        return name in self.failing or _has(self._read.get(minute, b""), _digest(name))

    def done(self, name: str, minute: int) -> None:
        """An object was read, or is given up."""
        if minute >= self.late:
            digests, digest = self._read.get(minute, b""), _digest(name)
            if not _has(digests, digest):
                self._read[minute] = digests + digest
                self.known += 1

    def reach(self, objects: int) -> int:
        """The first minute from ``late`` on from which at most this many objects are known."""
        for minute in sorted(self._read, reverse=True):
            objects -= len(self._read[minute]) // _DIGEST
            if minute < self.late:
                break
            if objects < 0:
                return minute + 1
        return self.late

    def detach(self, minute: int) -> None:
        """Read what is before a minute as history. What was read of it stays known meanwhile."""
        if self.spans and self.spans[-1].end >= self.late:
            self.spans[-1].end = minute
        else:
            self.spans.append(Span(self.late, minute))
        self.late = minute

    def advance(self, minute: int) -> None:
        """All before a minute was read at the end of the lookback, or belongs to a span."""
        self.late = max(self.late, minute)
        self.forget()

    def forget(self) -> None:
        """Drop what is not needed to tell read objects from others."""
        for minute in list(self._read):
            in_span = any(span.start <= minute < span.end for span in self.spans)
            if minute < self.late and not in_span:
                self.known -= len(self._read.pop(minute)) // _DIGEST

    def encode(self) -> str:
        """As text."""
        document = _Document(
            self.late,
            {
                str(minute): base64.b64encode(digests).decode()
                for minute, digests in sorted(self._read.items())
            },
            [(span.start, span.end, span.after) for span in self.spans],
            self.failing,
        )
        return msgspec.json.encode(document).decode()

    @classmethod
    def decode(cls, text: str) -> Positions:
        """From text; raises DamagedCheckpointError."""
        try:
            document = _decode_document(text)
            read = {
                _minute(minute): _whole(base64.b64decode(digests, validate=True))
                for minute, digests in document.read.items()
            }
        except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
            raise DamagedCheckpointError from error
        spans = [Span(*span) for span in document.spans]
        return cls(document.late, spans, document.failing, read)


class Written:
    """Positions and the checkpoint that has them, which is too long to be written for each object.

    After a crash, objects that it does not have are read again. The memory of counted events lets
    their events count once.
    """

    def __init__(self, positions: Positions, text: str) -> None:
        """``text``: the checkpoint that they come from."""
        self._positions = positions
        self.text = text
        """The checkpoint."""
        self._more = 0

    def add(self, changes: int = 1) -> None:
        """Positions have changed: an object was read, or failed."""
        self._more += changes
        if self._more >= max(_UNWRITTEN, self._positions.known // _WRITTEN_SHARE):
            self.write()

    def write(self) -> None:
        """Let the checkpoint have all changes."""
        if self._more:
            self.text, self._more = self._positions.encode(), 0


def _digest(name: str) -> bytes:
    return blake2b(name.encode(errors="surrogatepass"), digest_size=_DIGEST).digest()


def _minute(text: str) -> int:
    return msgspec.convert(text, _Minute, strict=False)


def _whole(digests: bytes) -> bytes:
    if len(digests) % _DIGEST:
        raise ValueError("a digest is cut off")
    return digests


def _has(digests: bytes, digest: bytes) -> bool:
    at = digests.find(digest)
    while at % _DIGEST and at >= 0:
        at = digests.find(digest, at + 1)
    return at >= 0
