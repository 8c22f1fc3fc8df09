"""``check --online`` asks AWS whether what the sources name is there, and changes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from typer.testing import Result

from metric_filter_demo.aws import DEFAULT_ACCOUNT, EmbeddedAws
from metric_filter_demo.buckets import bucket_create, object_put
from metric_filter_demo.faults import Faults

Invoke = Callable[..., Result]

CONFIG = """\
sources:
  - {name: history, type: event_history, regions: [us-east-1]}
  - name: apps
    type: log_groups
    regions: [us-east-1, eu-west-1]
    log_groups: [there, "/aws/lambda/*", "/aws/ecs/*", absent]
rules: [{name: errors, pattern: ERROR}]
"""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(quotas={"DescribeLogGroups": math.inf}) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        for region in ("us-east-1", "eu-west-1"):
            running.log_group_create(region, "there")
        running.log_group_create("eu-west-1", "/aws/lambda/checkout")
        yield running


@pytest.fixture
def check(tmp_path: Path, invoke: Invoke) -> Callable[..., Result]:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    return lambda *options: invoke("check", "--config.file", str(path), *options)


def told(result: Result) -> list[str]:
    """The problems, without the lines that show their places."""
    lines = result.stderr.splitlines()
    return [line.split("c.yaml:")[1] for line in lines if "c.yaml:" in line]


def test_without_the_flag_nothing_is_asked(aws: EmbeddedAws, check: Callable[..., Result]) -> None:
    assert check().exit_code == 0
    assert aws.calls.snapshot() == {}


def test_log_groups_that_are_not_there_are_warnings_at_their_places(
    aws: EmbeddedAws, check: Callable[..., Result]
) -> None:
    result = check("--online")
    where = CONFIG.splitlines()[5]
    absent, ecs = where.index("absent") + 1, where.index('"/aws/ecs') + 1
    assert told(result) == [
        f"6:{absent}: warning: there is no log group absent in account 123456789012, region"
        f" {region}: correct the name, or name the source's `regions`"
        for region in ("us-east-1", "eu-west-1")
    ] + [
        f"6:{ecs}: warning: no log group matches /aws/ecs/* in us-east-1, eu-west-1: correct the"
        " pattern, or name the source's `regions`"
    ]
    assert (result.exit_code, result.stdout) == (0, "2 sources, 1 rule: ok (3 warnings)\n")
    asked = {call.operation for call in aws.calls.snapshot()}
    assert asked == {"GetCallerIdentity", "DescribeLogGroups"}


def test_a_region_that_is_denied_is_an_error_and_the_others_are_asked(
    aws: EmbeddedAws, check: Callable[..., Result]
) -> None:
    aws.faults = Faults(denied={"us-east-1": {"DescribeLogGroups"}})
    result = check("--online")
    denied, absent = told(result)
    column = CONFIG.splitlines()[4].index("us-east-1") + 1
    assert denied.startswith(f"5:{column}: error: logs:DescribeLogGroups in account 123456789012,")
    assert "allow logs:DescribeLogGroups in the IAM policy" in denied
    assert "no log group absent in account 123456789012, region eu-west-1" in absent
    assert result.exit_code == 1


def test_patterns_are_compared_with_the_names_that_tags_leave(
    aws: EmbeddedAws, tmp_path: Path, invoke: Invoke
) -> None:
    central = "${source.accountId}/${source.region}/${source.logGroup}"
    aws.log_group_create("us-east-1", "111122223333/eu-west-1//app", tags={"team": "shop"})
    path = tmp_path / "c.yaml"

    def checked(options: str) -> list[str]:
        source = f"{{name: apps, type: log_groups, {options}}}"
        path.write_text(f"sources:\n  - {source}\nrules: [{{name: r, pattern: x}}]\n")
        return told(invoke("check", "--online", "--config.file", str(path)))

    groups = 'log_groups: ["1111*"], identity: "' + central + '"'
    assert checked(f"{groups}, tags: {{team: shop}}") == []
    assert checked("tags: {team: shop}") == []
    (unmatched,) = checked(f"{groups}, tags: {{team: data}}")
    assert "warning: no log group with these tags matches 1111* in the region" in unmatched
    (none,) = checked("tags: {team: data}")
    column = path.read_text().splitlines()[1].index("{team") + 1
    assert none.startswith(f"2:{column}: warning: no log group with these tags matches *")


def test_credentials_that_have_expired_are_told_for_each_source(
    aws: EmbeddedAws, check: Callable[..., Result]
) -> None:
    aws.faults = Faults(expired=True)
    result = check("--online")
    problems = told(result)
    assert [problem.partition(" error: ")[0] for problem in problems] == ["2:52:", "5:15:", "5:26:"]
    assert all("the credentials have expired: renew them" in problem for problem in problems)
    assert all("tried again" not in problem for problem in problems)
    assert result.exit_code == 1


def test_a_queue_that_anyone_may_write_to_and_that_has_no_redrive_policy(
    aws: EmbeddedAws,  # noqa: ARG001 - it answers
    tmp_path: Path,
    invoke: Invoke,
) -> None:
    sqs = boto3.client("sqs")
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    url = sqs.create_queue(QueueName="open", Attributes={"Policy": policy})["QueueUrl"]
    path = tmp_path / "c.yaml"

    def checked(queue_url: str) -> list[str]:
        source = f"{{name: bus, type: event_bus, queue_url: '{queue_url}'}}"
        path.write_text(f"sources:\n  - {source}\nrules: [{{name: r, pattern: x}}]\n")
        result = invoke("check", "--online", "--config.file", str(path))
        return [problem.split(": ", 1)[1] for problem in told(result)]

    assert checked(url) == [
        "warning: the queue open has no redrive policy: messages that cannot be read come again"
        " until they expire; give it a dead-letter queue",
        "warning: anyone may write to the queue open: limit its policy with `aws:SourceArn` or"
        " `aws:SourceAccount`",
    ]
    (missing,) = checked(f"{url}-not")
    assert missing.startswith("error: sqs:GetQueueAttributes on queue open-not in account")
    assert "it was deleted, or its name is misspelt" in missing


def test_a_bucket_that_is_missing_or_has_no_trail(
    aws: EmbeddedAws,  # noqa: ARG001 - it answers
    tmp_path: Path,
    invoke: Invoke,
) -> None:
    bucket_create(DEFAULT_ACCOUNT, "us-east-1", "org-trail")
    path = tmp_path / "c.yaml"

    def checked(options: str) -> list[str]:
        source = f"{{name: trail, type: trail_bucket, {options}}}"
        path.write_text(f"sources:\n  - {source}\nrules: [{{name: r, pattern: x}}]\n")
        return told(invoke("check", "--online", "--config.file", str(path)))

    (empty,) = checked("bucket: org-trail, prefix: logs/")
    assert empty.startswith("2:66: warning: s3://org-trail/logs/ has no folder of CloudTrail")
    (missing,) = checked("bucket: org-trial")
    assert missing.startswith("2:47: error: s3:ListObjectsV2 on bucket org-trial in ")
    assert "it was deleted, or its name is misspelt" in missing
    (foreign,) = checked("bucket: org-trail, expected_bucket_owner: '999999999999'")
    assert "must belong to the source's `expected_bucket_owner`" in foreign
    folder = f"AWSLogs/{DEFAULT_ACCOUNT}/CloudTrail/us-east-1/2026/11/26/a.json.gz"
    object_put(DEFAULT_ACCOUNT, "org-trail", folder, b"")
    assert checked("bucket: org-trail") == []


def test_each_role_is_tried(aws: EmbeddedAws, tmp_path: Path, invoke: Invoke) -> None:
    roles = [f"arn:aws:iam::{account}:role/reader" for account in ("111122223333", "444455556666")]
    aws.accounts.role_create(roles[0])
    path = tmp_path / "c.yaml"
    path.write_text(
        "sources:\n  - name: history\n    type: event_history\n    regions: all\n    accounts:\n"
        + "".join(f"      - role_arn: {role}\n" for role in roles)
        + "rules: [{name: r, pattern: x}]\n"
    )
    result = invoke("check", "--online", "--config.file", str(path))
    (denied,) = told(result)
    assert denied.startswith(f"7:9: error: sts:AssumeRole on role {roles[1]} in region us-east-1")
    assert "in the role's trust policy" in denied
    assert result.exit_code == 1
    assert aws.calls.count("ListRegions", account="111122223333") == 1


LINES = """\
sources:
  - {name: flows, type: log_groups, regions: [us-east-1], log_groups: ["/vpc/*"]}
  - {name: sites, type: log_groups, regions: [us-east-1], log_groups: [there]}
