"""The typed decoder: builds only the fields of a JSON message that rules look at."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, Union, cast

import msgspec

from exporter.model import LONG, Records
from exporter.patterns import MISSING, Document, Selector, may_be_object
from exporter.patterns.syntax import Comparison, Number, Step, all_tests
from exporter.rules.cloudtrail import FIELDS
from exporter.rules.rule import Rule

_DEEPEST = 20
"""Levels of objects that are typed; deeper ones are decoded exactly, from their text."""
_PIECE = 64 * 1024
"""Bytes of a document, about, that are decoded at once."""
_OPENING = 16
"""Bytes by which the beginning of a record is recognised."""
_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")
_ENVELOPE = "detail-type"
"""A field that each of EventBridge's envelopes has."""
_UNTYPED = re.compile(r'[\0-\x1f"\\\ud800-\udfff]')
"""Characters that msgspec allows in no key of a struct: JSON escapes them, or UTF-8 has none."""

# Numbers need their text, which int and float do not keep: see ``values.settled``.
_SCALAR = Union[None, bool, int, float, str, list[Any]]  # noqa: UP007
_Nothing = msgspec.defstruct("_Nothing", [], gc=False)


class Access(NamedTuple):
    """How generated code reads the value at a selector."""

    expression: str
    """The value at the typed part of the path, of the fields ``e``; not settled yet."""
    rest: tuple[Step, ...]
    """The steps that remain inside this value, once it is settled."""


class _Node:
    """An object of messages, by the path to it; or a value, if no path leads further."""

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.is_text = False
        """Whether it is kept as its JSON text, from which the exact decoder reads it."""
        self.number = 0
        self.struct: type[msgspec.Struct] = _Nothing

    def add(self, steps: tuple[Step, ...], depth: int, *, is_text: bool) -> None:
        if not steps:
            self.is_text = self.is_text or is_text
            return
        key = steps[0]
        if not isinstance(key, str) or depth == _DEEPEST or not _can_be_typed(key):
            self.is_text = True
            return
        self.children.setdefault(key, _Node()).add(steps[1:], depth + 1, is_text=is_text)

    def build(self, structs: list[type[msgspec.Struct]]) -> Any:
        """Make the types; returns the type of a field with this value."""
        if self.is_text:
            return msgspec.Raw
        if self.children:
            fields = [
                (_attribute(key), child.build(structs), MISSING)
                for key, child in self.children.items()
            ]
            names = {_attribute(key): key for key in self.children}
            self.number = len(structs)
            self.struct = msgspec.defstruct("Fields", fields, gc=False, rename=names)
            structs.append(self.struct)
        return Union[self.struct, _SCALAR]  # noqa: UP007

    def exact(self, value: Mapping[str, Any]) -> Any:
        """The struct with the values that the exact decoder read."""
        made = self.struct()
        for key, child in self.children.items():
            if key in value:
                inner = value[key]
                if child.children and not child.is_text and isinstance(inner, dict):
                    inner = child.exact(inner)
                setattr(made, _attribute(key), inner)
        return made


