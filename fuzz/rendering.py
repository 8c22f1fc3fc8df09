"""Writes a syntax tree as a filter pattern, to show that parsing it gives an equal tree."""

from __future__ import annotations

import re

from exporter.patterns.syntax import (
    NUMBER,
    AllPattern,
    And,
    AnyFields,
    Condition,
    Field,
    FieldComparison,
    IsTest,
    JsonPattern,
    NotExists,
    Number,
    Or,
    Regex,
    TermsPattern,
    Text,
    Tree,
)

_SIGNS = {"required": "", "optional": "?", "excluded": "-"}
_DOCUMENTED_BARE = re.compile(r"[A-Za-z0-9_.*]+")
_DOCUMENTED_TERM = re.compile(r"[A-Za-z0-9_]+")
_WORDS = ("null", "true", "false")


def render(tree: Tree) -> str:
    """Write a tree in the form that AWS documents, in as few characters as that allows."""
    if isinstance(tree, AllPattern):
        return ""
    if isinstance(tree, TermsPattern):
        return " ".join(_SIGNS[term.mode] + _term(term.value) for term in tree.terms)
    if isinstance(tree, JsonPattern):
        return f"{{ {render_condition(tree.condition)} }}"
    return f"[{', '.join(map(_entry, tree.entries))}]"


def render_condition(condition: Condition) -> str:
    """Write a condition without the braces around it; operands are in parentheses."""
    if isinstance(condition, And | Or):
        joint = " && " if isinstance(condition, And) else " || "
        return joint.join(
            f"({render_condition(operand)})"
            if isinstance(operand, And | Or)
            else render_condition(operand)
            for operand in condition.operands
        )
    if isinstance(condition, IsTest):
        return f"{condition.selector} IS {condition.keyword}"
    if isinstance(condition, NotExists):
        return f"{condition.selector} NOT EXISTS"
    subject = condition.name if isinstance(condition, FieldComparison) else condition.selector
    return f"{subject} {condition.operator} {_value(condition.value)}"


def _entry(entry: Field | AnyFields) -> str:
    if isinstance(entry, AnyFields):
        return "..."
    if entry.condition is not None:
        return render_condition(entry.condition)
    return entry.name or ""


def _term(value: Text | Regex) -> str:
    if isinstance(value, Regex):
        return f"%{value.source}%"
    return value.text if _DOCUMENTED_TERM.fullmatch(value.text) else _quoted(value.text)


def _value(value: Text | Number | Regex) -> str:
    if isinstance(value, Regex):
        return f"%{value.source}%"
    if isinstance(value, Number):
        return value.lexeme
    text = value.text
    bare = _DOCUMENTED_BARE.fullmatch(text) and not NUMBER.fullmatch(text) and text not in _WORDS
    return text if bare else _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
