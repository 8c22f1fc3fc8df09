"""Puts the fields of a line under the entries of a space-delimited pattern."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from exporter.patterns.document import Document
from exporter.patterns.syntax import AnyFields, Field, SpacePattern


class Aligned(NamedTuple):
    """A field of a line, and the entry that it stands under."""

    entry: Field | None
    """None: one of the fields that ``...`` or ``[]`` stands for."""
    position: int
    """In the line, counted from 1."""
    text: str

    @property
    def reference(self) -> str:
        """How labels and values of rules refer to it: ``$name``, or ``$3``."""
        return f"${(self.entry and self.entry.name) or self.position}"


class Aligner:
    """AWS's rules on which field of a line is which.

    Fields before ``...`` count from the start of the line, those after it from the end. Without
    ``...`` the last entry takes the rest of the line as it stands, quotes and spacing included.
    """

    __slots__ = ("_any_fields", "_head", "_minimum", "_tail")

    def __init__(self, pattern: SpacePattern) -> None:
        head: list[Field] = []
        tail: list[Field] = []
        self._any_fields = not pattern.entries
        for entry in pattern.entries:
            if isinstance(entry, AnyFields):
                self._any_fields = True
            else:
                (tail if self._any_fields else head).append(entry)
        self._head = head
        self._tail = tail
        self._minimum = len(head) + len(tail) + (not pattern.entries)

    @property
    def minimum(self) -> int:
        """How many fields a line needs at least; ``[]`` needs one, ``[...]`` none."""
        return self._minimum

    @property
    def entries(self) -> list[tuple[int, Field]]:
        """The entries but ``...``, each with the index of its text in ``texts``."""
        return [*enumerate(self._head), *enumerate(self._tail, -len(self._tail))]

    def texts(self, document: Document) -> Sequence[str] | None:
        """Give a line's fields as the pattern divides it, or None where it has too few."""
        fields = document.fields
        head = len(self._head)
        if len(fields) < self._minimum:
            return None
        if self._any_fields or len(fields) == head:
            return document.texts
        rest = document.message[fields[head - 1].start : fields[-1].end]
        return [*document.texts[: head - 1], rest]

    def align(self, texts: Sequence[str]) -> list[Aligned]:
        """Put what ``texts`` gave under the entries."""
        between: list[Field | None] = [None] * (len(texts) - len(self._head) - len(self._tail))
        entries: list[Field | None] = [*self._head, *between, *self._tail]
        return [
            Aligned(entry, position, text)
            for position, (entry, text) in enumerate(zip(entries, texts, strict=True), 1)
        ]

    def can_extract(self, reference: str) -> bool:
        """Whether a line exists in which ``$name`` or ``$3`` refers to a field."""
        name = reference.removeprefix("$")
        entries = [*self._head, *self._tail]
        if any(entry.name == name for entry in entries):
            return True
        if not (name.isascii() and name.isdecimal()) or name.startswith("0"):
            return False
        position = int(name) if len(name) < 10 else 10**9
        if position <= len(self._head):
            return self._head[position - 1].name is None
        return self._any_fields
