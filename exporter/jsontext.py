"""JSON as the text that was written: members, elements, and values of text that comes in chunks.

msgspec validates JSON without making objects, which saves memory and time. The standard library
reads values that msgspec rejects (NaN, lone surrogates, incomplete text), one at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final

import msgspec

from exporter.model import LONG, LONGEST, DamagedContentError


class NotJsonError(DamagedContentError):
    """The text is not JSON here, whatever follows."""


REFUSED: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What msgspec raises for text that it does not accept."""

_BLANKS: Final = " \t\r\n"
_SPACE: Final = re.compile(f"[{_BLANKS}]*")
# Numbers are skipped; as text they are never too long or too large.
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)
_NUMBER_CONTINUES: Final = ("", ".", "e", "E")
_CUT: Final = 16
"""Characters before the end of a text in which an error may be due to the end."""
_OPENING: Final = 16
"""Number of characters used to find the start of an object: objects of a file begin alike."""
_NEXT: Final = 64 * 1024
"""Characters in which the next object is looked for."""
_MOST_VALUES: Final = 2**18
"""Brackets, braces and commas of a value of more than LONG characters. Three characters of dense
JSON take seventy bytes in memory."""
_MOST_WASTED: Final = 64 * 1024 * 1024
_LINE: Final = re.compile(r"\n(?=[{\[])")
_STRUCTURE: Final = re.compile(r'["\[\]{},]')
_IN_STRING: Final = re.compile(r'"|(?:\\.){1,1000}|\\\Z', re.DOTALL)

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_check_object = msgspec.json.Decoder(msgspec.defstruct("_Object", [])).decode


def members(text: str) -> dict[str, str] | None:
    """The JSON text of each member of an object, the last one of equal names.

    None if the text is not a JSON object, or is dense, or has a member longer than LONGEST.
    """
    if is_dense(text):
        return None
    try:
        return {name: str(raw, "utf-8") for name, raw in _members(text).items()}
    except REFUSED:
        pass
    reader = JsonText((text,))
    try:
        reader.expect("{")
        found = {name: reader.value() for name in reader.names()}
    except DamagedContentError:
        return None
    texts = {name: value for name, value in found.items() if value is not None}
    return None if reader.peek() or len(texts) < len(found) else texts


def elements(text: str) -> list[str] | None:
    """The JSON text of each element of an array; None as for ``members``."""
    if is_dense(text):
        return None
    try:
        return [str(raw, "utf-8") for raw in _elements(text)]
    except REFUSED:
        pass
    reader = JsonText((text,))
    try:
        reader.expect("[")
        found = list(reader.elements())
    except DamagedContentError:
        return None
    texts = [value for value in found if value is not None]
    return None if reader.peek() or len(texts) < len(found) else texts


def string(text: str | None) -> str | None:
    """The value of a JSON text that is a string; None for any other."""
    if text is None or text[:1] != '"':
        return None
    try:
        value, end = scanstring(text, 1, False)
    except ValueError:
        return None
    return str(value) if end == len(text) else None


def value_of(text: str) -> Any:
    """The value of a JSON text, its numbers as texts. Raises ValueError or RecursionError."""
    if is_dense(text):
        raise ValueError
    return _DECODER.decode(text)


def is_dense(text: str, start: int = 0) -> bool:
    """Whether the JSON value at ``start`` is too long, with too many values, to be decoded.

    It would fill the memory. AWS's records have 1 MB at most.
    """
    if len(text) - start <= LONG:
        return False
    pattern, depth, marks, at = _STRUCTURE, 0, 0, start
    while found := pattern.search(text, at):
        at, mark = found.end(), found[0]
        if mark == '"':
            pattern = _STRUCTURE if pattern is _IN_STRING else _IN_STRING
        elif pattern is _STRUCTURE:
            marks += 1
            depth += (mark in "[{") - (mark in "]}")
        if marks > _MOST_VALUES and at - start > LONG:
            return True
        if depth <= 0 and pattern is _STRUCTURE:
            break
    return False


