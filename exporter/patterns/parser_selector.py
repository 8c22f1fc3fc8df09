"""Reads selectors, alone or in a JSON pattern."""

from __future__ import annotations

import re

from exporter.patterns.lexer import Scanner
from exporter.patterns.selector import ANY_CHILD, Selector, Step

_INDEX = re.compile(r"\[([0-9]{1,18})\]")
_DOCUMENTED_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_AFTER = " \t\r\n\f\v=!<>()&|"


def parse_selector(text: str) -> Selector:
    """Read a selector that stands alone (a label, a value).

    Raises:
        PatternError: ``text`` is not a selector.
    """
    scanner = Scanner(text, 0, len(text))
    scanner.skip_blanks()
    selector = scan_selector(scanner)
    scanner.skip_blanks()
    if not scanner.at_end:
        raise scanner.error("Nothing may stand after the selector.")
    return selector


def scan_selector(scanner: Scanner) -> Selector:
    """Read a selector at the scanner's position.

    Raises:
        PatternError: there is none, or it is not valid.
    """
    start = scanner.position
    if not scanner.take("$"):
        raise scanner.error("Here a selector such as $.field is needed.")
    steps: list[Step] = []
    while scanner.peek() in (".", "["):
        step = _scan_dot(scanner, first=not steps) if scanner.take(".") else None
        if step is None:
            if not steps and scanner.text[scanner.position - 1] == "$":
                raise scanner.error("A selector starts with $. (a dollar sign and a dot).")
            step = _scan_bracket(scanner)
        if step is ANY_CHILD and ANY_CHILD in steps:
            raise scanner.error("A selector can have one wildcard only.", scanner.position - 1)
        steps.append(step)
    if not steps:
        raise scanner.error("A selector needs a field: $.field", start)
    char = scanner.peek()
    if char and char not in _AFTER:
        raise scanner.error(f"{char!r} cannot stand in a key like this; write the key as $.['…'].")
    return Selector(tuple(steps), scanner.text[start : scanner.position])


def _scan_dot(scanner: Scanner, *, first: bool) -> Step | None:
    """Read the step after a dot; None where a bracket follows that is no quoted key."""
    start = scanner.position
    if scanner.take("*"):
        return ANY_CHILD
    if scanner.take("['"):
        close = scanner.text.find("']", scanner.position, scanner.end)
        if close < 0:
            raise scanner.error("This key is not closed with '] .", start)
        key = scanner.text[scanner.position : close]
        scanner.position = close + 2
        if not first:
            scanner.warn("AWS documents ['…'] for top-level keys only.", start)
        if not _DOCUMENTED_KEY.fullmatch(key):
            scanner.warn("AWS documents ['…'] for keys with dots only.", start)
        return key
    if scanner.peek() == "[":
        scanner.warn("AWS documents no dot before an index; write it without the dot.", start)
        return None
    name = scanner.name()
    if name:
        return name
    char = scanner.peek()
    if char == ".":
        raise scanner.error("AWS has no descent ($..); write the whole path.")
    if char == '"':
        raise scanner.error("A key is quoted as $.['key'], in brackets and single quotes.")
    if char and char not in _AFTER:
        raise scanner.error(f"A key that starts with {char!r} is written as $.['{char}…'].")
    raise scanner.error("After the dot a key is needed, or *.")


def _scan_bracket(scanner: Scanner) -> Step:
    start = scanner.position
    if scanner.take("[*]"):
        return ANY_CHILD
    found = _INDEX.match(scanner.text, start, scanner.end)
    if found:
        scanner.position = found.end()
        return int(found[1])
    following = scanner.peek(2)[1:]
    if following == "'":
        raise scanner.error("Before a key in brackets a dot is needed: .['key']")
    if following == '"':
        raise scanner.error("A key in brackets has single quotes and a dot before: .['key']")
    if following == "-":
        raise scanner.error("AWS has no negative index.")
    raise scanner.error("In brackets stands an index ([0]) or a wildcard ([*]).")
