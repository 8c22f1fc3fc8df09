"""The policy that is printed: exactly what the exporter calls, on what it calls it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from exporter.aws.iam_policy import Deployment, IamPolicyError, iam_policy
from exporter.configuration import load as load_configuration
from exporter.sources import TYPES, SourceConfig
from exporter.sources.event_history import EventHistoryConfig
from exporter.sources.files import FilesConfig
from exporter.sources.log_groups import LogGroupsConfig
from tests.support.iam import ApiRequest, RecordingAws, denied, is_allowed, policy_for, unneeded
from tests.support.processes import Exporter
from tests.support.tools import ROOT
from tests.support.waiting import wait_for

POLICIES = Path(__file__).parent / "policies"
ACCOUNT = "123456789012"
IRELAND = "eu-west-1"
EXAMPLES = {"example": "config/example.yaml", "demo": "metric_filter_demo/config.yaml"}


def groups(*names: str, regions: tuple[str, ...] | None = (IRELAND,)) -> LogGroupsConfig:
    return LogGroupsConfig(name="apps", log_groups=names, regions=regions)


def history(*regions: str) -> EventHistoryConfig:
    return EventHistoryConfig(name="history", regions=regions or None)


def policy(*sources: SourceConfig, **scope: str | None) -> dict[str, Any]:
    where = Deployment(**{"account_id": ACCOUNT, **scope})  # type: ignore[arg-type]
    return iam_policy(grant for source in sources for grant in source.permissions(where))


def resources(document: dict[str, Any], action: str = "logs:FilterLogEvents") -> list[str]:
    (statement,) = [found for found in document["Statement"] if found["Action"] == action]
    assert isinstance(statement["Resource"], list)
    return statement["Resource"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_policies_are_the_reviewed_ones(name: str) -> None:
    """If the example has changed: print the policy anew, review it, and put it in its place."""
    reviewed = json.loads((POLICIES / f"{name}.json").read_text())
    assert policy_for(ROOT / EXAMPLES[name]) == reviewed


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_action_is_an_operation_of_its_service(name: str) -> None:
    session = botocore.session.Session()
    for statement in policy_for(ROOT / EXAMPLES[name])["Statement"]:
        service, _, operation = statement["Action"].partition(":")
        # AWS: GetObject of a version needs a permission of another name.
        operation = operation.removesuffix("Version") if service == "s3" else operation
        assert operation in session.get_service_model(service).operation_names


def test_the_example_configuration_runs_with_its_policy_and_uses_all_of_it(tmp_path: Path) -> None:
    document = yaml.safe_load((ROOT / EXAMPLES["example"]).read_text())
    for source in document["sources"]:
        source["interval"] = "1s"
    configuration = tmp_path / "exporter.yaml"
    configuration.write_text(yaml.safe_dump(document))
    printed = policy_for(configuration)
    assert printed == policy_for(ROOT / EXAMPLES["example"])
    with RecordingAws(quotas={"LookupEvents": math.inf, "FilterLogEvents": math.inf}) as aws:
        for group in ("/aws/lambda/checkout", "/ecs/storefront/access", "/not/asked/for"):
            aws.log_group_create(IRELAND, group)
        with Exporter(configuration, tmp_path / "data", environment=aws.environment()) as exporter:
            exporter.wait_until_ready()
            wait_for("every part of the policy to be used", lambda: not unused(printed, aws))
            assert exporter.terminate() == 0
        assert denied(printed, aws.requests) == []
        assert "sts:GetCallerIdentity" in {request.action for request in aws.requests}


def unused(printed: dict[str, Any], aws: RecordingAws) -> list[str]:
    # It is only asked for where it saves calls, which depends on the rules.
    needed = [one for one in printed["Statement"] if one["Sid"] != "NameRoot"]
    return unneeded({"Statement": needed}, set(aws.requests))


def test_a_log_group_is_allowed_by_its_name_and_others_are_not() -> None:
    printed = policy(groups("/app/one", "/team-*"))

    def may_read(name: str, region: str = IRELAND) -> bool:
        arn = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{name}:log-stream:"
        return is_allowed(printed, ApiRequest("logs:FilterLogEvents", region, arn))

    assert may_read("/app/one")
    assert may_read("/team-a/web")
    assert not may_read("/app/one-more")
    assert not may_read("/app")
    assert not may_read("/app/one", "us-east-1")
    writing = ApiRequest("logs:PutLogEvents", IRELAND, resources(printed)[0])
    assert not is_allowed(printed, writing)


def test_event_history_knows_no_resources_and_is_limited_to_its_regions() -> None:
    printed = policy(history("us-east-1"), history(IRELAND))["Statement"]
    (statement,) = [one for one in printed if one["Sid"] == "ReadEventHistory"]
    assert statement["Resource"] == "*"
    assert statement["Condition"] == {
        "StringEquals": {"aws:RequestedRegion": [IRELAND, "us-east-1"]}
    }
    request = ApiRequest("cloudtrail:LookupEvents", "eu-central-1", "*")
    assert not is_allowed({"Statement": [statement]}, request)


def test_what_a_pattern_includes_is_not_listed_again() -> None:
    prefix = f"arn:aws:logs:{IRELAND}:{ACCOUNT}:log-group:"
    printed = policy(groups("/app/*", "/app/one", "/app/t*o", "/app/**", "/ops"), groups("/app/*"))
    assert resources(printed) == [f"{prefix}/app/*:*", f"{prefix}/ops:*"]


def test_the_partition_is_that_of_the_region_unless_it_is_given() -> None:
    assert resources(policy(groups("/a", regions=("cn-north-1",))))[0].startswith("arn:aws-cn:")
    gov = policy(groups("/a", regions=("us-gov-west-1",)))
    assert resources(gov)[0].startswith("arn:aws-us-gov:")
    given = policy(groups("/a", regions=("xx-north-1",)), partition="aws-xx")
    assert resources(given)[0].startswith("arn:aws-xx:")
    with pytest.raises(IamPolicyError, match=r"xx-north-1.*--partition"):
        policy(groups("/a", regions=("xx-north-1",)))


def test_a_source_without_regions_reads_where_the_exporter_runs() -> None:
    assert resources(policy(groups("/a", regions=None), region=IRELAND)) == [
        f"arn:aws:logs:{IRELAND}:{ACCOUNT}:log-group:/a:*"
    ]
    with pytest.raises(IamPolicyError, match=r"`apps` names no `regions`.*--region"):
        policy(groups("/a", regions=None))


def test_files_need_no_permission() -> None:
    files = FilesConfig(name="files", paths=("/var/log/*.json",))
    with pytest.raises(IamPolicyError, match="needs no permission"):
        policy(files)
    assert policy(files, history("us-east-1")) == policy(history("us-east-1"))


def test_every_type_of_source_has_its_part(tmp_path: Path) -> None:
    """A source that is forgotten here would run into AccessDenied at its first poll."""
    path = tmp_path / "exporter.yaml"
    path.write_text(
        "sources:\n"
        "  - {name: a, type: event_history, regions: [us-east-1]}\n"
        "  - {name: b, type: log_groups, regions: [us-east-1], log_groups: [x]}\n"
        "  - {name: d, type: event_bus, queue_url: https://sqs.us-east-1.amazonaws.com/111122223333/q}\n"
        "  - {name: e, type: trail_bucket, buckets: [trail], queue_url:"
        " https://sqs.us-east-1.amazonaws.com/111122223333/t}\n"
        "  - {name: f, type: trail_bucket, bucket: other, prefix: AWSLogs/}\n"
        f"  - {{name: c, type: files, paths: ['{tmp_path}/*']}}\n"
        "rules: [{name: r, pattern: x}]\n"
    )
    sources = load_configuration([path]).sources
    assert {source.type for source in sources} == set(TYPES)
    statements = {one["Sid"]: one for one in policy(*sources, region=IRELAND)["Statement"]}
    assert statements["ListBuckets"]["Resource"] == ["arn:aws:s3:::other"]
    assert statements["ListBuckets"]["Condition"] == {"StringLike": {"s3:prefix": ["AWSLogs/*"]}}
    assert set(statements) == {
        "FindLogGroups",
        "ListBuckets",
        "NameRoot",
        "ReadEventHistory",
        "ReadObjectVersions",
        "ReadObjects",
        "ReadQueuesChangeMessageVisibility",
        "ReadQueuesDeleteMessage",
        "ReadQueuesGetQueueAttributes",
        "ReadQueuesReceiveMessage",
        "ReadLogGroups",
    }
