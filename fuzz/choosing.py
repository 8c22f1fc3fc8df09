"""Random rules and messages, chosen by the bytes of an input."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

_KEYS = ("eventName", "eventSource", "userIdentity", "a", "b", "c", "class", "x-y", "é", "d.e", "")
_TEXTS = (
    *("ConsoleLogin", "Root", "a", "b", "1", "1.0", "-0", "true", "", "Yes", "é", "\U0001f600"),
    *("iam.amazonaws.com", "111.111", "a*b", "abab", "error 42", "x\ny", '"', "\\", "null"),
)
_WILDCARDS = (
    "*",
    "a*",
    "*a",
    "*a*",
    "**",
    "a*b",
    "*.amazonaws.com",
    "*1*1",
    "*é*",
    "Console*",
    "1*",
)
_REGEXES = ("[0-9]+", "^a", "a$", "^a.*b$", r"\s", "amazonaws", "a|1", "[^a]", r"\x2e")
_LITERALS = ("0", "1", "-0", "1.0", "1e0", "10", "+1", "1e400", "42", "9007199254740993", "-5.50")
_NUMBERS = (
    *("0", "-0", "1", "1.0", "1e0", "1E+2", "-5.5", "42", "9007199254740993", "1e400", "-1e-400"),
    *("18446744073709551616", "1000000000000000000", "123456789012345678901234567890", "0.1"),
)
_ODD = (
    *("NaN", "Infinity", '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0061"', '"\udc80"', "01", "tru"),
    *('"a\tb"', "[null]", "[]", "{}", "[1, null]", "'a'", '{"a": 1, "a": "b"}', '"\\q"', "[1.5]"),
    *('["\\ud800"]', '{"0": "a"}', "[[1], [null, 2]]", " 1 ", '{"\\u0061": 1}', "", "[" * 60),
)
_RECORD = {
    "eventVersion": ("1.08", "1.11", "2.0", "", 1.08, 1),
    "eventID": ("11111111-2222-3333-4444-555555555555", "x", 5, 5.5, None, ["a"]),
    "eventTime": ("2026-11-22T10:20:30Z", "2026-11-22T10:20:31Z", "yesterday", 0, None),
    "awsRegion": ("eu-west-1", "us-gov-west-1", "EU", 1, None),
    "recipientAccountId": ("111122223333", "1", 111122223333, None),
    "eventType": ("AwsApiCall", "AwsCloudTrailInsight", None, 0),
    "eventSource": ("iam.amazonaws.com", "orders.example.com", None),
    "eventName": ("ConsoleLogin", "a", "", None, 1),
    "insightDetails": ({}, {"a": 1}, None, []),
    "userIdentity": ({"type": "Root", "a": "b"}, {"a": {"b": "c"}}, None, "Root", [], {}),
}


class Choices:
    """Choices by the bytes of an input, and by chance from it when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)
        self._random = random.Random(data)  # noqa: S311

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` - 1."""
        byte = next(self._bytes, None)
        return self._random.randrange(limit) if byte is None else byte % limit

    def one(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def some(self, make: Callable[[], T], most: int) -> list[T]:
        """Up to ``most`` things."""
        return [make() for _ in range(self.below(most + 1))]

    # Patterns.

    def selector(self) -> str:
        """A selector, most of them short."""
        steps = [self._step() for _ in range(self.one((1, 1, 1, 2, 2, 3, 22)))]
        wildcards = [index for index, step in enumerate(steps) if step == "[*]"]
        for index in wildcards[1:]:
            steps[index] = "[0]"
        if steps[0] in {"[0]", "[1]"}:
            steps[0] = ".a"
        elif steps[0] == "[*]":
            steps[0] = ".*"
        return "$" + "".join(steps)

    def _step(self) -> str:
        if not self.below(8):
            return self.one(("[0]", "[1]", "[*]", "[*]"))
        key = self.one(_KEYS)
        return f".{key}" if key.isascii() and key.replace("-", "").isalnum() else f".['{key}']"

    def condition(self, depth: int = 3) -> str:
        """A condition of a JSON pattern."""
        if depth and self.below(2):
            sign = self.one((" && ", " || "))
            operands = [self.condition(depth - 1) for _ in range(2 + self.below(2))]
            return f"({sign.join(operands)})"
        selector = self.selector()
        kind = self.below(10)
        if kind == 0:
            return f"{selector} {self.one(('IS NULL', 'IS TRUE', 'IS FALSE', 'NOT EXISTS'))}"
        if kind == 1:
            return f"{selector} {self.one(('<', '<=', '>', '>=', '=', '!='))} {self.one(_LITERALS)}"
        sign = self.one(("=", "=", "=", "!="))
        if kind == 2:
            return f"{selector} {sign} %{self.one(_REGEXES)}%"
        text = self.one(_WILDCARDS if kind < 5 else _TEXTS)
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'{selector} {sign} "{quoted}"'

    # Messages.

    def message(self) -> str:
        """A log event's message, mostly a JSON object."""
        kind = self.below(16)
        if kind == 0:
            return self.one(
                ("", "a b", "ERROR 1", "[]", '"a"', "1", "\ufeff{}", "{} {}", "{", "\x0b{}")
            )
        text = self._object(3, record=kind < 12)
        return self.one((text,) * 6 + (f" {text}\n", text + "x", text[:-1], f"\ufeff{text}"))

    def _object(self, depth: int, *, record: bool = False) -> str:
        members = []
        if record:
            for key, values in _RECORD.items():
                if self.below(8):
                    index = self.one((0, 0, 0, 0, self.below(len(values))))
                    members.append(f'"{key}": {json.dumps(values[index])}')
        members += [f"{self._key()}: {self._value(depth - 1)}" for _ in range(self.below(5))]
        return "{" + ", ".join(members) + "}"

    def _key(self) -> str:
        key = self.one(_KEYS)
        if not self.below(8):
            return '"' + "".join(f"\\u{ord(char):04x}" for char in key) + '"'
        return json.dumps(key, ensure_ascii=bool(self.below(2)))

    def _value(self, depth: int) -> str:
        kind = self.below(14)
        if kind < 5 or depth <= 0:
            return json.dumps(self.one(_TEXTS), ensure_ascii=bool(self.below(2)))
        if kind < 7:
            return self.one(_NUMBERS)
        if kind == 7:
            return self.one(("null", "true", "false"))
        if kind == 8:
            return "[" + ", ".join(self._value(depth - 1) for _ in range(self.below(3))) + "]"
        if kind == 9:
            return self.one(_ODD) if not self.below(3) else "null"
        return self._object(depth)
