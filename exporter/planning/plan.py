"""Requests that read a partition, and plans of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

PlanKind: TypeAlias = Literal[
    "everything", "read_only_false", "attributes", "pattern", "patterns", "weaker"
]
"""``read_only_false`` and ``attributes`` are of LookupEvents: events that are not read-only, or one
look-up for each event name, source or other attribute. The others are of FilterLogEvents: the
rules' own patterns in one request or in several, or weaker ones."""


@dataclass(frozen=True, slots=True)
class Request:
    """The selection of a call; without a value, all log events."""

    attribute: str = ""
    """AWS: the AttributeKey of LookupEvents; empty for FilterLogEvents."""
    value: str = ""
    """The AttributeValue, or the filter pattern."""

    @property
    def selects(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.value)

    def __str__(self) -> str:
        if not self.value:
            return "everything"
        return f"{self.attribute}={self.value}" if self.attribute else self.value


EVERYTHING: Final = Request()


@dataclass(frozen=True, slots=True)
class Plan:
    """Requests that together return each log event that a rule may count."""

    kind: PlanKind
    requests: tuple[Request, ...]
    """Each is made for every window that is read."""
    why: str
    """A sentence."""

    @property
    def short(self) -> str:
        """A few words."""
        number = len(self.requests)
        match self.kind:
            case "everything":
                return self.kind
            case "read_only_false" | "attributes":
                return str(self.requests[0]) if number == 1 else f"{number} look-ups"
            case _:
                words = "weaker pattern" if self.kind == "weaker" else "pattern"
                return words if number == 1 else f"{number} {words}s"


READ_EVERYTHING: Final = Plan("everything", (EVERYTHING,), "Every log event is read.")

_SHOWN: Final = 80
"""Characters of a pattern in a sentence."""


def shortened(pattern: str) -> str:
    """A pattern as it is quoted in a sentence."""
    text = " ".join(pattern.split())
    return f"`{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}`"
