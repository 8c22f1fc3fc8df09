"""Configuration files: ``<config.yaml> RS <rules.yaml>`` (RS: U+001E)."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from unittest.mock import patch

from exporter.configuration import Configuration, ConfigurationError, Problem, load
from exporter.configuration import check as check_files
from fuzz.folders import own_folder

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_FOLDER = own_folder("configuration")
_glob = glob.glob


def _glob_here(pattern: str, *, recursive: bool = False) -> list[str]:
    """As glob.glob, in the input's own folder only: `/**` would walk the whole machine."""
    inside = os.path.normpath(pattern).startswith(f"{_FOLDER}{os.sep}")
    return _glob(pattern, recursive=recursive) if inside else []


def check(data: bytes) -> None:
    """Any files only result in problems, each at an existing position; never in another error."""
    parts = data.split(b"\x1e", 1)
    config, rules = _FOLDER / "config.yaml", _FOLDER / "rules.yaml"
    config.write_bytes(parts[0])
    rules.write_bytes(parts[1] if len(parts) > 1 else b"rules: []")
    with patch("glob.glob", _glob_here):
        checked = check_files([config])
        assert _loaded(config) == (checked.configuration or checked.errors)
    contents = {str(path): path.read_bytes() for path in (config, rules)}
    for problem in checked.problems:
        _check_problem(problem, contents)


def _loaded(config: Path) -> Configuration | tuple[Problem, ...]:
    try:
        return load([config])
    except ConfigurationError as error:
        return error.problems


def _check_problem(problem: Problem, contents: dict[str, bytes]) -> None:
    assert problem.message
    assert problem.render()
    content = contents.get(problem.location.file)
    if content is None or problem.location.line is None or problem.location.column is None:
        return
    lines = _LINE_BREAK.split(content.decode("utf-8-sig"))
    assert 1 <= problem.location.line <= len(lines), problem
    line = lines[problem.location.line - 1]
    assert 1 <= problem.location.column <= len(line) + 1, problem
    assert problem.location.source_line == line, problem
