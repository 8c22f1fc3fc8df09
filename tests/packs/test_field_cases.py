"""The field's cases: shapes of logs that people reported, and how often each counts."""

from __future__ import annotations

import json

import pytest

from exporter.configuration.packs import available_packs
from scripts.field_cases import differences
from tests.support.shared import shared_files

_WRAPPED = {"eks-fluentbit-wrapped", "eks-v1beta1"}
"""The description of the pack eks-audit says that it does not read them."""


@pytest.mark.parametrize("pack", available_packs())
def test_a_pack_counts_the_cases_of_the_field_right(pack: str) -> None:
    # The cases of files take longer: `python -m scripts.field_cases`.
    (path,) = shared_files("field", "cases.jsonl")
    cases = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    wrong = {
        case["id"]: different
        for case in cases
        if case["pack"] == pack and case["id"] not in _WRAPPED and (different := differences(case))
    }
    assert wrong == {}
