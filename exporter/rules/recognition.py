"""Lines that look like the format of a pack, and that no rule matches: it cannot read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from exporter.configuration import LineFormat
from exporter.model import LogEvent
from exporter.patterns import Document

_MOST_SHOWN = 200
"""Characters of a shape."""


class Unrecognized(NamedTuple):
    """How many such lines there are, and the shape of one."""

    lines: int
    shape: str


def unrecognized(
    formats: Mapping[str, LineFormat],
    missed: Iterable[LogEvent],
    is_for_a_rule: Callable[[LogEvent], bool],
) -> dict[str, Unrecognized]:
    """By pack, its lines among the events that no rule matched.

    ``is_for_a_rule``: whether a rule matches one that it does not count, such as an old one.
    """
    found: dict[str, Unrecognized] = {}
    for event in missed:
        document = Document(event.message)
        packs = [pack for pack, one in formats.items() if one.misses(document)]
        if packs and not is_for_a_rule(event):
            for pack in packs:
                lines, shape = found.get(pack) or (0, shape_of(event.message))
                found[pack] = Unrecognized(lines + 1, shape)
    return found


def joined(parts: Sequence[Mapping[str, Unrecognized]]) -> dict[str, Unrecognized]:
    """The sum of some; of each pack the first shape."""
    total: dict[str, Unrecognized] = {}
    for part in parts:
        for pack, one in part.items():
            before = total.get(pack, Unrecognized(0, one.shape))
            total[pack] = Unrecognized(before.lines + one.lines, before.shape)
    return total


def shape_of(line: str) -> str:
    """The beginning of a line without its contents: letters are ``a``, digits ``0``."""
    return "".join(map(_redacted, line[:_MOST_SHOWN]))


def _redacted(char: str) -> str:
    if char.isalpha():
        return "a"
    if char.isnumeric():
        return "0"
    return char if " " <= char <= "~" else " "
