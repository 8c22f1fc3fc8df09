"""Explains why a message matches a pattern or not: the pattern's tree with the tested values."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias

from exporter.patterns.compile import Aligner, field_test, term_test, value_test
from exporter.patterns.document import Document, NumberText
from exporter.patterns.syntax import (
    MISSING,
    And,
    AnyFields,
    Comparison,
    Condition,
    Field,
    FieldComparison,
    JsonPattern,
    JsonTest,
    NotExists,
    Or,
    SpacePattern,
    Span,
    TermsPattern,
    Tree,
)

NodeKind = Literal["pattern", "and", "or", "condition", "field", "term"]

Part = Literal["holds", "fails", "seen", "note"]
Paint: TypeAlias = Callable[[str, Part], str]
"""Styles a part of a rendered line."""

_MAX_SHOWN = 100
_MAX_VALUES = 5


def _plain(text: str, _part: Part) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Explanation:
    """The result of one part of a pattern for a message."""

    source: str
    """The part as it is written in the pattern."""
    kind: NodeKind
    matched: bool
    seen: str | None = None
    """The tested value, readable, if any."""
    note: str | None = None
    """A sentence for the user, if the result is a surprise."""
    children: tuple[Explanation, ...] = ()

    def render(self, paint: Paint = _plain) -> str:
        """The tree as text, with ✓ (true) or ✗ (false) and one part on each line."""
        return "\n".join(self._lines(0, paint))

    def _lines(self, depth: int, paint: Paint) -> list[str]:
        words = {"and": "all of", "or": "one of"}
        mark = paint("✓", "holds") if self.matched else paint("✗", "fails")
        line = f"{'  ' * depth}{mark} "
        line += words.get(self.kind) or (" ".join(self.source.split()) or "(the empty pattern)")
        if self.seen is not None:
            line += paint(f"  ← {self.seen}", "seen")
        lines = [line]
        if self.note:
            lines.append(f"{'  ' * depth}  {paint(f'({self.note})', 'note')}")
        for child in self.children:
            lines += child._lines(depth + 1, paint)
        return lines


def explain(text: str, tree: Tree, document: Document) -> Explanation:
    """Evaluate every part of a pattern, including those that matching would skip."""
    if isinstance(tree, TermsPattern):
        return _explain_terms(text, tree, document)
    if isinstance(tree, JsonPattern):
        return _explain_json(text, tree, document)
    if isinstance(tree, SpacePattern):
        return _explain_space(text, tree, document)
    return Explanation(text.strip(), "pattern", matched=True, note="it matches every log event")


def _source(text: str, span: Span) -> str:
    return text[span.start : span.end]


def _explain_terms(text: str, tree: TermsPattern, document: Document) -> Explanation:
    ignored = any(term.mode != "optional" for term in tree.terms)
    children: list[Explanation] = []
    counted: list[bool] = []
    for term in tree.terms:
        found = term_test(term)(document)
        holds = found != (term.mode == "excluded")
        note = None
        if term.mode == "optional" and ignored:
            note = "ignored: AWS counts ? terms only if there are no others"
        else:
            counted.append(holds)
        seen = "found" if found else "not found"
        children.append(Explanation(_source(text, term.span), "term", holds, seen, note))
    matched = all(counted) if ignored else any(counted)
    return Explanation(text.strip(), "pattern", matched, children=tuple(children))


def _explain_json(text: str, tree: JsonPattern, document: Document) -> Explanation:
    obj = document.json
    note = None
    if obj is None:
        note = (
            f"the message is not a JSON object, so no JSON pattern matches: {document.json_error}"
        )

    def leaf(test: JsonTest) -> Explanation:
        source = _source(text, test.span)
        if obj is None:
            return Explanation(source, "condition", matched=False)
        values = list(test.selector.select_all(obj)) or [MISSING]
        holds = value_test(test)
        missing = values == [MISSING]
        matched = missing if isinstance(test, NotExists) else any(map(holds, values))
        hint = None if matched else _hint(test, values)
        return Explanation(source, "condition", matched, _shown_all(values), hint)

    child = _explain_condition(text, tree.condition, leaf)
    return Explanation(text.strip(), "pattern", child.matched, note=note, children=(child,))


def _hint(test: JsonTest, values: list[object]) -> str | None:
    """The reason why a comparison is false, if that is a surprise."""
    if not isinstance(test, Comparison):
        return None
    if not any(isinstance(value, str) for value in values):
        if test.operator != "!=":
            return None
        return "AWS compares texts and numbers only: != is false here, too"
    if test.operator in ("=", "!=") or any(isinstance(value, NumberText) for value in values):
        return None
    return f"AWS compares numbers only with {test.operator}: this is a text"


def _explain_condition(
    text: str, condition: Condition, leaf: Callable[[Any], Explanation]
) -> Explanation:
    if not isinstance(condition, And | Or):
        return leaf(condition)
    children = tuple(_explain_condition(text, operand, leaf) for operand in condition.operands)
    results = [child.matched for child in children]
    source = _source(text, condition.span)
    if isinstance(condition, And):
        return Explanation(source, "and", all(results), children=children)
    return Explanation(source, "or", any(results), children=children)


def _explain_space(text: str, tree: SpacePattern, document: Document) -> Explanation:
    aligner = Aligner(tree)
    texts = aligner.texts(document)
    if texts is None:
        count = len(document.fields)
        note = f"the pattern needs at least {aligner.minimum} fields, the line has {count}"
        return Explanation(text.strip(), "pattern", matched=False, note=note)
    aligned = aligner.align(texts)
    seen = {id(one.entry): one for one in aligned if one.entry is not None}
    between = [one.text for one in aligned if one.entry is None]
    children: list[Explanation] = []
    for entry in tree.entries or (AnyFields(),):
        if isinstance(entry, AnyFields):
            shown = _shown_all(list(between)) if between else "no fields"
            children.append(Explanation("...", "field", matched=True, seen=shown))
            continue
        found = seen[id(entry)]
        children.append(_explain_field(text, entry, found.text, found.reference))
    matched = all(child.matched for child in children)
    return Explanation(text.strip(), "pattern", matched, children=tuple(children))


def _explain_field(text: str, entry: Field, value: str, reference: str) -> Explanation:
    if entry.condition is None:
        return Explanation(entry.name or reference, "field", matched=True, seen=_shown(value))

    def leaf(test: FieldComparison) -> Explanation:
        source = _source(text, test.span)
        return Explanation(source, "condition", field_test(test)(value), _shown(value))

    child = _explain_condition(text, entry.condition, leaf)
    if child.kind == "condition":
        return Explanation(child.source, "field", child.matched, child.seen)
    return Explanation(
        _source(text, entry.span), "field", child.matched, _shown(value), children=(child,)
    )


def _shown_all(values: list[object]) -> str:
    if len(values) == 1:
        return _shown(values[0])
    shown = ", ".join(_shown(value) for value in islice(values, _MAX_VALUES))
    more = len(values) - _MAX_VALUES
    return f"{shown} and {more} more" if more > 0 else shown


def _shown(value: object) -> str:
    if value is MISSING:
        return "missing"
    if isinstance(value, dict):
        return f"an object of {len(value)} keys"
    if isinstance(value, list):
        return f"an array of {len(value)} elements"
    if isinstance(value, NumberText):
        return _cut(str(value))
    if isinstance(value, str):
        return json.dumps(_cut(value), ensure_ascii=not value.isprintable())
    return json.dumps(value)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
