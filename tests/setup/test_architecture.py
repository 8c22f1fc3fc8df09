"""docs/architecture.md names modules, classes, functions and tests that exist."""

from __future__ import annotations

import re
from functools import reduce
from importlib import import_module

import pytest

from tests.support.tools import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WALK = TEXT.partition("## The walk of one event")[2].partition("\n## ")[0]
NAMES = re.findall(r"`([a-z_/]+)\.py: ([A-Za-z_.]+)`", WALK)
FILES = sorted(set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)", TEXT)))
TESTS = re.findall(r"`(tests/[a-z_/]+\.py)::(test_[a-z_0-9]+)", TEXT)


def test_the_walk_goes_through_every_stage() -> None:
    stages = {module.partition("/")[0] for module, _ in NAMES}
    parts = {"runtime", "sources", "aws", "rules", "patterns", "ledger", "metrics", "web"}
    assert parts | {"model", "exactness"} <= stages


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_each_name_of_the_walk_exists(module: str, name: str) -> None:
    found = import_module("exporter." + module.replace("/", "."))
    assert callable(reduce(getattr, name.split("."), found))


@pytest.mark.parametrize("file", FILES)
def test_each_file_exists(file: str) -> None:
    assert (ROOT / file).exists() or (ROOT / "exporter" / file).exists()


@pytest.mark.parametrize(("file", "test"), TESTS)
def test_each_test_exists(file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")
