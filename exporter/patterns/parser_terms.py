"""Parses unstructured patterns: ``ERROR "connection refused" -DEBUG``, ``?warn ?error``."""

from __future__ import annotations

import re

from exporter.patterns.lexer import BLANKS, Scanner
from exporter.patterns.syntax import Regex, Span, Term, TermMode, TermsPattern, Text

_WORD = re.compile(r"[A-Za-z0-9_]")
_RUN = re.compile(r"[^ \t\r\n\f\v]+")
_MODES: dict[str, TermMode] = {"?": "optional", "-": "excluded"}
# AWS documents that these need quotes, and seems to accept them without.
_TOLERATED = frozenset("-.:=")


def parse_terms(scanner: Scanner) -> TermsPattern:
    """Parse a pattern that is neither JSON nor space-delimited.

    Raises:
        PatternError: a term has characters that need quotes, or is not complete.
    """
    terms: list[Term] = []
    scanner.skip_blanks()
    while not scanner.at_end:
        terms.append(_parse_term(scanner))
        if not scanner.at_end and scanner.peek() not in BLANKS:
            raise scanner.error("After a closing quote or % a blank is needed.")
        scanner.skip_blanks()
    return TermsPattern(tuple(terms))


def _parse_term(scanner: Scanner) -> Term:
    start = scanner.position
    sign = scanner.peek()
    mode = _MODES.get(sign, "required")
    if mode != "required":
        scanner.position += 1
        _check_sign(scanner, sign, start)
    value: Text | Regex
    if scanner.peek() == '"':
        value = scanner.quoted()
    elif scanner.peek() == "%":
        value = scanner.regex()
    else:
        value = _word(scanner)
    return Term(mode, value, Span(start, scanner.position))


def _check_sign(scanner: Scanner, sign: str, start: int) -> None:
    if scanner.peek() and scanner.peek() in BLANKS and sign == "-":
        scanner.skip_blanks()
        scanner.warn("Write the - directly before the term that it excludes.", start)
    following = scanner.peek()
    if not following or following in BLANKS:
        raise scanner.error(f'{sign} needs a term after it; as text it is written "{sign}".', start)
    if following in _MODES:
        raise scanner.error(
            f"A term has one sign only; text that starts with {following} needs quotes."
        )


def _word(scanner: Scanner) -> Text:
    start = scanner.position
    found = _RUN.match(scanner.text, start, scanner.end)
    run = found[0] if found else ""
    doubtful: int | None = None
    for at, char in enumerate(run, start):
        if _WORD.match(char):
            continue
        if char not in _TOLERATED and (char.isascii() or not char.isalnum()):
            raise scanner.error(_needs_quotes(char, run), at)
        doubtful = at if doubtful is None else doubtful
    scanner.position = start + len(run)
    if doubtful is not None:
        scanner.warn(f'Terms with special characters need quotes; write "{run}".', doubtful)
    return Text(run, quoted=False, span=Span(start, scanner.position))


def _needs_quotes(char: str, run: str) -> str:
    if char == '"':
        return 'A quote must enclose the whole term; inside quotes it is written \\".'
    if char == "*":
        return "Terms have no wildcards: a term is found within words anyway; leave the * out."
    if char == "%":
        return "A regular expression must enclose the whole term: %…%."
    if char == "\xa0":
        return "This is a no-break space; write a plain blank."
    shown = run.replace("\\", "\\\\").replace('"', '\\"')
    return f'Terms with special characters need quotes; write "{shown}".'
