"""Events that come in EventBridge's envelopes, in whatever source."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.configuration.rules import RuleConfig
from exporter.model import (
    EventFormat,
    JudgedEvent,
    Limits,
    LogEvent,
    Partition,
    PartitionKind,
    Records,
)
from exporter.rules import Evaluation, RuleSet
from exporter.yamlfile.problems import Location
from tests.support.envelopes import envelope, finding, sign_in

QUEUE = Partition(
    "s", "999999999999", "eu-west-1", "q", PartitionKind("queue", by_event_time=False)
)
FILE = Partition("s", resource="f", kind=PartitionKind("path", by_event_time=False))
GROUP = Partition(
    "s",
    "999999999999",
    "eu-west-1",
    "g",
    PartitionKind("log_group", on_series=True, local_ids=True),
)
PATTERNS = {
    "logins": "{ $.eventName = ConsoleLogin }",
    "enveloped": "{ $.detail.eventName = * }",
    "findings": "{ $.detail.severity > 7 }",
    "lines": "ConsoleLogin",
}
HAPPENED = 1_795_687_200_000
TIME = "2026-11-26T10:00:00Z"


def rule_config(name: str) -> RuleConfig:
    return RuleConfig(
        name=name,
        pattern=PATTERNS[name],
        sources=("s",),
        metric=f"{name}_total",
        location=Location("rules.yaml"),
    )


def evaluate(
    *messages: dict[str, Any] | str,
    partition: Partition = QUEUE,
    form: EventFormat = "auto",
    rules: tuple[str, ...] = ("logins", "enveloped", "findings"),
    limits: Limits | None = None,
) -> Evaluation:
    configured = [rule_config(name) for name in rules]
    texts = [one if isinstance(one, str) else json.dumps(one) for one in messages]
    events = [LogEvent(text, 5, f"own-{number}") for number, text in enumerate(texts)]
    return RuleSet.of(configured).evaluate(events, partition, form, limits=limits)


def matched(one: JudgedEvent) -> set[str]:
    return {increment.rule for increment in one.increments}


def labels(one: JudgedEvent) -> dict[str, str]:
    return dict(one.increments[0].series.labels)


@pytest.mark.parametrize("partition", [QUEUE, FILE, GROUP])
@pytest.mark.parametrize("form", ["auto", "cloudtrail"])
@pytest.mark.parametrize("rules", [("logins", "enveloped"), ("logins", "enveloped", "lines")])
def test_a_record_in_an_envelope_counts_as_the_record(
    partition: Partition, form: EventFormat, rules: tuple[str, ...]
) -> None:
    record = sign_in(eventTime=TIME, recipientAccountId="111111111111", awsRegion="us-west-2")
    plain, enveloped = evaluate(
        record, envelope(record), partition=partition, form=form, rules=rules
    ).events
    for one in (plain, enveloped):
        assert matched(one) == set(rules) - {"enveloped"}
        assert (labels(one)["account_id"], labels(one)["region"]) == ("111111111111", "us-west-2")
    assert (enveloped.scope, enveloped.event_id, enveloped.event_time) == (
        plain.scope,
        record["eventID"],
        HAPPENED,
    )
    assert (plain.scope == "") == (partition is not GROUP or form == "cloudtrail")


@pytest.mark.parametrize("partition", [QUEUE, FILE, GROUP])
def test_any_other_envelope_counts_as_it_stands(partition: Partition) -> None:
    one = finding(account="222222222222", region="ap-south-1", time=TIME)
    (event,) = evaluate(one, partition=partition).events
    assert matched(event) == {"findings"}
    assert (labels(event)["account_id"], labels(event)["region"]) == ("222222222222", "ap-south-1")
    assert (event.event_id, event.event_time) == (one["id"], HAPPENED)


def test_a_redacted_record_counts_where_only_aws_writes() -> None:
    record = sign_in(eventID="HIDDEN", awsRegion="XX")
    (event,) = evaluate(envelope(record)).events
    assert matched(event) == {"logins"}
    (event,) = evaluate(envelope(record), partition=GROUP).events
    assert matched(event) == {"enveloped"}
    # PutEvents, which anyone in the account may call, takes no source that begins with `aws.`.
    (event,) = evaluate(envelope(record, source="my.app")).events
    assert matched(event) == {"enveloped"}


def test_lines_are_no_envelopes() -> None:
    (event,) = evaluate(envelope(), partition=GROUP, form="lines").events
    assert (matched(event), event.event_id) == ({"enveloped"}, "own-0")


def test_envelopes_in_a_document_count_as_records() -> None:
    records = [envelope(), sign_in(), envelope(sign_in(requestParameters={"n": -0.0}))]
    document = json.dumps({"Records": records}).encode()
    events = Records(
        document, 5, lambda _document: [LogEvent(json.dumps(one), 5) for one in records]
    )
    rules = RuleSet.of([rule_config("logins")])
    assert len(rules.evaluate(events, FILE, "auto").events) == 3


def test_a_record_with_half_a_surrogate_is_the_same_in_an_envelope() -> None:
    record = sign_in(userAgent="\ud800")
    plain, enveloped = evaluate(record, envelope(record)).events
    assert matched(plain) == matched(enveloped) == {"logins"}
    assert plain.event_id == enveloped.event_id


def test_events_beyond_the_limits_do_not_count_and_are_told() -> None:
    messages: list[dict[str, Any] | str] = [
        envelope(sign_in(recipientAccountId="111111111111")),
        envelope(sign_in(recipientAccountId="222222222222")),
        finding(account="222222222222"),
        finding(account="111111111111", time=TIME),
        sign_in(recipientAccountId="111111111111", eventTime="2020-01-01T00:00:00Z"),
        "no JSON",
    ]
    limits = Limits(frozenset(["111111111111"]), HAPPENED)
    found = evaluate(*messages, limits=limits)
    assert [labels(one)["account_id"] for one in found.events] == ["111111111111"] * 2
    assert found.excluded == {
        ("account", "222222222222"): 2,
        ("start", "111111111111"): 1,
        ("account", "999999999999"): 1,
    }
