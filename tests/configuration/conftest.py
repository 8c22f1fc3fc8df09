"""Configuration files for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from exporter.configuration import Problem, check

SOURCES = """\
sources:
  - {name: history, type: event_history}
"""

WriteFile = Callable[..., Path]
ProblemsOf = Callable[[str], Sequence[Problem]]


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Write a file below the test's folder and return its path."""

    def write_file(text: str, name: str = "config.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def problems_of(write: WriteFile) -> ProblemsOf:
    """The problems of a configuration file with this text."""

    def check_text(text: str) -> Sequence[Problem]:
        return check([write(text)]).problems

    return check_text


@pytest.fixture
def problems_of_rules(problems_of: ProblemsOf) -> ProblemsOf:
    """The problems of a file with one source (lines 1 and 2), and these rules from line 3 on."""

    def check_text(text: str) -> Sequence[Problem]:
        return problems_of(SOURCES + dedent(text))

    return check_text
