"""What a rule's ``exclude`` leaves out adds to no series of the rule, and is counted by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from exporter.configuration import RuleConfig, load
from exporter.ledger.base import Batch, RuleUse
from exporter.ledger.sqlite import SqliteLedger
from exporter.model import EXCLUDED_METRIC, Increment, LogEvent, Partition
from exporter.rules import RuleSet
from exporter.rules.rule import definition

HISTORY = Partition("trail", "111122223333", "eu-west-1")
HERE = {"account_id": "111122223333", "region": "eu-west-1", "source": "trail"}

LoadRule = Callable[[str], RuleConfig]


@pytest.fixture
def load_rule(tmp_path: Path) -> LoadRule:
    """A rule with these keys besides its name and metric."""

    def load_text(keys: str) -> RuleConfig:
        path = tmp_path / "config.yaml"
        path.write_text(
            "sources: [{name: trail, type: event_history}]\n"
            f"rules: [{{name: r, metric: r_total, {keys}}}]\n"
        )
        (rule,) = load([path]).rules
        return rule

    return load_text


def increments(rule: RuleConfig, messages: Sequence[str]) -> list[Increment]:
    events = [LogEvent(message, 1, str(number)) for number, message in enumerate(messages)]
    return RuleSet.of([rule]).evaluate(events, HISTORY, "lines").increments


@pytest.mark.parametrize(
    "pattern",
    ["pattern: '{ $.user = * }', labels: {user: $.user, team: ops}",
     "pattern: user, labels: {user: $.user, team: ops}"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("exclude", "counted"),
    [
        ('{user: ["ci-*"]}', ["ana", "deploy"]),
        ('{user: ["ci-*", deploy]}', ["ana"]),
        ('{user: ["*"]}', []),
        ("{user: [CI-1, ci]}", ["ana", "ci-1", "deploy"]),
        ("{team: [ops]}", []),
        ('{account_id: ["111122223333"]}', []),
        ('{account_id: ["4*"], user: [ana]}', ["ci-1", "deploy"]),
    ],
)
def test_a_match_with_an_excluded_value_is_left_out_and_counted(
    load_rule: LoadRule, pattern: str, exclude: str, counted: list[str]
) -> None:
    users = ["ana", "ci-1", "deploy"]
    made = increments(
        load_rule(f"{pattern}, exclude: {exclude}"), [json.dumps({"user": user}) for user in users]
    )
    own = [one for one in made if one.series.metric == "r_total"]
    assert [dict(one.series.labels)["user"] for one in own] == counted
    left_out = [one for one in made if one.series.metric == EXCLUDED_METRIC]
    assert len(left_out) == len(users) - len(counted)
    for one in left_out:
        assert (dict(one.series.labels), one.value) == ({**HERE, "rule": "r"}, 1.0)


def test_lines_and_values_are_left_out_too(load_rule: LoadRule) -> None:
    rule = load_rule(
        "pattern: '[user, bytes]', labels: {user: $user}, value: $bytes, exclude: {user: [bot]}"
    )
    made = increments(rule, ["ana 5", "bot 7", "ana -", "bot -"])
    assert [(one.series.metric, one.value) for one in made] == [
        ("r_total", 5.0),
        (EXCLUDED_METRIC, 1.0),
        ("r_total", None),
        (EXCLUDED_METRIC, 1.0),
    ]


def test_matches_that_are_left_out_count_once_and_are_no_matches(
    load_rule: LoadRule, tmp_path: Path
) -> None:
    rule = load_rule("pattern: user, labels: {user: $.user}, exclude: {user: [bot]}")
    use = RuleUse(None, own_start=False, definition=definition(rule), max_series=10)
    given = [LogEvent(json.dumps({"user": user}), 1, f"{n}") for n, user in enumerate(["a", "bot"])]
    for checkpoint in ("1", "2"):
        with closing(SqliteLedger.open(tmp_path / "ledger")) as ledger:
            uses = {"trail": {"r": use}}
            loaded = ledger.load_rules(uses, now=0, keep={"trail": 9}, generation="1")
            rules = RuleSet(loaded.versions, [rule])
            events = rules.evaluate(given, HISTORY, "lines").events
            before = ledger.checkpoint(HISTORY)
            ledger.commit(Batch(HISTORY, "trail", checkpoint, before, events, remember_from=0))
            totals = {one.key.metric: one.total for one in ledger.series()}
            assert totals == {"r_total": 1.0, EXCLUDED_METRIC: 1.0}
            assert [one.matches for one in ledger.rule_totals()] == [1]
