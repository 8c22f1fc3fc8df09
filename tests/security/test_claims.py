"""SECURITY.md claims nothing that no test holds."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.tools import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
NAMED = sorted(set(TEST.findall(TEXT)))
CLAIMS = re.search(r"## Threats that it withstands(.*?)\n## ", TEXT, re.DOTALL)


def test_it_names_tests() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_it_names_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_claim_names_a_test() -> None:
    assert CLAIMS is not None
    claims = re.findall(r"^- .*(?:\n {2}.*)*", CLAIMS[1], re.MULTILINE)
    assert len(claims) > 20
    assert [claim for claim in claims if not TEST.search(claim)] == []


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)[)#]", TEXT))))
def test_its_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
