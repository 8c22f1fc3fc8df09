"""Patterns of terms: ``ERROR -"connection reset" %[45][0-9]{2}%``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from metric_filter_demo.patterns.regexes import Search
from metric_filter_demo.patterns.text import InvalidPattern, PatternText

_WORD: Final = re.compile(r"[A-Za-z0-9_]+")
_UNDOCUMENTED_WORD: Final = re.compile(r"[\w.:=][\w.:=-]*")


def read_terms(text: PatternText) -> Callable[[str], bool]:
    """Read terms up to the end."""
    terms: dict[str, list[Search]] = {"": [], "-": [], "?": []}
    regexes = 0
    while not text.at_end:
        sign = "-" if text.take("-") else "?" if text.take("?") else ""
        if sign == "-" and text.sees_blank:
            text.doubtful("a blank after -")
            text.skip_blanks()
        regexes += text.sees("%")
        terms[sign].append(_term(text))
        if not text.at_end and not text.sees_blank:
            raise InvalidPattern("Invalid character(s) in term")
        text.skip_blanks()
    required, excluded, optional = terms[""], terms["-"], terms["?"]
    if regexes and (excluded or optional or len(required) > 1):
        text.doubtful("a regular expression next to other terms")

    def match(message: str) -> bool:
        if not required and not excluded:
            return any(term(message) for term in optional)
        # AWS ignores ? terms next to others.
        return all(term(message) for term in required) and not any(
            term(message) for term in excluded
        )

    return match


def _term(text: PatternText) -> Search:
    if text.sees("%"):
        return text.regex()
    if text.sees('"'):
        phrase = text.phrase()
        if not phrase:
            text.doubtful("an empty phrase")
    else:
        found = text.match(_UNDOCUMENTED_WORD)
        if found is None:
            raise InvalidPattern("Invalid character(s) in term")
        phrase = found[0]
        if _WORD.fullmatch(phrase) is None:
            text.doubtful("such a term without quotes")
    return lambda message: phrase in message