class JsonText:
    """JSON text that comes in chunks, read value by value in bounded memory.

    All methods raise DamagedContentError where the text is not JSON, and the error that ended the
    chunks, if any, once the text before it was read.
    """

    def __init__(self, chunks: Iterable[str]) -> None:
        self._chunks = iter(chunks)
        self._text = ""
        self._at = 0
        self._mark: int | None = None
        """Start of the text to keep, if it is not ``_at``."""
        self._begun = 0
        """Start of the first value that was not taken completely."""
        self._wasted = 0
        """Characters that were read in values that are not JSON, some of them several times."""
        self._unsplit = False
        """Whether msgspec has not tried the newest text yet."""
        self._ended = False
        self._damage: DamagedContentError | None = None

    def peek(self) -> str:
        """Return the next character that is not white space; empty at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def expect(self, characters: str) -> str:
        """Return the next character, without taking it, if it is one of these."""
        character = self.peek()
        if not character:
            raise DamagedContentError("it ends in the middle of a JSON document")
        if character not in characters:
            raise NotJsonError("it is not JSON (any more)")
        return character

    def begin(self) -> None:
        """All values before this were taken."""
        self._begun = self._at

    def next_line(self) -> bool:
        """Go to the next line that begins with an object or an array.

        False at the end, or if too much was read for nothing.

        It is the next one after the beginning of the value that is not JSON.
        """
        self._mark = None
        self._wasted += self._at - self._begun
        self._at = self._begun
        if self._wasted > _MOST_WASTED:
            return False
        while not (found := _LINE.search(self._text, self._at)):
            self._at = self._begun = max(self._at, len(self._text) - 1)
            if not self._more():
                return False
        self._at = self._begun = found.end()
        return True

    def is_at(self, pattern: re.Pattern[str]) -> bool:
        """Whether the text in memory continues like this."""
        return pattern.match(self._text, self._at) is not None

    def whole_object(self) -> str | None:
        """Return the object that is next, without taking it, if it is complete in memory."""
        start = self._at
        opening = self._text[start : start + _OPENING]
        end = self._text.find(opening, start + 1, start + _NEXT)
        if end > 0 or self._unsplit:
            self._unsplit = self._unsplit and end > 0
            raw = self._text[start : end if end > 0 else len(self._text)].rstrip(_BLANKS)
            try:
                _check_object(raw)
            except REFUSED:
                pass
            else:
                return raw
        if is_dense(self._text, start):
            return None
        try:
            _, end = _DECODER.raw_decode(self._text, start)
        except (ValueError, RecursionError):
            return None
        return self._text[start:end]

    def take(self, raw: str) -> None:
        """Go to the end of a text that is next."""
        self._at += len(raw)

    def value(self) -> str | None:
        """Take the next value; None if it is longer than LONGEST or dense, and left out."""
        self.peek()
        while True:
            if is_dense(self._text, self._at):
                self._skip()
                return None
            start, length = self._at, len(self._text)
            try:
                _, end = _DECODER.raw_decode(self._text, start)
            except RecursionError as error:
                raise DamagedContentError("its JSON is nested too deeply") from error
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos + _CUT >= length
                if (length - _CUT if is_cut else error.pos) - start > LONGEST:
                    self._skip()
                    return None
                if is_cut and self._more():
                    continue
                if not is_cut or self._is_certain(error):
                    self._wasted += error.pos - start
                    raise NotJsonError("it is not JSON (any more)") from error
                raise DamagedContentError(
                    "it is not JSON, or ends in the middle of a record"
                ) from error
            # A number at the end of the text in memory may be incomplete (`1` of `1.5` or `1e5`,
            # even if `.` or `e` follows already); other values cannot.
            closed = (
                self._text[end - 1] in '"}]' or self._text[end : end + 1] not in _NUMBER_CONTINUES
            )
            if closed or not self._more():
                break
        self._at = end
        return self._text[start:end] if end - start <= LONGEST else None

    def _is_certain(self, error: json.JSONDecodeError) -> bool:
        """Whether more text cannot cure an error at the end of the text."""
        rest = self._text[error.pos :].strip(_BLANKS)
        return bool(rest) and error.msg.startswith("Expecting ") and "value" not in error.msg

    def elements(self) -> Iterator[str | None]:
        """Take an array: each of its elements, as ``value``."""
        self._at += 1
        opening = ""
        while self._upcoming() != "]":
            whole = self._whole_elements(opening)
            yield from whole
            if not whole:
                raw = self.value()
                opening = (raw or "")[:_OPENING]
                yield raw
            if self._mark is None:
                self.begin()
            if self.expect(",]") == ",":
                self._at += 1
        self._at += 1

    def names(self) -> Iterator[str]:
        """Take an object: the name of each member. Its value has to be taken before the next."""
        self._at += 1
        while self.expect('"}') != "}":
            name = string(self.value()) or ""
            self.expect(":")
            self._at += 1
            yield name
            if self.expect(",}") == ",":
                self._at += 1
        self._at += 1

    def keep(self) -> None:
        """Keep the text from here on, as far as LONGEST."""
        self._mark = self._at

    def kept(self) -> str | None:
        """Return the text since ``keep``, and keep it no longer; None if it was too long."""
        start, self._mark = self._mark, None
        return None if start is None or self._at - start > LONGEST else self._text[start : self._at]

    def _upcoming(self) -> str:
        character = self.peek()
        if not character:
            raise DamagedContentError("it ends in the middle of a JSON document")
        return character

    def _whole_elements(self, opening: str) -> list[str | None]:
        """Take the next elements, if msgspec can split them.

        The last one that starts with ``opening`` is left, because it may be incomplete.
        """
        if not opening or not self._unsplit:
            return []
        self._unsplit = False
        end = self._at + LONG
        last = self._text.rfind(opening, self._at, end)
        piece = self._text[self._at : max(last, self._at)].rstrip(_BLANKS)
        if not piece.endswith(","):
            return []
        try:
            found = _elements(f"[{piece[:-1]}]")
        except REFUSED:
            return []
        self._at += len(piece) - 1
        self._unsplit = end < len(self._text)
        texts = [str(raw, "utf-8") for raw in found]
        return [text if len(text) <= LONGEST else None for text in texts]

    def _skip(self) -> None:
        """Take a value that is too long."""
        self._mark = None
        depth, in_string = 0, False
        while True:
            found = (_IN_STRING if in_string else _STRUCTURE).search(self._text, self._at)
            if found is None or found[0] == "\\":
                self._at = len(self._text) if found is None else found.start()
                if not self._more():
                    raise DamagedContentError("it ends in the middle of a record that is too long")
                continue
            mark = found[0]
            if not depth and not in_string and mark in ",]}":
                self._at = found.start()
                return
            self._at = found.end()
            if mark == '"':
                in_string = not in_string
            elif not in_string:
                depth += (mark in "[{") - (mark in "]}")
            if not depth and not in_string and mark in '"]}':
                return

    def _more(self) -> bool:
        """Read more text, doubling it each time, so a long record is tried only a few times."""
        if self._mark is not None and self._at - self._mark > LONGEST:
            self._mark = None
        if self._at - self._begun > LONGEST:
            self._begun = self._at
        keep = min(self._begun, self._at if self._mark is None else self._mark)
        pending = len(self._text) - keep
        pieces = [self._text[keep:]]
        gained = 0
        while not self._ended and gained <= pending:
            try:
                pieces.append(next(self._chunks))
            except StopIteration:
                self._ended = True
            except DamagedContentError as error:
                self._ended, self._damage = True, error
            else:
                gained += len(pieces[-1])
        if not gained:
            if self._damage is not None:
                raise self._damage
            return False
        self._text = "".join(pieces)
        self._at -= keep
        self._begun -= keep
        self._mark = None if self._mark is None else self._mark - keep
        self._unsplit = True
        return True
