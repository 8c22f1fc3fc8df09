"""What an IAM policy allows, and which requests an exporter made."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

from exporter.aws.iam_policy import Deployment, iam_policy
from exporter.configuration import load
from exporter.sources.permissions import grants_of_roles, own_grants
from metric_filter_demo.aws import DEFAULT_ACCOUNT, DEFAULT_REGION, EmbeddedAws
from metric_filter_demo.protocol import Request

Policy = Mapping[str, Any]

NEEDS_NO_PERMISSION = frozenset({"sts:GetCallerIdentity"})
"""AWS: it answers even where a policy denies it."""


@dataclass(frozen=True, slots=True, order=True)
class ApiRequest:
    """A request as IAM sees it."""

    action: str
    region: str
    resource: str
    """An ARN; ``*`` for actions that know no resources."""
    account: str = DEFAULT_ACCOUNT
    """That of the identity that made it."""


class RecordingAws(EmbeddedAws):
    """An embedded AWS that remembers which requests came."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.requests: set[ApiRequest] = set()

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def _count(self, request: Request, outcome: str) -> None:
        super()._count(request, outcome)
        action = f"{request.service}:{request.operation}"
        if request.operation in ("ListObjectsV2", "HeadBucket"):
            action = "s3:ListBucket"
        if request.service == "sqs":
            action = action.removesuffix("Batch")  # AWS: batches need the action's permission
        resource = _resource(action, request)
        self.requests.add(ApiRequest(action, request.region, resource, request.account))


def _resource(action: str, request: Request) -> str:
    """The resource that AWS names where it denies such a request."""
    arn = f"arn:aws:logs:{request.region}:{request.account}:log-group"
    match action:
        case "logs:DescribeLogGroups":
            return f"{arn}::log-stream:"
        case "logs:FilterLogEvents":
            group = request.parameters()
            if "logGroupIdentifier" in group:
                return f"{group['logGroupIdentifier']}:log-stream:"
            return f"{arn}:{group['logGroupName']}:log-stream:"
        case "s3:ListBucket":
            return "arn:aws:s3:::org-trail"
        case "sts:AssumeRole":
            return parse_qs(request.body.decode())["RoleArn"][0]
        case "account:ListRegions":
            return f"arn:aws:account::{request.account}:account"
        case "s3:GetObject":
            return "arn:aws:s3:::org-trail/any"  # the request has no path here
        case _ if request.service == "sqs":
            account, name = request.parameters()["QueueUrl"].split("/")[-2:]
            return f"arn:aws:sqs:{request.region}:{account}:{name}"
        case _:
            return "*"


def policy_for(configuration: Path, account: str = DEFAULT_ACCOUNT) -> dict[str, Any]:
    """What ``iam-policy`` prints for an account of the embedded AWS, in its region."""
    where = Deployment(account, region=DEFAULT_REGION)
    return iam_policy(own_grants(load([configuration]).sources, where))


def policies_for(configuration: Path) -> dict[str, Policy]:
    """What ``iam-policy`` prints for the exporter's account, and for the accounts of roles."""
    roles = grants_of_roles(load([configuration]).sources, Deployment(region=DEFAULT_REGION))
    members = {role.account_id: iam_policy(grants) for role, grants in roles.items()}
    return {**members, DEFAULT_ACCOUNT: policy_for(configuration)}


def denied_anywhere(policies: Mapping[str, Policy], requests: Iterable[ApiRequest]) -> list[Any]:
    """The requests that the policy of their account does not allow."""
    nothing: Policy = {"Statement": []}
    return [
        request
        for request in sorted(requests)
        if not is_allowed(policies.get(request.account, policies.get("*", nothing)), request)
    ]


def is_allowed(policy: Policy, request: ApiRequest) -> bool:
    """Whether some statement of a policy allows a request."""
    return request.action in NEEDS_NO_PERMISSION or any(
        _applies(statement, request) for statement in policy["Statement"]
    )


def denied(policy: Policy, requests: Iterable[ApiRequest]) -> list[ApiRequest]:
    """The requests that a policy does not allow."""
    return sorted(request for request in requests if not is_allowed(policy, request))


def unneeded(policy: Policy, requests: Iterable[ApiRequest]) -> list[str]:
    """The resources and regions of a policy that none of the requests needs."""
    made = list(requests)
    return [
        f"{statement['Sid']}: {part}"
        for statement in policy["Statement"]
        for part, alone in _parts(statement)
        if not any(_applies(alone, request) for request in made)
    ]


def _applies(statement: Policy, request: ApiRequest) -> bool:
    assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}, statement
    assert statement["Effect"] == "Allow"
    regions = _regions(statement)
    return (
        any(_matches(action, request.action) for action in _listed(statement["Action"]))
        and any(_matches(resource, request.resource) for resource in _listed(statement["Resource"]))
        and (regions is None or request.region in regions)
    )


def _parts(statement: Policy) -> Iterable[tuple[str, Policy]]:
    regions = _regions(statement)
    if regions is not None:
        for region in regions:
            condition = {"StringEquals": {"aws:RequestedRegion": [region]}}
            yield region, {**statement, "Condition": condition}
    else:
        for resource in _listed(statement["Resource"]):
            yield resource, {**statement, "Resource": resource}


def _regions(statement: Policy) -> list[str] | None:
    if "Condition" not in statement:
        return None
    (operator, keys), *others = statement["Condition"].items()
    if operator == "StringLike":
        assert keys.keys() == {"s3:prefix"}  # the request has no query here
        return None
    assert operator == "StringEquals"
    assert not others
    assert keys.keys() == {"aws:RequestedRegion"}
    return _listed(keys["aws:RequestedRegion"])


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _matches(pattern: str, text: str) -> bool:
    """AWS: ``*`` is any characters, ``?`` one; brackets mean nothing."""
    escaped = pattern.replace("[", "[[]")
    return re.fullmatch(fnmatch.translate(escaped), text) is not None