rule_packs:
  - {name: vpc-flow-logs, sources: [flows]}
  - {name: waf, sources: [flows, sites]}
"""
FLOW = "2 1 eni-0a1b2c3d4e5f60718 10.0.0.7 198.51.100.4 40000 443 6 9 1234 1 2 ACCEPT OK"
REORDERED = "ACCEPT OK eni-0a1b2c3d4e5f60718 10.0.0.7 198.51.100.4"


def test_the_newest_lines_show_which_rules_of_a_pack_can_match(
    aws: EmbeddedAws, tmp_path: Path, invoke: Invoke
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(LINES)
    for name, lines in {"/vpc/a": [REORDERED] * 60 + [FLOW], "/vpc/b": [REORDERED]}.items():
        aws.log_group_create("us-east-1", name)
        for line in lines:
            aws.put_log_event("us-east-1", name, line)
    before = aws.calls.snapshot()
    result = invoke("check", "--config.file", str(path), "--online")
    assert result.exit_code == 0, result.stderr
    assert (
        "pack vpc-flow-logs on flows: 3 of 59 rules match some of the newest 51 lines of 2 log"
        " groups: vpc_flow_accepts, vpc_flow_bytes_web, vpc_flow_outbound_bytes"
    ) in result.stdout
    assert told(result) == [
        "2:12: warning: 50 of the newest 51 lines of 2 log groups look like the format of the pack"
        " `vpc-flow-logs`, and no rule matches them; one in /vpc/a has the shape"
        " aaaaaa aa aaa-0a0a0a0a0a0a00000 00.0.0.0 000.00.000.0",
        "2:12: warning: none of the newest 51 lines of 2 log groups looks like the format of the"
        " pack `waf`: name in the pack's `sources` those that have such lines",
    ]
    assert "198.51" not in result.stdout + result.stderr
    assert before != aws.calls.snapshot()
