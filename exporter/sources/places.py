"""The accounts that a source reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exporter.aws.organizations import members
from exporter.sources.account_options import Accounts, OrganizationOptions

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts

_ORGANIZATION: Final = "organization"


@dataclass(frozen=True, slots=True)
class Account:
    """An account, and the credentials that reach it."""

    id: str
    access: AwsAccounts
    scopes: tuple[str, ...] = ("",)
    """The parts of the configuration that select it (see ``scopes``)."""
    name: str = ""
    since: int | None = None
    """When it became one of the source's accounts, milliseconds, if that is known."""


def scopes(accounts: Accounts | None, organization: OrganizationOptions | None) -> Sequence[str]:
    """What a configuration selects accounts by. Each begins the names of ``SourceConfig.parts``.

    The account of the environment's credentials has an empty one.
    """
    if organization is not None:
        return organization.include or (_ORGANIZATION,)
    return tuple(one.account_id for one in accounts or ()) or ("",)


class Places:
    """Finds the accounts of a source. Not thread-safe."""

    def __init__(
        self,
        accounts: AwsAccounts,
        options: Accounts | None,
        organization: OrganizationOptions | None,
        now: Callable[[], float],
    ) -> None:
        """``now`` returns AWS's time, seconds since the epoch."""
        self._accounts = accounts
        self._options = options
        self._organization = organization
        self._now = now
        self._looked: int | None = None
        """Milliseconds: when an earlier look for accounts began."""
        self.found: Mapping[str, Account] = {}
        """The accounts by id."""

    def find(self, regions: Sequence[str]) -> list[Account]:
        """The current accounts; raises SourceError, and then ``found`` stays.

        ``regions``: regions in which AWS is asked.
        """
        began = round(self._now() * 1000)
        found = {one.id: one for one in self._find(regions)}
        self.found, self._looked = found, began
        return list(found.values())

    def _find(self, regions: Sequence[str]) -> Iterator[Account]:
        if self._organization is not None:
            yield from self._members(self._organization, regions)
            return
        if self._options is None:
            yield Account(self._accounts.identify(regions), self._accounts)
        for one in self._options or ():
            access = self._accounts.by_role(one.assumed)
            account_id = one.account_id or access.identify(regions)
            yield Account(account_id, access, (one.account_id,), one.name)

    def _members(
        self, organization: OrganizationOptions, regions: Sequence[str]
    ) -> Iterator[Account]:
        """Only accounts that Organizations names; no event can name another one."""
        own = self._accounts.identify(regions)
        for member in members(self._accounts, regions[0], organization.selection):
            role = organization.role_in(member.id, member.partition)
            access = self._accounts if member.id == own else self._accounts.by_role(role)
            before = self.found.get(member.id)
            # An account that joined, or was moved or tagged, after an earlier look.
            since = self._looked if before is None else before.since
            times = [time for time in (since, member.joined) if time is not None]
            yield Account(
                member.id,
                access,
                member.included or (_ORGANIZATION,),
                member.name,
                max(times, default=None),
            )
