"""``check --plan`` says which requests reading will take, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import Result

from exporter.ledger.base import Member
from exporter.ledger.sqlite import SqliteLedger
from exporter.planning.forecast import Rates, from_text, grouped, to_text
from metric_filter_demo.aws import DEFAULT_ACCOUNT, EmbeddedAws

Invoke = Callable[..., Result]

CONFIG = """\
sources:
  - {name: history, type: event_history, regions: [us-east-1]}
  - {name: apps, type: log_groups, regions: [us-east-1], log_groups: ["/aws/*"], format: lines}
  - {name: bus, type: event_bus,
     queue_url: "https://sqs.us-east-1.amazonaws.com/111122223333/q"}
  - {name: bucket, type: trail_bucket, bucket: org-trail}
  - {name: files, type: files, paths: ["/tmp/none/*.log"], format: lines}
rules:
  - name: users
    pattern: "{ ($.eventName = DeleteUser) || ($.eventName = DeleteRole) }"
    sources: [history, bus, bucket]
  - {name: errors, pattern: ERROR, sources: [apps, files]}
"""
READS = "  - {name: denied, pattern: '{ $.errorCode = AccessDenied }', sources: [history]}\n"


@pytest.fixture
def plan(tmp_path: Path, invoke: Invoke) -> Callable[..., list[str]]:
    def run(*options: str, more: str = "", config: str = CONFIG) -> list[str]:
        (tmp_path / "c.yaml").write_text(config + more)
        result = invoke("check", "--config.file", str(tmp_path / "c.yaml"), "--plan", *options)
        assert result.exit_code == 0, result.output
        return [line for line in result.stdout.splitlines() if line]

    return run


def of(lines: list[str], start: str) -> list[str]:
    """The lines about a source."""
    begin = next(n for n, line in enumerate(lines) if line.startswith(start))
    ends = (n for n, line in enumerate(lines) if n > begin and not line.startswith("  "))
    return lines[begin : next(ends, len(lines))]


def test_requests_reasons_calls_and_prices_follow_from_assumptions(
    plan: Callable[..., list[str]],
) -> None:
    lines = plan()
    assert "assumes 1 log event" in " ".join(lines)
    quiet = plan("--plan.events-per-second", "0.01")
    assert of(quiet, "history")[:3] == [
        "history, each account and region:",
        "  request: ReadOnly=false",
        "  why: No rule counts read-only events.",
    ]
    assert of(lines, "apps")[1] == '  request: "ERROR"'
    assert "free of charge" in of(lines, "apps")[-1]
    assert "0.05 USD a month" in of(lines, "bus")[-1]
    assert "0.22 USD a month" in of(lines, "bucket")[-1]
    assert of(lines, "files")[-1] == "  why: AWS is not called."


def test_a_busier_account_takes_more_calls_and_a_rule_of_reads_most(
    plan: Callable[..., list[str]],
) -> None:
    def calls(lines: list[str]) -> int:
        (about,) = (line for line in of(lines, "history") if line.startswith("  about"))
        return int(about.split()[1].replace(",", ""))

    quiet, busy = plan(), plan("--plan.events-per-second", "10")
    reads = plan("--plan.events-per-second", "10", more=READS)
    assert calls(quiet) < calls(busy) < calls(reads)
    assert "request: everything" in of(reads, "history")[1]
    assert "AccessDenied" in of(reads, "history")[2]
    too_many = of(plan("--plan.events-per-second", "60", more=READS), "history")
    assert "`budget` allow 172,800 calls of LookupEvents a day" in too_many[-1]


def test_the_budget_is_a_part_of_what_aws_allows(plan: Callable[..., list[str]]) -> None:
    config = """\
sources: [{name: history, type: event_history, regions: [us-east-1], budget: 1%}]
rules: [{name: all, pattern: ""}]
"""
    lines = of(plan(config=config), "history")
    assert "`budget` allow 1,728 calls of LookupEvents a day" in lines[-1]


def test_a_plan_goes_by_what_the_exporter_has_seen(
    tmp_path: Path, plan: Callable[..., list[str]]
) -> None:
    seen = to_text(
        Rates("111122223333", "us-east-1", "everything", events={"everything": 0.001 * number})
        for number in range(500)
    )
    with closing(SqliteLedger.open(tmp_path / "data")) as ledger:
        ledger.expire("apps", [Member("apps", [], None, 0, seen)])
        lines = of(plan("--storage.path", str(tmp_path / "data")), "apps")
    assert lines[0] == "apps, 111122223333, us-east-1, 500 partitions:"
    assert lines[1] == "  read now: everything, 0.25 log events a second each"
    assert len(lines) == 5


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        for name in ("/aws/a", "/aws/b"):
            running.log_group_create("us-east-1", name)
        yield running


def test_aws_is_asked_what_there_is_only_if_it_may(
    aws: EmbeddedAws, plan: Callable[..., list[str]]
) -> None:
    config = """\
sources: [{name: apps, type: log_groups, regions: [us-east-1], log_groups: ["/aws/*"]}]
rules: [{name: errors, pattern: ERROR}]
"""
    plan(config=config)
    assert aws.calls.snapshot() == {}
    found = of(plan("--online", config=config), "apps")[-1]
    assert found == f"  found: 2 in account {DEFAULT_ACCOUNT}, us-east-1"


def test_many_places_are_grouped_in_the_ledger() -> None:
    many = [
        Rates(f"{account:012}", region, "everything", events={"everything": 1.0})
        for account in range(60)
        for region in ("us-east-1", "eu-west-1", "eu-west-2")
    ]
    assert {(one.account_id, one.partitions) for one in grouped(many)} == {("", 60)}
    assert from_text(to_text(many)) == grouped(many)
    assert to_text([]) == ""