class Decoder:
    """Decodes JSON messages into the fields that some rules and the facts of an event look at."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._root = _Node()
        for name in (*FIELDS, _ENVELOPE):
            self._root.add((name,), 0, is_text=False)
        for rule in rules:
            for selector, is_text in _selectors(rule):
                self._root.add(selector.steps, 0, is_text=is_text)
        self._needs_all = self._root.is_text
        self._root.is_text = False
        self.structs: list[type[msgspec.Struct]] = []
        """The types of objects; generated code knows them as ``S0``, ``S1``, …"""
        self._root.build(self.structs)
        root = self._root.struct
        self._decode = msgspec.json.Decoder(root).decode
        self._decode_objects = _all_of(root)
        self._decode_records = _all_of(_identified(root))

    def decode(self, message: str) -> Any | None:
        """The fields of a message; None if it is not a JSON object."""
        if not may_be_object(message):
            return None
        if not self._needs_all:
            try:
                return self._decode(message)
            except (ValueError, RecursionError):
                pass
        return self.exact(message)

    def exact(self, message: str) -> Any | None:
        """The fields as the exact decoder reads them; None if the message is not a JSON object."""
        obj = Document(message).json
        if obj is None:
            return None
        return Whole(self._root.exact(obj), obj) if self._needs_all else self._root.exact(obj)

    def records(self, records: Records, *, cloudtrail: bool) -> Iterator[list[Any]] | None:
        """The fields of each record of a document, piece by piece; None if it has to be split.

        It also has to be split if the iterator raises ValueError or RecursionError. ``cloudtrail``:
        whether only objects that can be CloudTrail records are log events.
        """
        array = records.array
        if (
            self._needs_all
            or array is None
            or (cloudtrail and self._root.children["eventID"].is_text)
        ):
            return None
        pieces = _pieces(records.document, array)
        return map(self._decode_records if cloudtrail else self._decode_objects, pieces)

    def access(self, selector: Selector) -> Access:
        """How to read a selector that one of the rules has."""
        node, steps = self._root, selector.steps
        if self._needs_all and (not isinstance(steps[0], str) or not _can_be_typed(steps[0])):
            return Access("e._all", steps)
        expression, conditions = "e", []
        for index, key in enumerate(steps):
            if index and not node.is_text:
                conditions.append(f"(x{index} := {expression}).__class__ is S{node.number}")
                expression = f"x{index}"
            if node.is_text:
                return Access(_guarded(expression, conditions), steps[index:])
            node = node.children[cast(str, key)]
            expression = f"{expression}.{_attribute(cast(str, key))}"
        return Access(_guarded(expression, conditions), ())


class Whole:
    """The fields of a message together with all of it, for selectors such as ``$.*``."""

    __slots__ = ("_all", "_fields")

    def __init__(self, fields: Any, whole: Mapping[str, Any]) -> None:
        self._fields = fields
        self._all = whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fields, name)


def _all_of(struct: type[msgspec.Struct]) -> Callable[[bytes], list[Any]]:
    """Decodes an array of objects. Raises ValueError or RecursionError."""
    decode = msgspec.json.Decoder(list[struct]).decode  # type: ignore[valid-type]

    def decoded(array: bytes) -> list[Any]:
        # msgspec skips fields without a look at their encoding.
        if not array.isascii():
            array.decode()
        return decode(array)

    return decoded


def _identified(struct: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The same struct for objects that have a text as ``eventID``."""
    event_id = ("eventID", Annotated[str, msgspec.Meta(min_length=1)])
    return msgspec.defstruct("Record", [event_id], bases=(struct,), kw_only=True, gc=False)


def _pieces(document: bytes | bytearray, array: slice) -> Iterator[bytes]:
    """Cut an array of objects into smaller ones, which stay in the processor's cache until used.

    It is cut where an object seems to begin as the first one does. If one does not begin there, a
    piece is not JSON: two arrays joined by a comma are an array only if both are arrays. Raises
    ValueError where an object may be too long, or dense.
    """
    start, end = array.start + 1, array.stop - 1
    whole = memoryview(document)
    opening = document[start : start + _OPENING]
    # Python writes a blank between the elements of an array, AWS does not.
    spaced = document.find(b"}, " + opening, start, start + LONG) >= 0
    between = (b"}, " if spaced else b"},") + opening
    while (cut := document.find(between, start + _PIECE, end)) >= 0:
        if cut - start > LONG:
            raise ValueError
        yield b"".join((b"[", whole[start : cut + 1], b"]"))
        start = cut + 2
    if end - start > LONG:
        raise ValueError
    yield b"".join((b"[", whole[start:end], b"]"))


def _guarded(expression: str, conditions: list[str]) -> str:
    if not conditions:
        return expression
    return f"({expression} if {' and '.join(conditions)} else MISSING)"


def _attribute(key: str) -> str:
    if _NAME.fullmatch(key) and not keyword.iskeyword(key):
        return key
    return f"_x{key.encode().hex()}"


_event_id: Callable[[Any], object] = attrgetter("eventID")
envelope_mark: Callable[[Any], object] = attrgetter(_attribute(_ENVELOPE))
"""A field of a message; MISSING unless the message may be one of EventBridge's envelopes."""


def are_records(objects: Collection[Any]) -> bool:
    """Whether all of these have an ``eventID``, and none may be an envelope."""
    return all(mark is MISSING for mark in map(envelope_mark, objects)) and all(
        event_id is not MISSING for event_id in map(_event_id, objects)
    )


def _can_be_typed(key: str) -> bool:
    """Whether a struct can have a key; what it leads to is decoded exactly if not."""
    return _UNTYPED.search(key) is None


def _selectors(rule: Rule) -> Iterable[tuple[Selector, bool]]:
    """What a rule with a JSON pattern looks at, and whether that needs the text of a number."""
    for test in all_tests(rule.pattern.tree):
        selector = getattr(test, "selector", None)
        if isinstance(selector, Selector):
            yield selector, isinstance(test, Comparison) and isinstance(test.value, Number)
    for references in rule.dynamic.values():
        for reference in references:
            if reference.selector is not None:
                yield reference.selector, False
    if rule.value.reference is not None and rule.value.reference.selector is not None:
        yield rule.value.reference.selector, True
