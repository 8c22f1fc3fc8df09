"""The CloudWatch Logs filter-pattern language (docs/patterns.md). Independent of the exporter.

text → ``parse`` → ``syntax`` → ``compile`` and ``explain``, which evaluate a ``document``.
"""

from __future__ import annotations

from exporter.patterns.compile import Match
from exporter.patterns.document import Document, NumberText, json_text, may_be_object
from exporter.patterns.errors import PatternError, PatternWarning, caret
from exporter.patterns.explain import Explanation
from exporter.patterns.pattern import FilterPattern, compile_pattern
from exporter.patterns.scanner import parse_selector
from exporter.patterns.syntax import MISSING, Selector

__all__ = [
    "MISSING",
    "Document",
    "Explanation",
    "FilterPattern",
    "Match",
    "NumberText",
    "PatternError",
    "PatternWarning",
    "Selector",
    "caret",
    "compile_pattern",
    "json_text",
    "may_be_object",
    "parse_selector",
]
