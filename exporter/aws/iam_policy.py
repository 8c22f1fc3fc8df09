"""The smallest IAM policy with which the exporter can read what a configuration names.

``sts:GetCallerIdentity``, which it calls too, needs no permission (AWS: it answers even where it
is denied). Each type of source has one function here that says what it calls on what.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import re2
from botocore.loaders import create_loader

if TYPE_CHECKING:
    from exporter.configuration import EventHistoryConfig, LogGroupsConfig, SourceConfig

LONGEST_MANAGED_POLICY = 6144
"""AWS: characters of a managed policy, white space not counted."""


class IamPolicyError(Exception):
    """There is no policy to print; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Grant:
    """An action in one region on one resource, as the IAM policy has to allow it."""

    sid: str
    action: str
    region: str
    resource: str
    """``*`` where the action knows no resources: then only the region limits it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the exporter runs: what the configuration leaves open."""

    account_id: str = "*"
    """12 digits; ``*``: any, which for a role's policy is its own account."""
    partition: str | None = None
    """``aws``, ``aws-cn``, ``aws-us-gov`` …; None: each region's own."""
    region: str | None = None
    """The session's region, for sources that name none."""

    def regions(self, source: EventHistoryConfig | LogGroupsConfig) -> Sequence[str]:
        """The regions that a source reads; raises IamPolicyError."""
        if source.regions:
            return source.regions
        if self.region:
            return (self.region,)
        raise IamPolicyError(
            f"the source `{source.name}` names no `regions`: say with --region (or AWS_REGION)"
            " in which one the exporter runs"
        )

    def arn(self, service: str, region: str, resource: str) -> str:
        """The ARN of a resource; raises IamPolicyError."""
        partition = self.partition or _partition(region)
        return f"arn:{partition}:{service}:{region}:{self.account_id}:{resource}"


def iam_policy(sources: Iterable[SourceConfig], scope: Scope) -> dict[str, Any]:
    """The policy document; raises IamPolicyError where there is nothing to allow."""
    grants = [grant for source in sources for grant in _grants(source, scope)]
    if not grants:
        raise IamPolicyError("no source reads from AWS: the exporter needs no permission")
    by_action: dict[tuple[str, str], set[Grant]] = defaultdict(set)
    for grant in grants:
        by_action[grant.sid, grant.action].add(grant)
    return {
        "Version": "2012-10-17",
        "Statement": [
            _statement(sid, action, by_action[sid, action]) for sid, action in sorted(by_action)
        ],
    }


def _grants(source: SourceConfig, scope: Scope) -> Iterator[Grant]:
    """What a source calls. A new type of source is a case here, and a function beside these."""
    match source.type:
        case "event_history":
            return _event_history(source, scope)
        case "log_groups":
            return _log_groups(source, scope)
        case "files":
            return iter(())


def _event_history(source: EventHistoryConfig, scope: Scope) -> Iterator[Grant]:
    """AWS: LookupEvents supports no resources."""
    for region in scope.regions(source):
        yield Grant("ReadEventHistory", "cloudtrail:LookupEvents", region, "*")


def _log_groups(source: LogGroupsConfig, scope: Scope) -> Iterator[Grant]:
    """AWS: policies name a log group by its ARN with ``:*`` at the end.

    DescribeLogGroups is allowed on all of a region's log groups or on none: its resource is
    ``log-group::log-stream:``, whatever prefix is asked for.
    """
    for region in scope.regions(source):
        every = scope.arn("logs", region, "log-group:*")
        yield Grant("FindLogGroups", "logs:DescribeLogGroups", region, every)
        for name in source.log_groups:
            resource = scope.arn("logs", region, f"log-group:{_simplest(name)}:*")
            yield Grant("ReadLogGroups", "logs:FilterLogEvents", region, resource)


def _statement(sid: str, action: str, grants: Iterable[Grant]) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": action}
    resources = _without_covered({grant.resource for grant in grants})
    if resources != ["*"]:
        return {**statement, "Resource": resources}
    regions = sorted({grant.region for grant in grants})
    condition = {"StringEquals": {"aws:RequestedRegion": regions}}
    return {**statement, "Resource": "*", "Condition": condition}


def _without_covered(resources: set[str]) -> list[str]:
    """The resources, sorted, without those that another one with ``*`` includes."""
    patterns = {
        resource: re2.compile("(?s)" + ".*".join(re2.escape(part) for part in resource.split("*")))
        for resource in resources
        if "*" in resource
    }
    return sorted(
        resource
        for resource in resources
        if not any(
            other != resource and pattern.fullmatch(resource) for other, pattern in patterns.items()
        )
    )


def _simplest(name: str) -> str:
    """A pattern in its only spelling, so that no two of them include each other."""
    return re.sub(r"\*+", "*", name)


def _partition(region: str) -> str:
    # Of botocore's data alone: a session would want the profile that AWS_PROFILE names.
    for partition in create_loader().load_data("partitions")["partitions"]:
        if re2.fullmatch(partition["regionRegex"], region):
            return str(partition["id"])
    raise IamPolicyError(f"the partition of region {region} is not known: say it with --partition")
