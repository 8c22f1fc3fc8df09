"""The fields of a line, split quickly where the line has a common form.

``document.py: split_fields`` defines what the fields are, and takes over for any other line.
"""

from __future__ import annotations

import sys

from exporter.patterns.document import split_fields

_BLANKS = " \t\r\n"


def split_texts(message: str, most: int = sys.maxsize) -> list[str]:
    """The texts of a line's fields; more than ``most`` fields need not be returned."""
    if most < len(message):
        head = _head(message, most)
        if head is not None:
            return head
    texts = None
    if '"' in message:
        texts = _quoted(message, most)
        if texts is None and not _opens(message, '"'):
            texts = _bracketed(message)
    else:
        texts = _bracketed(message)
    return [field.text for field in split_fields(message)] if texts is None else texts


def rest_of(message: str, before: int) -> str:
    """The line from a field on, unchanged; the line has more than ``before`` fields."""
    if not before or _head(message, before) is not None:
        rest = message.split(" ", before)[before].rstrip(_BLANKS)
        if rest and rest[0] not in _BLANKS:
            return rest
    fields = split_fields(message)
    return message[fields[before].start : fields[-1].end]


def _head(message: str, count: int) -> list[str] | None:
    """The first ``count`` fields if a single blank follows each and none has delimiters."""
    head = message.split(" ", count)
    if len(head) <= count:
        return None
    text = message[: -len(head.pop()) or None]
    if '"' in text or "[" in text or "\t" in text or "\n" in text or "\r" in text or "" in head:
        return None
    return head


def _opens(text: str, delimiter: str) -> bool:
    """Whether a field begins with a delimiter."""
    return text.startswith(delimiter) or any(blank + delimiter in text for blank in _BLANKS)


def _flat(text: str) -> str:
    """The text with blanks as its only white space, of the same length."""
    if "\t" in text or "\n" in text or "\r" in text:
        return text.replace("\t", " ").replace("\n", " ").replace("\r", " ")
    return text


def _words(flat: str) -> list[str]:
    """The fields of a flat text in which no delimiter opens a field."""
    # str.split() without a separator would also split at other white space.
    words = flat.strip(" ").split(" ")
    return [word for word in words if word] if "" in words else words


def _quoted(message: str, most: int) -> list[str] | None:
    """The fields if each quote begins or ends one, else None.

    Every second piece between quotes is then the text of a field.
    """
    pieces = message.split('"')
    if not len(pieces) & 1:
        return None
    outside = pieces[::2]
    texts: list[str] = []
    for before, text, after in zip(outside, pieces[1::2], outside[1:], strict=False):
        if before != " ":
            if before:
                if before[-1] not in _BLANKS:
                    return None
                words = _bracketed(before)
                if words is None:
                    return None
                texts += words
            elif texts:
                return None
        texts.append(text)
        if after:
            if after[0] not in _BLANKS:
                return None
            if len(texts) >= most:
                return texts
    if outside[-1]:
        words = _bracketed(outside[-1])
        if words is None:
            return None
        texts += words
    return texts


def _bracketed(text: str) -> list[str] | None:
    """The fields of a text in which no quote opens one; None if a bracket is not closed in it."""
    flat = _flat(text)
    start = flat.find("[")
    if start < 0:
        return _words(flat)
    texts: list[str] = []
    done = 0
    while start >= 0:
        if start and flat[start - 1] != " ":
            start = flat.find("[", start + 1)
            continue
        end = flat.find("] ", start + 1)
        if end < 0:
            end = len(flat) - 1
            if end <= start or flat[end] != "]":
                return None
        if start > done:
            texts += _words(flat[done:start])
        texts.append(text[start + 1 : end])
        done = end + 1
        start = flat.find("[", done)
    if done < len(flat):
        texts += _words(flat[done:])
    return texts
