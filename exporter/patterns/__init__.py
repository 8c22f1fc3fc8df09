"""The CloudWatch Logs filter-pattern language: parsed, compiled, explained.

One language for metric filters, FilterLogEvents, subscription filters and Live Tail. Knows nothing
of rules or AWS calls. docs/patterns.md describes it for users.
"""

from __future__ import annotations

from exporter.patterns.document import Document
from exporter.patterns.errors import PatternError, PatternWarning, caret
from exporter.patterns.explanation import Explanation
from exporter.patterns.json_text import json_text
from exporter.patterns.numeric import NumberText
from exporter.patterns.parser_selector import parse_selector
from exporter.patterns.pattern import FilterPattern, Match, compile_pattern
from exporter.patterns.render import render
from exporter.patterns.selector import MISSING, Missing, Selector

__all__ = [
    "MISSING",
    "Document",
    "Explanation",
    "FilterPattern",
    "Match",
    "Missing",
    "NumberText",
    "PatternError",
    "PatternWarning",
    "Selector",
    "caret",
    "compile_pattern",
    "json_text",
    "parse_selector",
    "render",
]
