"""AWS's limits, and warnings about constructs that are not documented or seldom intended."""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.patterns.errors import PatternWarning
from exporter.patterns.syntax import (
    NUMBER,
    AnyFields,
    Comparison,
    Condition,
    Field,
    FieldComparison,
    IsTest,
    NotExists,
    Number,
    Regex,
    SpacePattern,
    Term,
    TermsPattern,
    Text,
    Tree,
    all_tests,
    tests_of,
)

MAX_LENGTH = 1024
"""AWS: characters of a pattern."""
MAX_REGEXES = 2
"""AWS: regular expressions in a pattern."""
MAX_WILDCARD_SELECTORS = 3
"""AWS: selectors with a wildcard in a pattern."""

_DOUBLE_DIGITS = 15
_DOCUMENTED_BARE = re.compile(r"[A-Za-z0-9_.*]+")
_WHITE_SPACE = re.compile(r" |\\s")


def exceeded_limits(tree: Tree, start: int, end: int) -> Iterator[PatternWarning]:
    """The AWS limits that a pattern (from ``start`` to ``end``) exceeds."""
    if end - start > MAX_LENGTH:
        yield PatternWarning(
            f"The pattern has {end - start} characters; AWS allows {MAX_LENGTH}. "
            "Split it into several rules.",
            start + MAX_LENGTH,
            "aws-limit",
        )
    tested = tree.terms if isinstance(tree, TermsPattern) else all_tests(tree)
    values = (one.value for one in tested if isinstance(one, Term | Comparison | FieldComparison))
    regexes = [value for value in values if isinstance(value, Regex)]
    if len(regexes) > MAX_REGEXES:
        yield PatternWarning(
            f"AWS allows {MAX_REGEXES} regular expressions in a pattern; join some with |.",
            regexes[MAX_REGEXES].span.start,
            "aws-limit",
        )
    wildcards = [
        test
        for test in all_tests(tree)
        if not isinstance(test, FieldComparison) and test.selector.has_wildcard
    ]
    if len(wildcards) > MAX_WILDCARD_SELECTORS:
        yield PatternWarning(
            f"AWS allows {MAX_WILDCARD_SELECTORS} selectors with a wildcard in a pattern; "
            "write an index, or split the pattern into several rules.",
            wildcards[MAX_WILDCARD_SELECTORS].span.start,
            "aws-limit",
        )


def lint(tree: Tree) -> Iterator[PatternWarning]:
    """The warnings about a pattern's tree."""
    if isinstance(tree, TermsPattern):
        yield from _lint_terms(tree.terms)
    if isinstance(tree, SpacePattern):
        yield from _lint_entries(tree.entries)
    for test in all_tests(tree):
        if isinstance(test, Comparison):
            yield from _lint_json_comparison(test)
        if isinstance(test, Comparison | FieldComparison):
            yield from _lint_value(test)
        if not isinstance(test, FieldComparison):
            yield from _lint_wildcard_selector(test)


def _uncertain(message: str, position: int) -> PatternWarning:
    return PatternWarning(message, position, "uncertain")


def _trap(message: str, position: int) -> PatternWarning:
    return PatternWarning(message, position, "trap")


def _lint_terms(terms: tuple[Term, ...]) -> Iterator[PatternWarning]:
    optional = [term for term in terms if term.mode == "optional"]
    if optional and len(optional) < len(terms):
        yield _trap(
            "AWS ignores ? terms next to other terms; write a pattern of ? terms only, or a "
            "regular expression such as %a|b%.",
            optional[0].span.start,
        )
    for term in terms:
        if isinstance(term.value, Regex):
            if len(terms) > 1 or term.mode != "required":
                yield _uncertain(
                    "AWS documents a regular expression as the whole pattern only; move it to a "
                    "separate rule.",
                    term.span.start,
                )
            continue
        if not term.value.text.strip():
            yield _trap(
                "This phrase is searched for literally; to match every log event, write the empty "
                "pattern.",
                term.span.start,
            )
        yield from _lint_quoted_regex(term.value)


def _lint_quoted_regex(value: Text) -> Iterator[PatternWarning]:
    text = value.text
    if value.quoted and len(text) > 2 and text.startswith("%") and text.endswith("%"):
        yield _trap(
            "In quotes this is plain text; a regular expression is written without quotes.",
            value.span.start,
        )


