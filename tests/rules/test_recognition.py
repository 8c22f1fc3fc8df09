"""Lines that look like a pack's format and that no rule matches are counted, and never shown."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence

import pytest

from exporter.configuration import LineFormat, Location, RuleConfig
from exporter.model import LogEvent, Partition
from exporter.rules import RuleSet
from exporter.rules.recognition import Unrecognized, shape_of
from exporter.sources.log_groups import LOG_GROUP

GROUP = Partition("apps", "123456789012", "us-east-1", "/app", LOG_GROUP)
FORMAT = {"looks_like": ["status"], "other": ['"status page"']}


def found(
    patterns: Sequence[str], *lines: str, read_before: bool = False
) -> Mapping[str, Unrecognized]:
    rules = [
        RuleConfig(
            name=f"r{at}",
            pattern=one,
            sources=("apps",),
            metric=f"r{at}_total",
            location=Location("rules.yaml"),
        )
        for at, one in enumerate(patterns)
    ]
    given = RuleSet.of(rules, {"apps": {"shop": LineFormat.model_validate(FORMAT)}})
    events = [LogEvent(line, 1000, str(at)) for at, line in enumerate(lines)]

    def known(keys: Sequence[object]) -> list[None]:
        return [None for _ in keys]

    outcomes = [
        one.evaluate(events, GROUP, "auto", known=known if read_before else None).unrecognized
        for one in (given, pickle.loads(pickle.dumps(given)))  # noqa: S301
    ]
    assert outcomes[0] == outcomes[1]
    return outcomes[0]


LINES = ["status=200", "status: 404", "a status page", "hello"]


@pytest.mark.parametrize(
    "patterns",
    [
        pytest.param(['"status="'], id="text"),
        pytest.param(['"status="', "{ $.status = 200 }"], id="text and JSON"),
        pytest.param(['[one = "status=200"]'], id="fields"),
    ],
)
def test_a_line_that_looks_like_the_format_and_matches_no_rule_counts(
    patterns: list[str],
) -> None:
    assert found(patterns, *LINES) == {"shop": Unrecognized(1, "aaaaaa: 000")}


def test_json_that_no_rule_matches_counts() -> None:
    lines = [json.dumps({"status": 200}), json.dumps({"status": {"code": 200}})]
    assert found(["{ $.status = 200 }"], *lines) == {
        "shop": Unrecognized(1, '{"aaaaaa": {"aaaa": 000}}')
    }


def test_lines_that_are_read_again_do_not_count() -> None:
    assert found(['"status="'], *LINES, read_before=True) == {}


def test_a_shape_has_nothing_of_the_contents() -> None:
    assert shape_of("Ana-Ünal 10.0.0.7\t\x1b[31mπ²\n") == "aaa-aaaa 00.0.0.0  [00aa0 "
    assert len(shape_of("x" * 1000)) == 200


def test_of_many_lines_some_are_looked_at_and_stand_for_the_others() -> None:
    assert found(['"status="'], *["status: 404"] * 1001) == {
        "shop": Unrecognized(1001, "aaaaaa: 000")
    }
