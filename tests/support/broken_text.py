"""Faults of engines in terms, regular expressions, space-delimited patterns and limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from conformance.score import Engine, Verdict, exporter_engine
from exporter.patterns import Document, FilterPattern, document, lint, regex
from exporter.patterns import compile as compiler
from exporter.patterns.syntax import Regex, Term, TermsPattern
from tests.support.broken_engines import Faults, Patch

FAULTS = Faults()
breaks = FAULTS.breaks


@breaks("terms.any-mixed")
def one_of_the_optional_terms_is_needed_beside_others(patch: Patch) -> None:
    right = compiler.terms_test

    def terms_test(tree: TermsPattern) -> Callable[[Document], bool]:
        holds = right(tree)
        optional = [compiler.term_test(term) for term in tree.terms if term.mode == "optional"]
        return lambda doc: holds(doc) and (not optional or any(one(doc) for one in optional))

    patch.setattr(compiler, "terms_test", terms_test)


@breaks("terms.substring", "terms.exclude")
def terms_are_words(patch: Patch) -> None:
    def term_test(term: Term) -> Callable[[Document], bool]:
        text = term.value.source if isinstance(term.value, Regex) else term.value.text
        word = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
        return lambda doc: word.search(doc.message) is not None

    patch.setattr(compiler, "term_test", term_test)


@breaks("terms.blank-phrase")
def a_blank_phrase_matches_everything(patch: Patch) -> None:
    right = compiler.term_test

    def term_test(term: Term) -> Callable[[Document], bool]:
        blank = not getattr(term.value, "text", "x").strip()
        return (lambda _doc: True) if blank else right(term)

    patch.setattr(compiler, "term_test", term_test)


@breaks("terms.phrase", "terms.blank-phrase")
def runs_of_blanks_are_one_blank(_patch: Patch) -> Engine:
    return lambda text, message: exporter_engine(text, re.sub(r" +", " ", message))


@breaks("regex.search")
def expressions_cover_the_message(patch: Patch) -> None:
    right = regex.search
    patch.setattr(regex, "search", lambda expression: right(rf"\A(?:{expression})\z"))


@breaks("regex.newline", "regex.classes")
def white_space_is_a_blank(patch: Patch) -> None:
    patch.setitem(regex._CLASSES, "s", " ")


@breaks("regex.refused")
def groups_are_allowed(patch: Patch) -> None:
    patch.setattr(regex, "_LITERALS", regex._LITERALS | set("()"))


@breaks("regex.hex")
def codes_are_decimal(patch: Patch) -> None:
    patch.setattr(regex, "_HEX", re.compile(r"[0-9]{2}"))


@breaks("space.rest")
def a_line_may_not_be_longer_than_the_pattern(patch: Patch) -> None:
    right = compiler.Aligner.texts

    def texts(self: compiler.Aligner, doc: Document) -> Any:
        longer = len(doc.fields) > self.minimum and not self._any_fields
        return None if longer else doc.texts if longer else right(self, doc)

    patch.setattr(compiler.Aligner, "texts", texts)


@breaks("space.rest")
def the_last_field_is_one_field(patch: Patch) -> None:
    right = compiler.Aligner.texts

    def texts(self: compiler.Aligner, doc: Document) -> Any:
        found = right(self, doc)
        return found if found is None or self._any_fields else doc.texts[: len(found)]

    patch.setattr(compiler.Aligner, "texts", texts)


@breaks("space.count")
def a_line_may_be_shorter_than_the_pattern(patch: Patch) -> None:
    right = compiler.Aligner.texts

    def texts(self: compiler.Aligner, doc: Document) -> Any:
        lacking = max(0, self.minimum - len(doc.fields))
        return [*doc.texts, *[""] * lacking] if lacking else right(self, doc)

    patch.setattr(compiler.Aligner, "texts", texts)


@breaks("space.delimited")
def quotes_and_brackets_delimit_nothing(patch: Patch) -> None:
    patch.setattr(document, "_CLOSING", {})


@breaks("space.split")
def each_blank_separates(patch: Patch) -> None:
    patch.setattr(document, "_FIELD", re.compile(r"[^ ]*"))
    patch.setattr(
        document,
        "split_fields",
        lambda message: [document.LineField(text, 0, 0) for text in message.split(" ")],
    )


@breaks("space.unnamed", "space.ellipsis")
def fields_are_counted_from_0(patch: Patch) -> None:
    def reference(self: compiler.Aligned) -> str:
        return f"${(self.entry and self.entry.name) or self.position - 1}"

    patch.setattr(compiler.Aligned, "reference", property(reference))


@breaks("space.numbers")
def a_number_may_have_a_unit(patch: Patch) -> None:
    def field_decimal(text: str) -> Decimal | None:
        found = re.match(r"-?[0-9]+(\.[0-9]+)?", text)
        return Decimal(found[0]) if found else None

    patch.setattr(compiler, "field_decimal", field_decimal)


@breaks("limit.length")
def patterns_may_be_longer(patch: Patch) -> None:
    patch.setattr(lint, "MAX_LENGTH", lint.MAX_LENGTH + 1)


@breaks("limit.length")
def patterns_must_be_shorter(patch: Patch) -> None:
    patch.setattr(lint, "MAX_LENGTH", lint.MAX_LENGTH - 1)


@breaks("limit.regexes")
def three_regular_expressions_are_allowed(patch: Patch) -> None:
    patch.setattr(lint, "MAX_REGEXES", 3)


@breaks("limit.any-child")
def four_selectors_with_a_wildcard_are_allowed(patch: Patch) -> None:
    patch.setattr(lint, "MAX_WILDCARD_SELECTORS", 4)


@breaks("kind.braces", "kind.brackets", "terms.quotes", "json.refused", "space.cross-field")
def what_is_not_valid_matches_nothing(_patch: Patch) -> Engine:
    def engine(text: str, message: str) -> Verdict:
        verdict = exporter_engine(text, message)
        return verdict if verdict.valid else Verdict(valid=True)

    return engine


@breaks("kind.by-pattern")
def text_patterns_do_not_see_json(patch: Patch) -> None:
    right = FilterPattern.match

    def match(self: FilterPattern, message: str) -> Any:
        if self.kind == "unstructured" and message.startswith("{"):
            return None
        return right(self, message)

    patch.setattr(FilterPattern, "match", match)
