"""Files of rule tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from exporter.ruletests import RuleTestFile, load_rule_tests

RULES = """\
rules:
  - name: root
    pattern: '{ $.userIdentity.type = Root }'
    metric: root_total
    labels: {user: $.userIdentity.arn, ip: $.ip, team: security}
  - name: denied
    pattern: '{ $.errorCode = AccessDenied* }'
  - name: slow
    pattern: '[level, seconds >= 1, ...]'
    metric: slow_seconds
    type: histogram
    value: $seconds
    buckets: [1, 10]
    labels: {level: $level}
  - name: size
    pattern: '{ $.bytes = * }'
    metric: size_bytes_total
    value: $.bytes
"""
HEAD = "rule_files: [rules.yaml]\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write a file of rule tests beside the rules ``root``, ``denied``, ``slow`` and ``size``.

    What is given begins in line 2.
    """

    def write_tests(text: str) -> Path:
        (tmp_path / "rules.yaml").write_text(RULES)
        path = tmp_path / "a.test.yaml"
        path.write_text(HEAD + dedent(text), encoding="utf-8")
        return path

    return write_tests


@pytest.fixture
def load(write: Callable[[str], Path]) -> Callable[[str], RuleTestFile]:
    """Read a file of rule tests that is right."""

    def load_text(text: str) -> RuleTestFile:
        loaded = load_rule_tests(write(text))
        assert loaded.problems == ()
        assert loaded.file is not None
        return loaded.file

    return load_text
