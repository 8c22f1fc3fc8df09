"""Parses a filter pattern: text → syntax tree, in one pass, with AWS's limits applied."""

from __future__ import annotations

import re

from exporter.patterns.conditions import parse_condition, unexpected
from exporter.patterns.errors import PatternError, PatternWarning
from exporter.patterns.lint import exceeded_limits, lint
from exporter.patterns.scanner import BLANKS, Scanner
from exporter.patterns.syntax import (
    AllPattern,
    AnyFields,
    Comparison,
    Field,
    FieldComparison,
    IsTest,
    JsonPattern,
    Keyword,
    NotExists,
    Regex,
    Selector,
    SpacePattern,
    Term,
    TermMode,
    TermsPattern,
    Test,
    Text,
    Tree,
    tests_of,
)

_KEYWORDS: dict[str, Keyword] = {"NULL": "NULL", "TRUE": "TRUE", "FALSE": "FALSE"}
_MODES: dict[str, TermMode] = {"?": "optional", "-": "excluded"}
_WORD = re.compile(r"[A-Za-z0-9_]")
_RUN = re.compile(r"[^ \t\r\n\f\v]*")
# AWS documents that these need quotes, and seems to accept them without.
_TOLERATED = frozenset("-.:=")


def parse(text: str, *, aws_limits: bool = True) -> tuple[Tree, tuple[PatternWarning, ...]]:
    """Parse a filter pattern; return its tree and the warnings, in the pattern's order.

    AWS: the first character decides the kind; white space around the pattern is ignored.
    ``aws_limits``: whether exceeding AWS's limits is an error or a warning. Raises PatternError.
    """
    stripped = text.lstrip(BLANKS)
    start = len(text) - len(stripped)
    end = start + len(stripped.rstrip(BLANKS))
    scanner = Scanner(text, start, end)
    tree = _parse_tree(scanner)
    warnings = [*scanner.warnings, *lint(tree)]
    for limit in exceeded_limits(tree, start, end):
        if aws_limits:
            raise PatternError(limit.message, text, limit.position)
        warnings.append(limit)
    warnings.sort(key=lambda warning: warning.position)
    return tree, tuple(warnings)


def _parse_tree(scanner: Scanner) -> Tree:
    if scanner.at_end:
        return AllPattern()
    if scanner.peek() == "{":
        _enter(scanner, "{", "}")
        return _parse_json(scanner)
    if scanner.peek() == "[":
        _enter(scanner, "[", "]")
        return _parse_space(scanner)
    return _parse_terms(scanner)


def _enter(scanner: Scanner, opening: str, closing: str) -> None:
    last = scanner.end - 1
    if last == scanner.position or scanner.text[last] != closing:
        raise scanner.error(
            f"A pattern that starts with {opening} must end with {closing}; to search for a text "
            f"that starts with {opening}, put it in quotes.",
            last,
        )
    scanner.position += 1
    scanner.end = last
    scanner.skip_blanks()


# Unstructured patterns: ERROR "connection refused" -DEBUG


def _parse_terms(scanner: Scanner) -> TermsPattern:
    terms: list[Term] = []
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
        value = _parse_word(scanner)
    return Term(mode, value, span=scanner.span(start))


def _check_sign(scanner: Scanner, sign: str, start: int) -> None:
    if scanner.peek() and scanner.peek() in BLANKS and sign == "-":
        scanner.skip_blanks()
        scanner.warn("Write the - directly before the term that it excludes.", start)
    following = scanner.peek()
    if not following or following in BLANKS:
        raise scanner.error(
            f'{sign} needs a term after it; to search for it, write "{sign}".', start
        )
    if following in _MODES:
        raise scanner.error(
            f"A term can have one sign only; text that starts with {following} needs quotes."
        )


def _parse_word(scanner: Scanner) -> Text:
    start = scanner.position
    run = scanner.match(_RUN)
    doubtful: int | None = None
    for at, char in enumerate(run, start):
        if _WORD.match(char):
            continue
        if char not in _TOLERATED and (char.isascii() or not char.isalnum()):
            raise scanner.error(_needs_quotes(char, run), at)
        doubtful = at if doubtful is None else doubtful
    if doubtful is not None:
        scanner.warn(f'Terms with special characters need quotes; write "{run}".', doubtful)
    return Text(run, quoted=False, span=scanner.span(start))


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


# JSON patterns: { ($.eventName = ConsoleLogin) && ($.errorMessage = "*") }


def _parse_json(scanner: Scanner) -> JsonPattern:
    if scanner.at_end:
        raise scanner.error("The braces are empty; the empty pattern matches every log event.")
    condition = parse_condition(scanner, _parse_json_test)
    if not scanner.at_end:
        raise scanner.error(unexpected(scanner))
    return JsonPattern(condition)