def _lint_entries(entries: tuple[Field | AnyFields, ...]) -> Iterator[PatternWarning]:
    for index, entry in enumerate(entries):
        if isinstance(entry, AnyFields):
            continue
        if entry.name is None and not 1 < index == len(entries) - 1:
            yield _uncertain(
                "AWS documents an empty entry after named fields only; give the field a name.",
                entry.span.start,
            )
        if entry.name is not None and ("-" in entry.name or entry.name.isdecimal()):
            yield _uncertain(
                "AWS documents names such as status_code; start with a letter and write _ for -.",
                entry.span.start,
            )
    if any(isinstance(entry, AnyFields) for entry in entries) or not entries:
        return
    last = entries[-1]
    if isinstance(last, Field) and last.condition is not None:
        if _spans_fields(last.condition):
            return
        yield _trap(
            "The last field is the whole rest of the line, and the condition applies to all of it; "
            "append ', ...' to compare one field.",
            last.span.start,
        )
    elif len(entries) == 1:
        yield _trap(
            "This names a field and matches every line; to search for the text, put it in quotes, "
            "brackets included.",
            last.span.start,
        )


def _spans_fields(condition: Condition) -> bool:
    """Whether a condition has a regular expression with white space, so is about several fields."""
    return any(
        isinstance(test, FieldComparison)
        and isinstance(test.value, Regex)
        and _WHITE_SPACE.search(test.value.source) is not None
        for test in tests_of(condition)
    )


def _lint_json_comparison(test: Comparison) -> Iterator[PatternWarning]:
    value = test.value
    if isinstance(value, Text):
        if not value.quoted and value.text.lower() in ("true", "false", "null"):
            yield _trap(
                f"This is compared with the text; the JSON value is tested with IS "
                f"{value.text.upper()}, the text is written in quotes.",
                value.span.start,
            )
        if value.quoted and NUMBER.fullmatch(value.text):
            yield _trap(
                "A quoted number is compared with the text of the number in the message: "
                '"1" is not 1.0. Leave the quotes out to compare values.',
                value.span.start,
            )
    elif isinstance(value, Number) and value.lexeme[0] == "+" and test.operator in ("=", "!="):
        yield _uncertain(
            "Strings are compared with the number as it is written; leave the + out.",
            value.span.start,
        )


def _lint_value(test: Comparison | FieldComparison) -> Iterator[PatternWarning]:
    value = test.value
    at = value.span.start
    if isinstance(value, Regex):
        if test.operator == "!=":
            yield _uncertain("AWS documents regular expressions after = only.", at)
    elif isinstance(value, Number):
        yield from _lint_number(value)
    else:
        if "*" in value.text.strip("*"):
            yield _uncertain(
                "AWS documents * at the start and the end of a value only; in the middle it is any "
                "text here, and was seen to match less on AWS (no second try). Write a regular "
                "expression, such as %^a.*b$%.",
                at,
            )
        elif value.text[:1] == "*" != value.text[-1:] and has_border(value.text.strip("*")):
            yield _uncertain(
                "The text after * can overlap itself: here *1.1 matches 1.1.1; AWS was seen to "
                "take the first 1.1 and not to match. Write a regular expression, such as "
                "%1\\.1$%.",
                at,
            )
        if not value.quoted and not _DOCUMENTED_BARE.fullmatch(value.text):
            yield _uncertain(f'Write the value in quotes: "{value.text}".', at)
        elif not value.quoted and value.text[:2] in ("0x", "0X"):
            yield _uncertain("AWS has no hexadecimal numbers; this is text.", at)
        if isinstance(test, FieldComparison) and value.quoted and "*" in value.text:
            yield _uncertain("AWS documents * in unquoted values of a field only.", at)
        yield from _lint_quoted_regex(value)


def has_border(text: str) -> bool:
    """Whether a prefix of ``text`` is also a suffix, so it can overlap itself."""
    borders = [0] * len(text)
    for end in range(1, len(text)):
        length = borders[end - 1]
        while length and text[length] != text[end]:
            length = borders[length - 1]
        borders[end] = length + (text[length] == text[end])
    return bool(text) and borders[-1] > 0


def _lint_number(value: Number) -> Iterator[PatternWarning]:
    mantissa = value.lexeme.lower().partition("e")[0].lstrip("+-")
    if mantissa.startswith(".") or mantissa.endswith("."):
        yield _uncertain("Write digits on both sides of the point.", value.span.start)
    if len(mantissa.replace(".", "").strip("0")) > _DOUBLE_DIGITS:
        yield _uncertain(
            "AWS may compare numbers with 15 digits only; the exporter compares them exactly. "
            "Quote the number to compare its text.",
            value.span.start,
        )


def _lint_wildcard_selector(test: Comparison | IsTest | NotExists) -> Iterator[PatternWarning]:
    if not test.selector.has_wildcard:
        return
    if isinstance(test, Comparison) and test.operator == "!=":
        yield _uncertain(
            "With a wildcard, != is true here if one of the values differs; test an index.",
            test.span.start,
        )
    elif isinstance(test, IsTest) and test.keyword == "NULL":
        yield _uncertain(
            "With a wildcard, IS NULL is true here if one of the values is null; test an index.",
            test.span.start,
        )
    elif isinstance(test, NotExists):
        yield _uncertain(
            "With a wildcard, NOT EXISTS is true here if there is no value at all; test an index.",
            test.span.start,
        )
