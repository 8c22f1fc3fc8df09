"""Reads a filter pattern of any kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from metric_filter_demo.patterns.documents import read_document_pattern
from metric_filter_demo.patterns.fields import read_field_pattern
from metric_filter_demo.patterns.terms import read_terms
from metric_filter_demo.patterns.text import Doubts, InvalidPattern, PatternText

# AWS: filterPattern has a "maximum length of 1024".
_MOST_CHARACTERS = 1024

Match = Callable[[str], Mapping[str, str] | None]
"""The values that a pattern extracts from a message (AWS: extractedValues); None if it does not
match."""


@lru_cache(maxsize=1000)
def read_pattern(pattern: str, doubts: Doubts = Doubts()) -> Match:  # noqa: B008 - frozen
    """Read a pattern.

    Raises:
        InvalidPattern: AWS refuses it.
    """
    if len(pattern) > _MOST_CHARACTERS:
        raise InvalidPattern(f"more than {_MOST_CHARACTERS} characters")
    text = PatternText(pattern.strip(), doubts)
    if text.at_end:
        return lambda _message: {}
    if text.sees("["):
        match = read_field_pattern(text)
    else:
        condition = read_document_pattern(text) if text.sees("{") else read_terms(text)

        def match(message: str) -> Mapping[str, str] | None:
            return {} if condition(message) else None

    if not text.at_end:
        raise InvalidPattern("text after the end of the pattern")
    return match
