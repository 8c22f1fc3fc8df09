"""Shares of log events that requests would return, by a sample of those of a wider request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from exporter.patterns import FilterPattern, compile_pattern
from exporter.patterns.document import Document
from exporter.planning.plan import Request

MOST: Final = 50
"""Log events of a sample."""
_MOST_CHARACTERS: Final = 100_000
"""Of these together: a log event may be a megabyte of JSON that takes 0.3 s to decode."""
_FIELDS: Final = {"EventName": "eventName", "EventSource": "eventSource", "ReadOnly": "readOnly"}


def shares(messages: Sequence[str]) -> Callable[[Request], float]:
    """Returns the function from a request to the share of messages that it returns, about.

    All of them if the messages are too long to tell.
    """
    sample, left = [], _MOST_CHARACTERS
    for message in messages[:: -(-len(messages) // MOST) or 1]:
        if len(message) <= left:
            left -= len(message)
            sample.append(Document(message))

    def share(request: Request) -> float:
        if not sample:
            return 1.0 if messages else 0.0
        return sum(_returns(request, one) for one in sample) / len(sample)

    return share


def _returns(request: Request, document: Document) -> bool:
    if not request.attribute:
        return _compiled(request.value).match_document(document) is not None
    field = _FIELDS.get(request.attribute)
    if field is None:  # An attribute that several fields make: its value is somewhere.
        return f'"{request.value}"' in document.message
    # JSON's true and false are Python's in lower case.
    wanted = request.value if field != "readOnly" else request.value.capitalize()
    return str((document.json or {}).get(field, "")) == wanted


@lru_cache(maxsize=1024)
def _compiled(text: str) -> FilterPattern:
    return compile_pattern(text, aws_limits=False)
