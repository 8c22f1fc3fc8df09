"""The accounts of an organization, and the regions of an account."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from exporter.aws.calls import Call
from exporter.model import SourceError

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts

_ACTIVE: Final = "ACTIVE"
_ENABLED: Final = ("ENABLED", "ENABLED_BY_DEFAULT")
_MOST_REGIONS: Final = 50
"""AWS: regions of a page."""
_ACCOUNT = re.compile("[0-9]{12}")


@dataclass(frozen=True, slots=True)
class Selection:
    """The accounts of an organization that are selected."""

    include: tuple[str, ...] = ()
    """Ids of accounts, organizational units and roots; empty for all."""
    exclude: tuple[str, ...] = ()
    """Ids of the same kinds, which take precedence."""
    tags: Mapping[str, str] | None = None
    """Tags that an account must have, each with this value."""

    @property
    def operations(self) -> Sequence[str]:
        """The operations that ``members`` calls.

        AWS: the management account and accounts with delegated administration may call them.
        """
        named = (*self.include, *self.exclude)
        has_units = any(not _ACCOUNT.fullmatch(one) for one in named)
        return (
            "ListAccounts",
            *(("ListAccountsForParent", "ListOrganizationalUnitsForParent") if has_units else ()),
            *(("ListTagsForResource",) if self.tags else ()),
        )


@dataclass(frozen=True, slots=True)
class Member:
    """An active account of an organization."""

    id: str
    name: str
    partition: str
    """``aws``, ``aws-cn`` …"""
    joined: int | None
    """When it was created in the organization or joined it, milliseconds."""
    included: tuple[str, ...] = ()
    """The ids in ``Selection.include`` that select it."""


def members(accounts: AwsAccounts, region: str, selection: Selection) -> list[Member]:
    """The selected accounts that are active; raises SourceError if any call fails.

    ``region``: any of the AWS partition; Organizations is a global service.
    """
    listing = _Listing(accounts, Call("organizations", "ListAccounts", "", region))
    included = {one: listing.within(one) for one in selection.include}
    excluded = {account for one in selection.exclude for account in listing.within(one)}
    found = []
    for record in listing.records("ListAccounts", {}):
        account_id, name, arn = (listing.text(record, key) for key in ("Id", "Name", "Arn"))
        # AWS: State replaced Status in 2026.
        is_active = (record.get("State") or record.get("Status")) == _ACTIVE
        by = tuple(one for one, within in included.items() if account_id in within)
        if not is_active or account_id in excluded or (included and not by):
            continue
        if selection.tags and not selection.tags.items() <= listing.tags(account_id).items():
            continue
        joined = record.get("JoinedTimestamp")
        milliseconds = round(joined * 1000) if isinstance(joined, int | float) else None
        found.append(Member(account_id, name, arn.split(":")[1], milliseconds, by))
    return found


def enabled_regions(accounts: AwsAccounts, account_id: str, region: str) -> list[str]:
    """The regions that are enabled for an account; raises SourceError.

    account:ListRegions can be allowed for the account itself only. ec2:DescribeRegions supports
    no resources, and the model of its service takes 16 MiB instead of 0.3. ``region``: any of the
    AWS partition.
    """
    listing = _Listing(accounts, Call("account", "ListRegions", account_id, region))
    parameters = {"RegionOptStatusContains": list(_ENABLED), "MaxResults": _MOST_REGIONS}
    records = listing.records("ListRegions", parameters)
    return sorted({listing.text(record, "RegionName") for record in records})


class _Listing:
    """Calls that list something; each raises SourceError."""

    def __init__(self, accounts: AwsAccounts, call: Call) -> None:
        """``call``: one of them, for errors."""
        self._accounts = accounts
        self._call = call

    def records(
        self, operation: str, parameters: Mapping[str, object]
    ) -> Iterator[Mapping[str, object]]:
        """The records of all pages."""
        call = replace(self._call, operation=operation)
        for page in self._accounts.pages(call, parameters):
            for record in page:
                if not isinstance(record, Mapping):
                    raise self._odd(operation)
                yield record

    def text(self, record: Mapping[str, object], name: str) -> str:
        """A text that AWS always sends. Without it, an account would seem to have left."""
        found = record.get(name)
        if not isinstance(found, str) or not found or (name == "Arn" and found.count(":") < 5):
            raise self._odd(name)
        return found

    def within(self, selected: str) -> frozenset[str]:
        """The accounts in an organizational unit or a root, at any depth; or the account itself."""
        if _ACCOUNT.fullmatch(selected):
            return frozenset({selected})
        found: set[str] = set()
        parents = [selected]
        for parent in parents:
            in_parent = {"ParentId": parent}
            direct = self.records("ListAccountsForParent", in_parent)
            found.update(self.text(record, "Id") for record in direct)
            units = self.records("ListOrganizationalUnitsForParent", in_parent)
            parents += [self.text(record, "Id") for record in units]
        return frozenset(found)

    def tags(self, account_id: str) -> Mapping[str, object]:
        """The tags of an account."""
        records = self.records("ListTagsForResource", {"ResourceId": account_id})
        return {self.text(record, "Key"): record.get("Value") for record in records}

    def _odd(self, part: str) -> SourceError:
        return SourceError(
            f"{self._call}: AWS does not send such a {part}; it is tried again.",
            reason="unreadable",
        )
