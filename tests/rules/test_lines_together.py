"""Lines that are judged together are judged like each line alone, with or without a memory."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.configuration import RuleConfig, load
from exporter.exactness import RuleVersion
from exporter.model import EventKey, JudgedEvent, LogEvent, Partition
from exporter.rules import RuleSet, definition
from exporter.sources.log_groups import LOG_GROUP

GROUP = Partition("apps", "111111111111", "eu-west-1", resource="/app", kind=LOG_GROUP)
EDIT, WATERMARK = 1000, 500
REMOVED = 2000
MESSAGES = st.sampled_from(
    ["GET /a", "POST /b", "GET ERROR", "{", '{"eventID": "7", "eventTime": 5}', "", "é ERROR"]
)
TIMES = st.sampled_from([WATERMARK - 1, WATERMARK, EDIT - 1, EDIT, EDIT + 1])


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Sequence[RuleConfig]:
    """The rules by themselves."""
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    source = {"name": "apps", "type": "log_groups", "log_groups": ["/app"], "format": "lines"}
    patterns = {"edited": "GET", "now": "POST", "added": "ERROR", "always": "[first, second]"}
    made = [
        {"name": name, "pattern": pattern, "metric": f"{name}_total"}
        for name, pattern in patterns.items()
    ]
    path.write_text(yaml.safe_dump({"sources": [source], "rules": made}))
    return load([path]).rules


@pytest.fixture(scope="module")
def rules(configured: Sequence[RuleConfig]) -> RuleSet:
    """A rule that was edited, one that was added then, and one that always counts."""
    before, now, added, always = configured
    return RuleSet(
        {
            "apps": [
                RuleVersion("edited", None, EDIT, definition(before)),
                RuleVersion("edited", EDIT, None, definition(now)),
                RuleVersion("added", EDIT, None, definition(added)),
                RuleVersion("always", None, None, definition(always)),
            ]
        }
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.tuples(MESSAGES, TIMES), max_size=6),
    remembered=st.lists(
        st.none() | st.frozensets(st.sampled_from(["edited", "added", "always"])),
        min_size=6,
        max_size=6,
    ),
    backfill=st.frozensets(st.sampled_from(["edited", "added"])),
    asks=st.booleans(),
)
def test_lines_are_judged_together_as_each_alone(
    rules: RuleSet,
    lines: list[tuple[str, int]],
    remembered: list[frozenset[str] | None],
    backfill: frozenset[str],
    *,
    asks: bool,
) -> None:
    events = [LogEvent(message, at, f"id-{n}") for n, (message, at) in enumerate(lines)]
    memory: dict[EventKey, frozenset[str] | None] = {
        (GROUP.key, f"id-{n}", at): found
        for n, ((_, at), found) in enumerate(zip(lines, remembered, strict=False))
    }

    def known(keys: Sequence[EventKey]) -> list[frozenset[str] | None]:
        return [memory[key] for key in keys]

    together = rules.evaluate(
        events,
        GROUP,
        "lines",
        watermark=WATERMARK,
        backfill=backfill,
        known=known if asks else None,
    )
    alone: list[JudgedEvent] = []
    for event in events:
        # Nothing in these messages is a CloudTrail record, so the formats mean the same.
        (*judged,) = rules.evaluate(
            [event], GROUP, "auto", watermark=WATERMARK, backfill=backfill
        ).events
        counted = memory[GROUP.key, event.id or "", event.time]
        if not (asks and judged and counted is not None and judged[0].judged <= counted):
            alone += judged
    assert list(together.events) == alone


def test_a_rule_counts_what_happened_between_its_addition_and_its_removal(
    configured: Sequence[RuleConfig],
) -> None:
    *_, brief, always = configured
    rules = RuleSet(
        {
            "apps": [
                RuleVersion("brief", EDIT, REMOVED, definition(brief)),
                RuleVersion("always", None, None, definition(always)),
            ]
        }
    )
    events = [LogEvent("GET ERROR", at, f"id-{at}") for at in (EDIT - 1, EDIT, REMOVED)]
    judged = rules.evaluate(events, GROUP, "lines", watermark=WATERMARK).events
    assert [set(event.judged) for event in judged] == [{"always"}, {"always", "brief"}, {"always"}]


def test_lines_of_a_file_are_judged_whenever_they_happened(rules: RuleSet) -> None:
    file = Partition("apps", resource="/var/log/app")
    events = [LogEvent("POST ERROR", 5, None), LogEvent("GET", 5, None)]
    (judged,) = rules.evaluate(events, file, "lines").events
    assert {increment.rule for increment in judged.increments} == {"edited", "added", "always"}
