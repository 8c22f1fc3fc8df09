"""``fieldSelectionCriteria`` select accounts and regions as AWS documents them."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.configuration import Configuration, ConfigurationError, load
from exporter.configuration.selection_criteria import SelectionCriteria, parse_criteria
from exporter.model import LogEvent, Partition
from exporter.rules import RuleSet
from exporter.rules.rule import definition
from exporter.sources.log_groups import LOG_GROUP

A, B = "111122223333", "444455556666"
EAST, WEST = "us-east-1", "eu-west-1"


def read(text: str) -> SelectionCriteria:
    criteria = parse_criteria(text)
    assert criteria is not None
    return criteria


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        (f'@aws.region = "{EAST}"', {(A, EAST), (B, EAST)}),
        (f'@aws.account IN ["{A}", "987654321098"]', {(A, EAST), (A, WEST)}),
        (f'@aws.region NOT IN ["{EAST}"]', {(A, WEST), (B, WEST)}),
        (f'@aws.account = "{A}" AND @aws.region = "{EAST}"', {(A, EAST)}),
        (f'@aws.account!="{A}" or @aws.region="{EAST}"', {(A, EAST), (B, EAST), (B, WEST)}),
        (
            f'@aws.account = "{B}" OR @aws.account = "{A}" AND @aws.region = "{WEST}"',
            {(A, WEST), (B, EAST), (B, WEST)},
        ),
    ],
)
def test_criteria_select_accounts_and_regions(text: str, selected: set[tuple[str, str]]) -> None:
    places = [(account, region) for account in (A, B) for region in (EAST, WEST)]
    assert {place for place in places if read(text).select(*place)} == selected


VALUES = st.lists(st.sampled_from([A, B, EAST, WEST]), min_size=1, max_size=3)
CONDITIONS = st.tuples(st.sampled_from(["@aws.account", "@aws.region"]), st.booleans(), VALUES)


@given(
    alternatives=st.lists(st.lists(CONDITIONS, min_size=1, max_size=3), min_size=1, max_size=3),
    gap=st.sampled_from([" ", "  ", "\n"]),
    place=st.tuples(st.sampled_from([A, B]), st.sampled_from([EAST, WEST])),
)
def test_criteria_hold_if_all_conditions_of_an_alternative_do(
    alternatives: list[list[tuple[str, bool, list[str]]]], gap: str, place: tuple[str, str]
) -> None:
    def written(field: str, negated: bool, values: list[str]) -> str:
        if len(values) == 1:
            return f'{field}{gap}{"!=" if negated else "="}{gap}"{values[0]}"'
        return f"{field}{gap}{'NOT ' if negated else ''}IN{gap}{json.dumps(values)}"

    def holds(field: str, negated: bool, values: list[str]) -> bool:
        return (place[field == "@aws.region"] in values) != negated

    text = f"{gap}OR{gap}".join(
        f"{gap}AND{gap}".join(written(*one) for one in conditions) for conditions in alternatives
    )
    expected = any(all(holds(*one) for one in conditions) for conditions in alternatives)
    assert read(text).select(*place) == expected


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("@aws.region = x", "has no condition at '@aws.region = x'"),
        ('@aws.regoin = "x"', "@aws.regoin is not a system field: @aws.account or @aws.region"),
        ('@aws.region IN "x"', "has no condition"),
        ("@aws.region IN []", "has no condition"),
        ('@aws.region = "x" @aws.account = "y"', "has no AND or OR at '@aws.account"),
        ('@aws.region = "x" AND', "has no condition at ''"),
        ('(@aws.region = "x")', "has no condition"),
        ('@aws.region = "' + 2000 * "x" + '"', "at most 2,000 characters"),
    ],
)
def test_other_criteria_are_errors(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong.replace("(", r"\(")):
        parse_criteria(text)


FILTER = """\
    sources:
      - {name: apps, type: log_groups, log_groups: ["*"]}
      - {name: history, type: event_history}
    rules:
      - filterName: errors
        filterPattern: ERROR
        fieldSelectionCriteria: '@aws.account = "111122223333"'
        emitSystemFieldDimensions: ["@aws.account", "@aws.region"]
        metricTransformations: [{metricName: e, metricNamespace: n, metricValue: 1}]
        sources: [apps]
      - {name: all, pattern: ERROR, sources: [apps]}
"""


def loaded(tmp_path: Path, text: str) -> Configuration:
    path = tmp_path / "c.yaml"
    path.write_text(textwrap.dedent(text))
    return load([path])


def test_a_pasted_filter_counts_the_log_groups_that_it_selects(tmp_path: Path) -> None:
    rules = RuleSet.of(loaded(tmp_path, FILTER).rules)
    for account, counting in ((A, ["errors", "all"]), (B, ["all"])):
        partition = Partition("apps", account, EAST, "/app", LOG_GROUP)
        event = LogEvent("ERROR", time=1, id="1")
        increments = rules.evaluate([event], partition, "auto", watermark=0).increments
        assert [one.rule for one in increments] == counting
        assert {dict(one.series.labels)["account_id"] for one in increments} == {account}
        assert list(rules.static_series(partition)) == counting


def test_criteria_are_part_of_a_rule_s_version_and_others_stay_as_they_were(
    tmp_path: Path,
) -> None:
    selected, other = loaded(tmp_path, FILTER).rules
    assert json.loads(definition(selected))["criteria"] == '@aws.account = "111122223333"'
    assert "criteria" not in json.loads(definition(other))


def test_criteria_need_log_groups(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, FILTER.replace("sources: [apps]\n      -", "sources: [history]\n      -"))
    assert "only log groups have system fields" in str(caught.value)
    assert "c.yaml:7:" in str(caught.value)
