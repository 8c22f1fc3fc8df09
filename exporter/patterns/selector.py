"""Selectors: ``$.userIdentity.type``, ``$.items[0]``, ``$.items[*].id``, ``$.['dotted.key']``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, TypeAlias


class Missing(Enum):
    """The type of ``MISSING``."""

    MISSING = "missing"


class AnyChild(Enum):
    """The type of ``ANY_CHILD``."""

    ANY_CHILD = "*"


MISSING: Final = Missing.MISSING
"""What a selector gives where there is nothing; null is a value."""
ANY_CHILD: Final = AnyChild.ANY_CHILD
"""The step ``[*]`` or ``.*``: every direct child of an array or an object."""

Step: TypeAlias = str | int | Literal[AnyChild.ANY_CHILD]
"""A key of an object, an index of an array, or any child."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Selector:
    """A path into a decoded JSON object; equal to every selector of the same path."""

    steps: tuple[Step, ...]
    text: str = field(default="", compare=False)
    """As it was written."""

    @property
    def has_wildcard(self) -> bool:
        """Whether the selector may give several values."""
        return ANY_CHILD in self.steps

    def select(self, obj: object) -> object:
        """Give the first value at the path, or MISSING."""
        if self.has_wildcard:
            return next(self.select_all(obj), MISSING)
        return _walk(obj, self.steps)

    def select_all(self, obj: object) -> Iterator[object]:
        """Give every value at the path, in the message's order."""
        if not self.has_wildcard:
            value = _walk(obj, self.steps)
            if value is not MISSING:
                yield value
            return
        split = self.steps.index(ANY_CHILD)
        parent = _walk(obj, self.steps[:split])
        if isinstance(parent, dict):
            children = iter(parent.values())
        elif isinstance(parent, list):
            children = iter(parent)
        else:
            return
        for child in children:
            value = _walk(child, self.steps[split + 1 :])
            if value is not MISSING:
                yield value

    def __str__(self) -> str:
        """The selector in the form that AWS documents; parsing it gives an equal selector."""
        first, *others = map(_render_step, self.steps)
        # `$[0]` and `$[*]` are no selectors: the first step has its dot.
        first = {"[*]": ".*"}.get(first, first if first.startswith(".") else f".{first}")
        return "".join(("$", first, *others))


def _walk(value: object, steps: tuple[Step, ...]) -> object:
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step, MISSING)
            if value is MISSING:
                return MISSING
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


def _render_step(step: Step) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if step is ANY_CHILD:
        return "[*]"
    return f".{step}" if _PLAIN_KEY.fullmatch(step) else f".['{step}']"