def _parse_json_test(scanner: Scanner) -> Test:
    start = scanner.position
    if scanner.peek() == "!":
        raise scanner.error("There is no negation of a condition; use != or NOT EXISTS.")
    if scanner.peek() == '"':
        raise scanner.error("A test starts with a selector such as $.field, without quotes.")
    selector = scanner.selector()
    scanner.skip_blanks()
    operator = scanner.operator()
    if operator is None:
        return _parse_keywords(scanner, selector, start)
    value = scanner.value(operator)
    if isinstance(value, Text) and value.text == "null" and not value.quoted:
        raise scanner.error(
            'null is tested with IS NULL; the text is written "null".', value.span.start
        )
    return Comparison(selector, operator, value, span=scanner.span(start))


def _parse_keywords(scanner: Scanner, selector: Selector, start: int) -> Test:
    position = scanner.position
    first = scanner.name()
    scanner.skip_blanks()
    second_position = scanner.position
    second = scanner.name() if first.upper() in ("IS", "NOT") else ""
    test: Test
    match first.upper(), second.upper():
        case "IS", ("NULL" | "TRUE" | "FALSE") as keyword:
            test = IsTest(selector, _KEYWORDS[keyword], span=scanner.span(start))
        case "NOT", "EXISTS":
            test = NotExists(selector, span=scanner.span(start))
        case "EXISTS", _:
            raise scanner.error(
                'There is no EXISTS; to test that a text or number exists, write = "*".', position
            )
        case "IS", _:
            raise scanner.error("After IS, write NULL, TRUE or FALSE.", second_position)
        case "NOT", _:
            raise scanner.error("After NOT, write EXISTS.", second_position)
        case _:
            raise scanner.error(
                "After the selector, write an operator (= != < <= > >=), IS NULL, IS TRUE, "
                "IS FALSE or NOT EXISTS.",
                position,
            )
    if not (first + second).isupper():
        scanner.warn("AWS documents keywords in upper case only; use upper case.", position)
    return test


# Space-delimited patterns: [ip, user, ..., status = 4*, bytes > 1000]


def _parse_space(scanner: Scanner) -> SpacePattern:
    if scanner.at_end:
        return SpacePattern(())
    entries: list[Field | AnyFields] = []
    seen: set[str | None] = set()
    while True:
        entry = _parse_entry(scanner)
        name = "..." if isinstance(entry, AnyFields) else entry.name
        if name is not None and name in seen:
            raise scanner.error(
                f"Duplicate field {name!r}; every field needs a different name.", entry.span.start
            )
        seen.add(name)
        entries.append(entry)
        if scanner.at_end:
            return SpacePattern(tuple(entries))
        scanner.position += 1  # the comma


def _parse_entry(scanner: Scanner) -> Field | AnyFields:
    """Read an entry; the scanner ends at the comma after it or at the end."""
    scanner.skip_blanks()
    start = scanner.position
    if scanner.take("..."):
        span = scanner.span(start)
        scanner.skip_blanks()
        if not _entry_ends(scanner):
            raise scanner.error("After ... a comma is needed, or the end of the pattern.")
        return AnyFields(span=span)
    if _entry_ends(scanner):
        return Field(None, span=scanner.span(start))
    name = scanner.name()
    span = scanner.span(start)
    scanner.skip_blanks()
    if name and _entry_ends(scanner):
        return Field(name, span=span)
    if name and scanner.peek() not in "=!<>":
        raise scanner.error(
            "After a field's name, write a comma, an operator (= != < <= > >=) or the end; a name "
            "has letters, digits and _ only. To search for text with brackets, put it in quotes."
        )
    scanner.position = start
    return _parse_field_condition(scanner)


def _parse_field_condition(scanner: Scanner) -> Field:
    start = scanner.position
    parenthesized = scanner.peek() == "("
    condition = parse_condition(scanner, _parse_field_test)
    span = scanner.span(start)
    scanner.skip_blanks()
    if not _entry_ends(scanner):
        raise scanner.error(unexpected(scanner))
    first, *others = (test for test in tests_of(condition) if isinstance(test, FieldComparison))
    for other in others:
        if other.name != first.name:
            raise scanner.error(
                f"This belongs to the field {first.name!r}; write a condition on {other.name!r} "
                "in its own place, after a comma.",
                other.span.start,
            )
    if parenthesized:
        scanner.warn("AWS documents no parentheses in a field.", start)
    return Field(first.name, condition, span=span)


def _parse_field_test(scanner: Scanner) -> Test:
    start = scanner.position
    name = scanner.name()
    if not name:
        raise scanner.error("Here the name of a field is needed.")
    scanner.skip_blanks()
    operator = scanner.operator()
    if operator is None:
        raise scanner.error(f"After {name} an operator is needed: = != < <= > >=.")
    value = scanner.value(operator)
    return FieldComparison(name, operator, value, span=scanner.span(start))


def _entry_ends(scanner: Scanner) -> bool:
    return scanner.at_end or scanner.peek() == ","
