"""The smallest IAM policy for the sources of a configuration (``SourceConfig.permissions``).

The exporter also calls ``sts:GetCallerIdentity``. AWS: it needs no permission.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from exporter.patterns.compile import wildcard_test

_HOME = "us-east-1"
EVERY_REGION = "*"
"""Instead of a region: any of them, or that of a global service."""
LONGEST_MANAGED_POLICY = 6144
"""AWS: characters of a managed policy, white space not counted."""


class IamPolicyError(Exception):
    """There is no policy; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Grant:
    """An action in a region on a resource that the policy has to allow."""

    sid: str
    action: str
    region: str
    resource: str
    """``*`` if the action supports no resources; then the policy limits the region only, unless it
    is EVERY_REGION."""
    prefix: str = ""
    """The beginning of the keys that a bucket is listed for, with ``*`` at the end."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Account, AWS partition and region, which the configuration leaves open."""

    account_id: str = "*"
    """12 digits, or ``*``: in the policy of a role, that is its own account."""
    partition: str | None = None
    """``aws``, ``aws-cn``, ``aws-us-gov`` …; if None, it depends on the region."""
    region: str | None = None
    """The session's region, for sources without ``regions``."""

    def regions(self, source: str, regions: Sequence[str] | None) -> Sequence[str]:
        """The regions of a source, by default the session's; raises IamPolicyError."""
        if regions:
            return regions
        if self.region:
            return (self.region,)
        raise IamPolicyError(
            f"the source `{source}` names no `regions`: set the region in which the exporter runs"
            " with --region (or AWS_REGION)"
        )

    def arn(self, service: str, region: str, resource: str, account_id: str = "") -> str:
        """The ARN of a resource, by default of this account; raises IamPolicyError."""
        account_id = account_id or self.account_id
        return f"arn:{self.partition_of(region)}:{service}:{region}:{account_id}:{resource}"

    def global_arn(self, service: str, region: str, resource: str, account_id: str = "") -> str:
        """The ARN of a resource of a global service, and of an account if it belongs to one."""
        return f"arn:{self.partition_of(region)}:{service}::{account_id}:{resource}"

    def partition_of(self, region: str) -> str:
        """The AWS partition of a region; raises IamPolicyError if it is not known."""
        if self.partition:
            return self.partition
        return _partition((self.region or _HOME) if region == EVERY_REGION else region)


def iam_policy(grants: Iterable[Grant]) -> dict[str, Any]:
    """The policy document; raises IamPolicyError if there is nothing to allow."""
    by_action: dict[tuple[str, str], set[Grant]] = defaultdict(set)
    for grant in grants:
        by_action[grant.sid, grant.action].add(grant)
    if not by_action:
        raise IamPolicyError("no source reads from AWS: the exporter needs no permission")
    return {
        "Version": "2012-10-17",
        "Statement": [
            _statement(sid, action, by_action[sid, action]) for sid, action in sorted(by_action)
        ],
    }


def trust_policy(principal: str, *, external_id: str, organization: str) -> dict[str, Any]:
    """The trust policy of a role.

    ``principal``: the ARN of the identity that assumes it. The others are conditions, left out if
    they are empty: the external id, and the id of the principal's organization.
    """
    conditions = {"sts:ExternalId": external_id, "aws:PrincipalOrgID": organization}
    required = {key: value for key, value in conditions.items() if value}
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "sts:AssumeRole",
    }
    if required:
        statement["Condition"] = {"StringEquals": required}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _statement(sid: str, action: str, grants: Iterable[Grant]) -> dict[str, Any]:
    grants = list(grants)
    statement = {"Sid": sid, "Effect": "Allow", "Action": action}
    resources = _without_covered({grant.resource for grant in grants})
    if resources != ["*"]:
        prefixes = _without_covered({grant.prefix for grant in grants})
        limit = {"Condition": {"StringLike": {"s3:prefix": prefixes}}} if all(prefixes) else {}
        return {**statement, "Resource": resources, **limit}
    regions = sorted({grant.region for grant in grants})
    if EVERY_REGION in regions:
        return {**statement, "Resource": "*"}
    condition = {"StringEquals": {"aws:RequestedRegion": regions}}
    return {**statement, "Resource": "*", "Condition": condition}


def _without_covered(resources: set[str]) -> list[str]:
    """The resources, sorted, without those that another resource with ``*`` includes."""
    tests = {resource: wildcard_test(resource) for resource in resources}
    return sorted(
        resource
        for resource in resources
        if not any(other != resource and includes(resource) for other, includes in tests.items())
    )


def _partition(region: str) -> str:
    from botocore.loaders import create_loader  # noqa: PLC0415 - sources are configured without it

    # Read from botocore's data, because a session requires the profile in AWS_PROFILE.
    for partition in create_loader().load_data("partitions")["partitions"]:
        if re2.fullmatch(partition["regionRegex"], region):
            return str(partition["id"])
    raise IamPolicyError(f"the partition of region {region} is not known: set it with --partition")
