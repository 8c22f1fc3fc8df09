"""JSON patterns: ``{ $.eventName = "ConsoleLogin" && $.errorCode NOT EXISTS }``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

from metric_filter_demo.patterns.text import Condition, Doubts, InvalidPattern, PatternText
from metric_filter_demo.patterns.values import read_test

# AWS: "If your filter pattern includes a wildcard … only one wildcard selector is allowed in a
# property selector", and three of these in a pattern.
_MOST_WILDCARDS = 3
_STEP: Final = re.compile(
    r"\.\['(?P<quoted>[^']+)'\]|\.\[(?P<root>[0-9]+)\]|\.(?P<name>[A-Za-z0-9_-]+)"
    r"|(?P<any>\.\*|\[\*\])|\[(?P<index>[0-9]+)\]"
)
_DOCUMENTED_KEY: Final = re.compile(r"[A-Za-z0-9_.-]+")
_IS: Final = re.compile(r"\s*IS\s+(NULL|TRUE|FALSE)\b", re.IGNORECASE | re.ASCII)
_NOT_EXISTS: Final = re.compile(r"\s*NOT\s+EXISTS\b", re.IGNORECASE | re.ASCII)
_CONSTANTS: Final[dict[str, object]] = {"NULL": None, "TRUE": True, "FALSE": False}


class _Number(str):
    """A number as the message has it."""

    __slots__ = ()


_Step: TypeAlias = str | int | None
"""A key, an index, or every direct child."""
_ValueTest: TypeAlias = Callable[[Any], bool]


def read_document_pattern(text: PatternText) -> Callable[[str], bool]:
    """Read a JSON pattern from its ``{`` on."""
    text.expect("{")
    wildcards = 0

    def read() -> Condition:
        nonlocal wildcards
        steps = _selector(text)
        wildcards += None in steps
        if wildcards > _MOST_WILDCARDS or steps.count(None) > 1:
            raise InvalidPattern("too many wildcards")
        return _condition(text, steps)

    condition = text.condition(read, nested=True)
    text.skip_blanks()
    text.expect("}")

    def match(message: str) -> bool:
        document = _document(message, text.doubts)
        return document is not None and condition(document)

    return match


def _document(message: str, doubts: Doubts) -> dict[str, Any] | None:
    """The message, if it is one JSON object and nothing else."""
    decoder = json.JSONDecoder(
        parse_float=_Number, parse_int=_Number, parse_constant=_refuse_constant
    )
    try:
        if doubts.messages:  # AWS may not look at what surrounds the object
            document, _end = decoder.raw_decode(message.removeprefix("\ufeff").lstrip(" \t\r\n"))
        else:
            document = decoder.decode(message)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _refuse_constant(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _selector(text: PatternText) -> Sequence[_Step]:
    text.expect("$")
    steps: list[_Step] = []
    while found := text.match(_STEP):
        if found["quoted"] is not None:
            if steps or _DOCUMENTED_KEY.fullmatch(found["quoted"]) is None:
                text.doubtful("such a key in quotes")
            steps.append(found["quoted"])
        elif found["name"] is not None:
            steps.append(found["name"])
        elif found["any"] is not None:
            steps.append(None)
        else:
            steps.append(int(found["index"] or found["root"]))
        first = found[0]
        if len(steps) == 1 and not first.startswith("."):
            raise InvalidPattern("a selector begins with $.")
    if not steps:
        raise InvalidPattern("a selector is missing")
    return steps


def _condition(text: PatternText, steps: Sequence[_Step]) -> Condition:
    any_child = None in steps
    differently = any_child and text.doubts.patterns
    if found := text.match(_NOT_EXISTS):
        if found[0].strip() != found[0].strip().upper():
            text.doubtful("a keyword in lower case")
        if differently:  # one of no values cannot be one that does not exist
            return lambda _document: False
        return lambda document: not _values(document, steps)
    if found := text.match(_IS):
        if found[0].strip() != found[0].strip().upper():
            text.doubtful("a keyword in lower case")
        is_it = _is(_CONSTANTS[found[1].upper()])
        return _of_values(steps, is_it, every=differently)
    text.skip_blanks()
    unequal = text.sees("!=")
    test = read_test(text, of_field=False)

    def compare(value: Any) -> bool:
        return isinstance(value, str) and test(value, isinstance(value, _Number))

    return _of_values(steps, compare, every=differently and unequal)


def _is(constant: object) -> _ValueTest:
    def test(value: Any) -> bool:
        # An array that contains null was seen to be null, which is surely an accident.
        return value is constant or (
            constant is None and isinstance(value, list) and any(item is None for item in value)
        )

    return test


def _of_values(steps: Sequence[_Step], test: _ValueTest, *, every: bool) -> Condition:
    """One of the values that a selector finds is enough; ``every``: all of at least one."""

    def condition(document: Any) -> bool:
        found = _values(document, steps)
        return bool(found) and all(map(test, found)) if every else any(map(test, found))

    return condition


def _values(document: Any, steps: Sequence[_Step]) -> list[Any]:
    """The values at a selector."""
    found = [document]
    for step in steps:
        found = [child for value in found for child in _children(value, step)]
    return found


def _children(value: Any, step: _Step) -> list[Any]:
    if step is None:
        if isinstance(value, dict):
            return list(value.values())
        return value if isinstance(value, list) else []
    if isinstance(step, int):
        return list(islice(value, step, step + 1)) if isinstance(value, list) else []
    return [value[step]] if isinstance(value, dict) and step in value else []
