"""Finds the log groups of an account and region, by DescribeLogGroups or ListLogGroups."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exporter.aws.calls import Call
from exporter.model import Partition
from exporter.sources.log_group_names import LogGroupNames
from exporter.sources.regional import milliseconds

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts

READABLE_CLASS: Final = "STANDARD"

_ARN = re.compile(r"(arn:[a-z-]+:logs:[a-z0-9-]+:([0-9]{12}):log-group:[^:*]+)(?::\*)?")
_DESCRIBED: Final = 50
_LISTED: Final = 1000


@dataclass(frozen=True, slots=True)
class LogGroup:
    """A log group as AWS lists it."""

    name: str
    account_id: str
    """The account that owns it."""
    arn: str = ""
    """Without ``:*``. Empty if AWS did not send it."""
    log_group_class: str = READABLE_CLASS
    created: int | None = None
    """Milliseconds; None if it is not known."""
    masked: bool = False
    """Whether a data protection policy masks its events, or has masked some."""


class LogGroupFinder:
    """Finds log groups by name and tag.

    DescribeLogGroups returns 50 log groups with their creation times and data protection.
    ListLogGroups selects by tag and returns 1,000 without them, so a look needs a DescribeLogGroups
    for 50 of those, too: a policy may be new, and hides matches from filter patterns.
    """

    def __init__(
        self, names: LogGroupNames, tags: Mapping[str, Sequence[str]], *, linked: bool
    ) -> None:
        """``linked``: whether log groups of linked accounts are found in a monitoring account."""
        self._names = names
        self._tags = [{"key": key, "values": list(values)} for key, values in tags.items()]
        self._linked = {"includeLinkedAccounts": True} if linked else {}

    def find(self, access: AwsAccounts, place: Partition) -> tuple[Sequence[LogGroup], int]:
        """The log groups in ``place``, sorted by name, and the number of records without a name.

        Raises SourceError.
        """
        found: dict[tuple[str, str], LogGroup] = {}
        odd = 0
        for record in self._records(access, place):
            group = self._read(record, place)
            if group is None:
                odd += 1
            elif self._names.wanted(group.name):
                found[group.name, group.account_id] = group
        groups: Sequence[LogGroup] = [group for _, group in sorted(found.items())]
        return self._described(access, place, groups) if self._tags else groups, odd

    def _records(self, access: AwsAccounts, place: Partition) -> Iterator[object]:
        where = place.account_id, place.region
        if self._tags:
            listing = {"limit": _LISTED, "logGroupTags": self._tags, **self._linked}
            for records in access.pages(Call("logs", "ListLogGroups", *where), listing):
                yield from records
            return
        for prefix in self._names.prefixes:
            parameters: dict[str, object] = {"limit": _DESCRIBED, **self._linked}
            if prefix:
                parameters["logGroupNamePrefix"] = prefix
            for records in access.pages(Call("logs", "DescribeLogGroups", *where), parameters):
                yield from records

    def _described(
        self, access: AwsAccounts, place: Partition, groups: Sequence[LogGroup]
    ) -> Sequence[LogGroup]:
        """The log groups with all that DescribeLogGroups tells of those that still exist."""
        found = {(one.account_id, one.name): one for one in groups}
        call = Call("logs", "DescribeLogGroups", place.account_id, place.region)
        for start in range(0, len(groups), _DESCRIBED):
            # AWS: ARNs are for monitoring accounts only.
            some = groups[start : start + _DESCRIBED]
            names = [group.arn if self._linked else group.name for group in some]
            parameters = {"logGroupIdentifiers": names, **self._linked}
            for records in access.pages(call, parameters):
                for group in filter(None, (self._read(record, place) for record in records)):
                    found[group.account_id, group.name] = group
        return [found[one.account_id, one.name] for one in groups]

    def _read(self, record: object, place: Partition) -> LogGroup | None:
        """The log group in a record; None if it has no name, or its owner is not known."""
        name = record.get("logGroupName") if isinstance(record, Mapping) else None
        if not (isinstance(record, Mapping) and isinstance(name, str) and name):
            return None
        arn = _ARN.fullmatch(str(record.get("logGroupArn") or record.get("arn")))
        if self._linked and arn is None:
            return None
        return LogGroup(
            name,
            arn[2] if self._linked and arn else place.account_id,
            arn[1] if arn else "",
            str(record.get("logGroupClass") or READABLE_CLASS),
            milliseconds(record.get("creationTime")),
            masked=_is_masked(record),
        )


def _is_masked(record: Mapping[object, object]) -> bool:
    """AWS: the status is that of the log group's own policy, and stays if the policy is deleted."""
    inherited = record.get("inheritedProperties")
    of_account = isinstance(inherited, list) and "ACCOUNT_DATA_PROTECTION" in inherited
    return of_account or bool(record.get("dataProtectionStatus"))
