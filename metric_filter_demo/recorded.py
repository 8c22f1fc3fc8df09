"""Recorded answers of AWS to filter patterns: the conformance suite's cases.

The embedded AWS judges no pattern by itself. If it used the exporter's own engine, comparing the
exporter with it could show nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from metric_filter_demo.protocol import ApiError

_FOLDERS = (Path(__file__).parent, Path(__file__).parents[1])
"""Of the folder ``conformance``: in the installed package, and in the repository."""

Extracted = Mapping[str, str]
"""AWS: extractedValues."""


class RecordedAnswers:
    """Answers to pairs of a pattern and a message; conformance/README.md has the file's format."""

    def __init__(self, path: Path) -> None:
        self._refused: set[str] = set()
        self._answers: dict[tuple[str, str], Extracted | None] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            if not case["valid"]:
                self._refused.add(case["pattern"])
                continue
            extracted = case.get("extract", {}) if case["match"] else None
            self._answers[case["pattern"], case["message"]] = extracted

    def refuses(self, pattern: str) -> bool:
        """Whether AWS does not accept the pattern."""
        return pattern in self._refused

    def match(self, pattern: str, message: str) -> Extracted | None:
        """Give what the pattern extracts from the message; None if it does not match.

        Raises:
            ApiError: nothing is recorded of the two.
        """
        if not pattern:
            return {}  # AWS: the empty pattern matches every log event
        try:
            return self._answers[pattern, message]
        except KeyError:
            raise ApiError(
                "InvalidOperationException",
                f"This AWS is embedded and has no recorded answer to the pattern {pattern!r} on a "
                f"message of {len(message)} characters; it knows the cases of the conformance "
                "suite only. Ask AWS itself.",
            ) from None


@lru_cache(maxsize=1)
def conformance_answers() -> RecordedAnswers:
    """Read the conformance suite's counted cases."""
    paths = [folder / "conformance" / "cases.jsonl" for folder in _FOLDERS]
    return RecordedAnswers(next(path for path in paths if path.exists()))
