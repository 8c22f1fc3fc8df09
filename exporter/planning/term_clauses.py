"""Texts and regular expressions that every match of a term or space-delimited pattern contains."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from exporter.patterns.syntax import (
    And,
    Condition,
    Field,
    FieldComparison,
    Or,
    Regex,
    SpacePattern,
    TermsPattern,
    Text,
    Value,
)
from exporter.planning.json_conditions import UNSAFE

_LONGEST = 250
"""Characters of a text: a part of a longer one will do, and leaves room for others."""

_ESCAPED = r"\\[\^$?\[\]{}|\\*+.] | \\x[0-7][0-9A-Fa-f]"
_COUNT = r"[?*+] | \{[0-9]+ (?: ,[0-9]* )? \}"
_REGEX_TOKEN = re.compile(
    rf"""
    (?P<or> \| )
    | (?P<certain>
        (?: (?P<literal> [A-Za-z0-9\ :_#=@/;,-] | {_ESCAPED} )
          | \\[dws] | \[ (?: [A-Za-z0-9\ :_#=@/;,.+*?${{}}|-] | \\[dws] | {_ESCAPED} )+ \]
        ) (?P<count> {_COUNT} )? )
    | [\^$]
    | (?: \. | \\[DSW] | \[\^ (?: [^\[\]\\] | \\. )+ \] ) (?: {_COUNT} )?
    """,
    re.VERBOSE,
)
"""``certain``: ASCII characters that AWS documents. Whether others, and ``.``, match a character
that is not ASCII or a line end is not documented, nor where ``$`` matches."""


class Piece(NamedTuple):
    """A part of each message that matches."""

    text: str
    """A text, or a regular expression in AWS's syntax."""
    weight: int
    """Characters that it requires."""
    is_regex: bool = False


Clause: TypeAlias = tuple[Piece, ...]
"""A message that matches contains one of them at least, anywhere."""


def clauses(tree: TermsPattern | SpacePattern) -> list[Clause]:
    """All hold of each match: the longest first. They hold of any text around it, too.

    How AWS splits lines is not certain in all details (line ends, quotes), so a space-delimited
    pattern gives the texts of its fields.
    """
    found: list[Clause] = []
    if isinstance(tree, SpacePattern):
        for entry in tree.entries:
            if isinstance(entry, Field) and entry.condition is not None:
                found += _of_condition(entry.condition)
    else:
        optional = [term.value for term in tree.terms if term.mode == "optional"]
        if len(optional) == len(tree.terms):
            found += _either([_of_value(value) for value in optional])
        required = [term.value for term in tree.terms if term.mode == "required"]
        found += [clause for value in required for clause in _of_value(value)]
    return sorted(dict.fromkeys(found), key=_weight, reverse=True)


def exclusions(tree: TermsPattern) -> list[str]:
    """The texts that a pattern excludes, those by which AWS is certain to exclude the same only."""
    values = [term.value for term in tree.terms if term.mode == "excluded"]
    texts = [value.text for value in values if isinstance(value, Text)]
    return [
        text
        for text in dict.fromkeys(texts)
        if text and text == text.strip() and "*" not in text and not UNSAFE.search(text)
    ]


def _weight(clause: Clause) -> int:
    return min(piece.weight for piece in clause)


def _of_condition(condition: Condition) -> list[Clause]:
    if isinstance(condition, And):
        return [clause for operand in condition.operands for clause in _of_condition(operand)]
    if isinstance(condition, Or):
        return _either([_of_condition(operand) for operand in condition.operands])
    if isinstance(condition, FieldComparison) and condition.operator == "=":
        return _of_value(condition.value, wildcard=True)
    return []


def _either(alternatives: Sequence[list[Clause]]) -> list[Clause]:
    """One clause of the best of each alternative; none if one of them has none."""
    if not all(alternatives):
        return []
    best = [max(some, key=_weight) for some in alternatives]
    return [tuple(dict.fromkeys(piece for clause in best for piece in clause))]


def _of_value(value: Value, *, wildcard: bool = False) -> list[Clause]:
    if isinstance(value, Regex):
        return _of_regex(value.source)
    if not isinstance(value, Text):
        return []  # a number has many texts
    texts = [text.strip() for text in UNSAFE.split(value.text)]
    if wildcard:
        texts = [piece.strip() for text in texts for piece in text.split("*")]
    longest = max(texts, key=len)[:_LONGEST].strip()
    return [(Piece(longest, len(longest)),)] if longest else []


def _of_regex(source: str) -> list[Clause]:
    """The part of each alternative that is certain to be searched for on AWS as it is here."""
    runs: list[list[Piece]] = [[]]
    run, weight, at = "", 0, 0
    while at < len(source):
        token = _REGEX_TOKEN.match(source, at)
        if token is None:
            return []
        at = token.end()
        if token["certain"] is not None:
            run += token[0]
            weight += token["literal"] is not None and token["count"] in (None, "+")
            continue
        runs[-1].append(Piece(run, weight, is_regex=True))
        run, weight = "", 0
        if token["or"]:
            runs.append([])
    runs[-1].append(Piece(run, weight, is_regex=True))
    best = [max(pieces, key=lambda piece: piece.weight) for pieces in runs]
    is_known = all(piece.weight and len(piece.text) <= 4 * _LONGEST for piece in best)
    return [tuple(dict.fromkeys(best))] if is_known else []
