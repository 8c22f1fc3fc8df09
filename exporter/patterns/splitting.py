"""The fields of a line, split quickly where the line has a common form.

``document.py: split_fields`` defines what the fields are, and takes over for any other line.
"""

from __future__ import annotations

from exporter.patterns.document import split_fields

_BLANKS = " \t\r\n"


def split_texts(message: str, most: int | None = None) -> list[str]:
    """The texts of a line's fields; more than ``most`` fields need not be returned."""
    if most is not None:
        head = _head(message, most)
        if head is not None:
            return head
    if '"' in message and _opens(message, '"'):
        texts = _quoted(message)
    elif "[" in message:
        texts = _joined(message)
    else:
        return _words(message)
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


def _words(text: str) -> list[str]:
    """The fields of a text without quotes and brackets."""
    # str.split() without a separator would also split at other white space.
    if "\t" in text or "\n" in text or "\r" in text:
        text = text.replace("\t", " ").replace("\n", " ").replace("\r", " ")
    words = text.split(" ")
    return [word for word in words if word] if "" in words else words


def _quoted(message: str) -> list[str] | None:
    """The fields if each quote begins or ends a field, and only blanks separate fields.

    Every second piece between quotes is then the text of a field.
    """
    if "\t" in message or "\n" in message or "\r" in message:
        message = message.rstrip(_BLANKS)
        if "\t" in message or "\n" in message or "\r" in message:
            return None
    pieces = message.split('"')
    last = pieces.pop()
    if len(pieces) & 1 or (last and last[0] != " "):
        return None
    texts: list[str] = []
    pairs = iter(pieces)
    between = False
    for outside, inside in zip(pairs, pairs, strict=True):
        if outside != " ":
            if between:
                if len(outside) < 2 or outside[0] != " " or outside[-1] != " ":
                    return None
            elif outside and outside[-1] != " ":
                return None
            words = _joined(outside) if "[" in outside else _words(outside)
            if words is None:
                return None
            texts += words
        between = True
        texts.append(inside)
    if last:
        words = _joined(last) if "[" in last else _words(last)
        if words is None:
            return None
        texts += words
    return texts


def _joined(text: str) -> list[str] | None:
    """The fields of a text without quotes, in which ``[`` may open a field.

    None if such a field is not closed in the text, or if its white space is not single blanks.
    """
    if not _opens(text, "["):
        return _words(text)
    if "\t" in text or "\n" in text or "\r" in text or "  " in text:
        return None
    words = text.split(" ")
    texts: list[str] = []
    opened: int | None = None
    for index, word in enumerate(words):
        if opened is None:
            if not word.startswith("["):
                if word:
                    texts.append(word)
                continue
            opened = index
            if len(word) < 2:
                continue
        if word.endswith("]"):
            texts.append(" ".join(words[opened : index + 1])[1:-1])
            opened = None
    return texts if opened is None else None
