"""Rules that need events of global services on a source that does not read their region."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.configuration import check

IAM = '{ ($.eventSource = "iam.amazonaws.com") && ($.eventName = CreateUser) }'
MIXED = "{ ($.eventName = DeleteBucket) || ($.eventName = PutUserPolicy) }"
ELSEWHERE = [
    "{ $.eventName = CreateUser }",  # several services have one
    '{ $.eventSource = "s*" }',
    '{ ($.eventSource = "ec2.amazonaws.com") && ($.eventName = CreateRole) }',
    '{ $.eventSource != "iam.amazonaws.com" }',
    '{ $.requestParameters.eventSource = "iam.amazonaws.com" }',
    "iam.amazonaws.com",
]


def warnings(folder: Path, *patterns: str, sources: str) -> list[str]:
    rules = "".join(f"  - {{name: r{n}, pattern: '{one}'}}\n" for n, one in enumerate(patterns))
    path = folder / "config.yaml"
    path.write_text(f"sources:\n{sources}rules:\n{rules}")
    checked = check([path])
    assert not checked.errors
    return [one.message for one in checked.problems if "global services" in one.message]


def history(regions: str, name: str = "h") -> str:
    return f"  - {{name: {name}, type: event_history, {regions}}}\n"


@pytest.mark.parametrize("pattern", [IAM, MIXED, "{ $.eventName = ConsoleLogin }"])
def test_a_rule_that_would_miss_them_is_named(tmp_path: Path, pattern: str) -> None:
    (warning,) = warnings(tmp_path, *ELSEWHERE, pattern, sources=history("regions: [eu-west-1]"))
    assert warning.startswith("add us-east-1, which alone shows events of global services (IAM,")
    assert warning.endswith(": `r6` would miss them")


def test_one_warning_names_several_rules(tmp_path: Path) -> None:
    (warning,) = warnings(tmp_path, *[IAM] * 5, sources=history("regions: [eu-west-1]"))
    assert warning.endswith(": `r0`, `r1`, `r2` and 2 more rules would miss them")


@pytest.mark.parametrize(
    "sources",
    [
        history("regions: [eu-west-1, us-east-1]"),
        history("regions: all"),
        history("interval: 60s"),  # the session's region is not known
        history("regions: [us-gov-west-1]"),
        history("regions: [cn-north-1]"),
        history("regions: [eu-west-1]") + history("regions: [us-east-1]", "global"),
        "  - {name: trail, type: log_groups, log_groups: [trail], regions: [eu-west-1]}\n",
    ],
)
def test_other_sources_and_regions_give_no_warning(tmp_path: Path, sources: str) -> None:
    assert not warnings(tmp_path, IAM, sources=sources)
