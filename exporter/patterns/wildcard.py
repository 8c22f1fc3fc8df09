"""The wildcard ``*`` of compared values.

AWS documents ``x*``, ``*x`` and ``*x*``. Observed on AWS: a ``*`` elsewhere is a wildcard too, and
every piece of text is taken where it is found first, without trying again. So ``*111.111.111`` does
not match ``111.111.111.111``: the piece is found at the start, and then is not at the end.
"""

from __future__ import annotations

from collections.abc import Callable


def wildcard_test(text: str) -> Callable[[str], bool]:
    """Compile a compared value to a predicate; linear in the length of the tested text."""
    pieces = text.split("*")
    if len(pieces) == 1:
        return text.__eq__
    first, last = pieces[0], pieces[-1]
    middle = [piece for piece in pieces[1:-1] if piece]
    if not first and not last and len(middle) <= 1:
        needle = middle[0] if middle else ""
        return lambda value: needle in value
    if not middle and not last:
        return lambda value: value.startswith(first)

    def test(value: str) -> bool:
        if not value.startswith(first):
            return False
        position = len(first)
        for piece in middle:
            found = value.find(piece, position)
            if found < 0:
                return False
            position = found + len(piece)
        return not last or value.find(last, position) == len(value) - len(last) >= position

    return test


def has_inner_wildcard(text: str) -> bool:
    """Whether a ``*`` stands between other characters, where AWS documents nothing."""
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
