"""Filter patterns for FilterLogEvents that let every match of rules' patterns through."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from exporter.model import EventFormat
from exporter.patterns import FilterPattern, PatternError, compile_pattern
from exporter.patterns.lint import MAX_LENGTH
from exporter.patterns.syntax import Condition, JsonPattern, SpacePattern, TermsPattern
from exporter.planning.json_conditions import weaker
from exporter.planning.term_clauses import Clause, Piece, clauses, exclusions

_ENVELOPE = '$.detail-type = "*"'
"""AWS: each envelope of EventBridge has a ``detail-type``."""

_PLAIN = re.compile(r"[A-Za-z0-9 :_#=@/;,-]")


def request_patterns(
    patterns: Iterable[FilterPattern], event_format: EventFormat, *, one_each: bool = False
) -> tuple[str, ...] | None:
    """As few filter patterns as possible whose answers have every match.

    In the formats other than ``lines`` a rule judges the record in an envelope of EventBridge
    instead of the message, so JSON requests let all envelopes through, and the others ask for
    texts that may be anywhere. None if everything has to be read.

    Args:
        patterns: of all rules that may count a log event.
        event_format: of the source.
        one_each: ask for one condition of each ``&&`` only, so that more fit into a request.
    """
    conditions: list[Condition] = []
    lines: list[TermsPattern | SpacePattern] = []
    for tree in dict.fromkeys(pattern.tree for pattern in patterns):
        if isinstance(tree, JsonPattern):
            conditions.append(tree.condition)
        elif isinstance(tree, TermsPattern | SpacePattern):
            lines.append(tree)
        else:
            return None
    of_json = _json_requests(conditions, event_format != "lines", one_each=one_each)
    of_lines = _line_requests(lines, event_format != "lines")
    return None if of_json is None or of_lines is None else (*of_json, *of_lines)


def _json_requests(
    conditions: Sequence[Condition], enveloped: bool, *, one_each: bool
) -> list[str] | None:
    operands: dict[str, None] = {}
    for condition in conditions:
        texts = [weaker(condition, one_each=short) for short in {one_each, True}]
        fitting = [one.text for one in texts if one and _fits(_json([one.text], enveloped))]
        if not fitting:
            return None
        operands[max(fitting, key=len)] = None
    requests: list[list[str]] = []
    for operand in operands:
        if requests and _fits(_json([*requests[-1], operand], enveloped)):
            requests[-1].append(operand)
        else:
            requests.append([operand])
    return [_json(request, enveloped) for request in requests]


def _json(operands: Sequence[str], enveloped: bool) -> str:
    """The pattern of operands of ``||``."""
    if enveloped:
        operands = [*operands, _ENVELOPE]
    if len(operands) == 1:
        return f"{{ {operands[0]} }}"
    return f"{{ {' || '.join(f'({operand})' for operand in operands)} }}"


def _fits(pattern: str) -> bool:
    """Whether AWS accepts a pattern by its limits of length and wildcards."""
    if len(pattern) > MAX_LENGTH:
        return False
    try:
        compile_pattern(pattern)
    except PatternError:
        return False
    return True


def _line_requests(
    trees: Sequence[TermsPattern | SpacePattern], enveloped: bool
) -> list[str] | None:
    if len(trees) == 1:
        own = _own(trees[0], enveloped)
        if own is not None:
            return [own]
    best = []
    for tree in trees:
        found = clauses(tree)
        if not found:
            return None
        best.append(found[0])
    return _any_of(dict.fromkeys(piece for clause in best for piece in clause))


def _own(tree: TermsPattern | SpacePattern, enveloped: bool) -> str | None:
    """The pattern with all texts that a match has, and none of those that it has not."""
    found = clauses(tree)
    terms = [f'"{clause[0].text}"' for clause in found if _is_text(clause)]
    if found and not terms:
        return None
    # The envelope of a record may contain a text that the record does not.
    if isinstance(tree, TermsPattern) and not enveloped:
        terms += [f'-"{text}"' for text in exclusions(tree)]
    pattern = " ".join(terms)
    return pattern if pattern and _fits(pattern) else None


def _is_text(clause: Clause) -> bool:
    return len(clause) == 1 and not clause[0].is_regex


def _any_of(pieces: Iterable[Piece]) -> list[str]:
    """Requests for the messages that contain any of the pieces."""
    known = list(pieces)
    if any(piece.is_regex for piece in known):
        in_regex = [_regex(piece) for piece in known]
        expressions = [text for text in in_regex if text is not None]
        others = [piece for piece, text in zip(known, in_regex, strict=True) if text is None]
        return [f"%{one}%" for one in _packed(expressions, "|", margin=2)] + _any_of(others)
    if len(known) == 1:
        return [f'"{known[0].text}"']
    return _packed([f'?"{piece.text}"' for piece in known], " ")


def _regex(piece: Piece) -> str | None:
    """A piece as a regular expression; None if its text is not ASCII."""
    if piece.is_regex:
        return piece.text
    if not piece.text.isascii():
        return None
    return "".join(c if _PLAIN.fullmatch(c) else f"\\x{ord(c):02x}" for c in piece.text)


def _packed(texts: Sequence[str], separator: str, margin: int = 0) -> list[str]:
    """The texts, joined to as few as fit into a pattern each."""
    packed: list[str] = []
    for text in dict.fromkeys(texts):
        if packed and len(packed[-1]) + len(separator) + len(text) + margin <= MAX_LENGTH:
            packed[-1] += separator + text
        else:
            packed.append(text)
    return packed
