"""Credentials for requests, and the account that they belong to."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from exporter.aws.callers import Callers
from exporter.aws.calls import Call
from exporter.aws.client import Sender, call
from exporter.aws.clients import Clients
from exporter.aws.errors import AWS_ERRORS, source_error
from exporter.model import SourceError

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials


class Signer(Protocol):
    """Where credentials come from. Thread-safe."""

    def keys(self, region: str) -> ReadOnlyCredentials:
        """The credentials as they are now; raises SourceError or one of AWS_ERRORS.

        ``region``: a region in which STS may be asked.
        """

    def account(self, keys: ReadOnlyCredentials, regions: Sequence[str]) -> str:
        """The account of credentials, asked in the first region that answers.

        If no region answers, raises the last one's SourceError.
        """

    @property
    def history(self) -> Sequence[str]:
        """Accounts that the credentials have belonged to, the last one at the end."""


class Environment:
    """The credentials of the environment, which may change to another account's."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._callers = Callers()
        self._identified: list[str] = []
        self._lock = threading.Lock()

    def keys(self, region: str) -> ReadOnlyCredentials:  # noqa: ARG002
        """See Signer."""
        return self._clients.environment_keys()

    def account(self, keys: ReadOnlyCredentials, regions: Sequence[str]) -> str:
        """See Signer. AWS is asked by sts:GetCallerIdentity, once for each access key."""
        account_id = self._callers.find(keys.access_key or "", lambda: self._ask(keys, regions))
        with self._lock:
            if self._identified[-1:] != [account_id]:
                former = [one for one in self._identified if one != account_id]
                self._identified = [*former, account_id]
        return account_id

    @property
    def history(self) -> Sequence[str]:
        """See Signer."""
        return self._identified

    def _ask(self, keys: ReadOnlyCredentials, regions: Sequence[str]) -> str:
        failure: SourceError | None = None
        for region in sts_regions(self._clients, regions):
            client = self._clients.get("sts", region)
            try:
                answer = call(client, "GetCallerIdentity", Sender("", lambda: keys), {})
            except AWS_ERRORS as error:
                failure = source_error(error, Call("sts", "GetCallerIdentity", "", region))
            else:
                return str(answer["Account"])
        raise failure or no_region_error()


def sts_regions(clients: Clients, regions: Sequence[str]) -> list[str]:
    """The regions in which STS is asked, in order: the environment's, then the given ones."""
    home = clients.default_region
    return list(dict.fromkeys(one for one in (home, *regions) if one))


def no_region_error() -> SourceError:
    """The error if neither the environment nor the configuration names a region."""
    return SourceError(
        "No AWS region is known; name `regions` in the source, or set AWS_REGION.",
        reason="invalid_request",
    )
