"""The wildcard ``*`` of compared values.

AWS documents ``x*``, ``*x`` and ``*x*``: begins with, ends with, contains. A ``*`` elsewhere is
taken in the same way, for any text: ``*111.111.111`` matches ``111.111.111.111``, which ends so.
"""

from __future__ import annotations

from collections.abc import Callable


def wildcard_test(text: str) -> Callable[[str], bool]:
    """Compile a compared value to a predicate.

    The pieces at the two ends have one place each, and of the pieces between them the first place
    of each leaves the most room for the others. So no second try is needed, and the tested text is
    searched once, however many ``*`` there are.
    """
    first, *others = text.split("*")
    if not others:
        return text.__eq__
    last = others.pop()
    middle = [piece for piece in others if piece]
    if not first and not last and len(middle) <= 1:
        needle = middle[0] if middle else ""
        return lambda value: needle in value
    if not middle and not last:
        return lambda value: value.startswith(first)
    if not middle and not first:
        return lambda value: value.endswith(last)

    def test(value: str) -> bool:
        position, end = len(first), len(value) - len(last)
        if position > end or not value.startswith(first) or not value.endswith(last):
            return False
        for piece in middle:
            found = value.find(piece, position, end)
            if found < 0:
                return False
            position = found + len(piece)
        return True

    return test


def has_inner_wildcard(text: str) -> bool:
    """Whether a ``*`` is between other characters, where AWS documents nothing."""
    return "*" in text.strip("*")


def has_border(text: str) -> bool:
    """Whether ``text`` starts with what it ends with, so that it can overlap itself."""
    borders = [0] * len(text)
    for end in range(1, len(text)):
        length = borders[end - 1]
        while length and text[length] != text[end]:
            length = borders[length - 1]
        borders[end] = length + (text[length] == text[end])
    return bool(text) and borders[-1] > 0
