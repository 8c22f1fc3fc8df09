"""The selectors in a PromQL expression, as far as ``check --alerts`` needs them.

The expression is not parsed: Prometheus does that. Everything else is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    |(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<operator>=~|!~|!=|=)
    |(?P<other>\S)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on a label."""

    label: str
    operator: str
    """``=``, ``!=``, ``=~`` or ``!~``."""
    value: str
    position: int
    """Of its first character in the expression."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric, and the conditions on its labels."""

    metric: str
    """Empty if it is not given by its whole name."""
    matchers: tuple[Matcher, ...]
    position: int
    is_certain: bool
    """Whether the name is a metric's by its place. If not, it may be a function or a label."""


def selectors(expression: str) -> Iterator[Selector]:
    """Yield the selectors of an expression, and all other names in it."""
    tokens = [one for one in _TOKEN.finditer(expression) if one.lastgroup != "comment"]
    at = 0
    while at < len(tokens):
        token, following = tokens[at], tokens[at + 1][0] if at + 1 < len(tokens) else ""
        at += 1
        if token.lastgroup == "name":
            matchers: tuple[Matcher, ...] = ()
            if following == "{":
                matchers, at = _matchers(tokens, at + 1)
            yield Selector(token[0], matchers, token.start(), following in ("{", "["))
        elif token[0] == "{":
            matchers, at = _matchers(tokens, at)
            names = [one for one in matchers if one.label == "__name__"]
            name = names[0].value if names and names[0].operator == "=" else ""
            others = tuple(one for one in matchers if one.label != "__name__")
            yield Selector(name, others, token.start(), bool(name))


def _matchers(tokens: list[re.Match[str]], at: int) -> tuple[tuple[Matcher, ...], int]:
    """Return the matchers up to the closing brace, and where the next token is."""
    found: list[Matcher] = []
    while at < len(tokens) and tokens[at][0] != "}":
        label, operator, value = (tokens[at : at + 3] + [None] * 3)[:3]
        if operator and value and operator.lastgroup == "operator" and value.lastgroup == "text":
            name = label[0] if label else ""
            found.append(
                Matcher(name.strip("\"'`"), operator[0], _text(value[0]), tokens[at].start())
            )
            at += 3
        else:
            at += 1
    return tuple(found), at + 1


def _text(quoted: str) -> str:
    inner = quoted[1:-1]
    return inner if quoted[0] == "`" else _ESCAPE.sub(r"\1", inner)
