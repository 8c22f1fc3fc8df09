"""A declared ``log_line_prefix`` of PostgreSQL: a pack's patterns, rewritten for it.

PostgreSQL: "Error Reporting and Logging", log_line_prefix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from exporter.configuration.line_format import LineFormat
from exporter.patterns import compile_pattern
from exporter.yamlfile.documents import Item, Step
from exporter.yamlfile.problems import Findings
from exporter.yamlfile.validation import Filled

if TYPE_CHECKING:
    from exporter.configuration.packs import PackUse

_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_ESCAPES = {
    **dict.fromkeys("ts", rf"{_TIME} \S+"),
    "m": rf"{_TIME}\.\d+ \S+",
    "n": r"\d+\.\d+",
    **dict.fromkeys("plx", r"\d+"),
    "P": r"\d*",
    "Q": r"-?\d+",
    "e": r"[0-9A-Z]{5}",
    "c": r"[0-9a-f]+\.[0-9a-f]+",
    "v": r"[0-9/]*",
    "b": r"[a-z ]+",
    "i": r"[A-Z ]*",
    **dict.fromkeys("hrL", r"\S*"),
}
_NAMES = "adu"
"""Application, database and user: any text."""
_PART = re.compile(r"%(-?\d*)(.?)|([^%])", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9 :_#=@/;,-]")
"""AWS: the other characters have a meaning in a regular expression, or need their code."""


class PrefixError(ValueError):
    """A prefix cannot be read in lines; ``position`` is the character."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class PrefixedLines(BaseModel):
    """The key ``log_line_prefix`` of a pack's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: str
    """How the alternatives of regular expressions begin that are written for one prefix."""
    kept: tuple[str, ...]
    """How the alternatives begin that do not depend on it, such as those for csvlog."""


def prefix_expressions(prefix: str) -> list[str]:
    """Regular expressions for a prefix: two if it has ``%q``. Raises PrefixError."""
    text, found = "", []
    parts = list(_PART.finditer(prefix))
    for part, after in zip_longest(parts, parts[1:]):
        padding, escape, literal = part.groups()
        if literal is not None or escape == "%":
            text += _literal(literal or "%", part.start())
        elif escape == "q":
            found.append(text)
        elif escape in _ESCAPES or (escape and escape in _NAMES):
            expression = _ESCAPES.get(escape) or _name(escape, after, part.start())
            text += f" *{expression} *" if padding else expression
        else:
            known = " ".join(f"%{one}" for one in sorted([*_ESCAPES, *_NAMES, "q", "%"]))
            raise PrefixError(f"PostgreSQL has no %{escape}; there are {known}", part.start())
    return [*found, text]


def _name(escape: str, after: re.Match[str] | None, position: int) -> str:
    """A name ends where the text after it begins."""
    if after is None or after[3] is None:
        raise PrefixError(f"%{escape} can be any text: write one after it that ends it", position)
    return f"[^{_literal(after[3], after.start())}]*"


def _literal(char: str, position: int) -> str:
    if not " " <= char <= "~":
        raise PrefixError("only printable ASCII characters can be read", position)
    return char if _PLAIN.fullmatch(char) else f"\\x{ord(char):02x}"


@dataclass(frozen=True)
class DeclaredPrefix:
    """A prefix that the use of a pack declares."""

    lines: PrefixedLines
    expressions: list[str]

    def apply(self, rules: list[Item], _findings: Findings) -> list[Item]:
        """Return the rules, whose patterns read lines with this prefix only."""
        return [self._rewritten(rule) for rule in rules]

    def recognizing(self, one: LineFormat) -> LineFormat:
        """Return the format of the lines, in which each level is known."""
        known = "|".join(rf"^{expression} ?[A-Z0-9]+:\s" for expression in self.expressions)
        return one.model_copy(update={"other": (*one.other, compile_pattern(f"%{known}%"))})

    def _rewritten(self, rule: Item) -> Item:
        before = str(rule.mapping.get("pattern"))
        # A pattern has one regular expression, whose alternatives are the layouts of a line.
        opening, _, rest = before.partition("%")
        expression, _, closing = rest.rpartition("%")
        alternatives = []
        for alternative in expression.split("|"):
            if alternative.startswith(self.lines.default):
                tail = alternative.removeprefix(self.lines.default)
                alternatives += [f"^{one}{tail}" for one in self.expressions]
            elif alternative.startswith(self.lines.kept):
                alternatives.append(alternative)
        pattern = f"{opening}%{'|'.join(alternatives)}%{closing}"
        part = replace(rule.parts["pattern"], data=pattern, text=pattern)
        parts: dict[Step, Item] = {**rule.parts, "pattern": part}
        return replace(rule, data={**rule.mapping, "pattern": pattern}, parts=parts)


def declared_prefix(
    use: Filled[PackUse], lines: PrefixedLines | None, findings: Findings
) -> DeclaredPrefix | None:
    """Check the ``log_line_prefix`` of a pack's use; None without it, or if it is wrong."""
    prefix, fields = use.model.log_line_prefix, use.fields
    if prefix is None:
        return None
    if lines is None:
        message = f"the rule pack `{use.model.name}` reads no lines of PostgreSQL: remove it"
        findings.error(fields.key_of("log_line_prefix"), message)
        return None
    try:
        return DeclaredPrefix(lines, prefix_expressions(prefix))
    except PrefixError as error:
        place = fields.item.character_of(fields.path_of("log_line_prefix"), error.position)
        message = f"`log_line_prefix` cannot be used: {error}"
        findings.error(place or fields.value_of("log_line_prefix"), message)
        return None
