"""The credentials of an assumed role."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    DeferredRefreshableCredentials,
    ReadOnlyCredentials,
)

from exporter.aws.calls import Call
from exporter.aws.client import Sender, as_credentials, call
from exporter.aws.clients import Clients
from exporter.aws.errors import AWS_ERRORS, source_error
from exporter.aws.roles import Role
from exporter.aws.signers import Signer, no_region_error, sts_regions
from exporter.model import SourceError

if TYPE_CHECKING:
    from botocore.client import BaseClient

_TRY_AGAIN_AFTER: Final = 5.0
"""Seconds for which a failure holds: 17 regions of an account ask at once."""


class AssumedRole:
    """A Signer with the credentials of a role, which ``source`` assumes.

    A session takes AWS's default of an hour, the maximum if ``source`` is a role, too. botocore
    renews it a quarter of an hour before its end.
    """

    history: Sequence[str] = ()
    """See Signer. A role stays in its account."""

    def __init__(self, role: Role, source: Signer, clients: Clients) -> None:
        self._role = role
        self._source = source
        self._clients = clients
        self._region = ""
        """A region that was asked for; any will do."""
        self._failed: tuple[float, str, str] | None = None
        """Until when, and the message and the reason."""
        self._credentials = DeferredRefreshableCredentials(
            self._assume, "assume-role", time_fetcher=self._now
        )

    def keys(self, region: str) -> ReadOnlyCredentials:
        """See Signer."""
        self._region = region or self._region
        try:
            keys: ReadOnlyCredentials = self._credentials.get_frozen_credentials()
        except RuntimeError as error:  # botocore's, for credentials that have expired already
            raise self._unreadable("has expired credentials") from error
        return keys

    def account(self, keys: ReadOnlyCredentials, regions: Sequence[str]) -> str:  # noqa: ARG002
        """See Signer. The answer to AssumeRole named it together with the credentials."""
        return str(keys.account_id)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clients.conduct.clock.now(), UTC)

    def _assume(self) -> Mapping[str, Any]:
        """New credentials, as botocore's credentials take them; raises SourceError.

        botocore calls it in one thread at a time.
        """
        if self._failed is not None and self._failed[0] > time.monotonic():
            _, message, reason = self._failed
            raise SourceError(message, reason=reason)
        try:
            return self._ask()
        except SourceError as error:
            if error.reason != "stopping":
                self._failed = time.monotonic() + _TRY_AGAIN_AFTER, str(error), error.reason
            raise

    def _ask(self) -> Mapping[str, Any]:
        failure: SourceError | None = None
        for region in sts_regions(self._clients, [self._region]):
            parameters = self._parameters()
            try:
                keys = self._source.keys(region)
                fetcher = AssumeRoleCredentialFetcher(
                    partial(self._client, region, keys),
                    as_credentials(keys),
                    self._role.arn,
                    extra_args=parameters,
                )
                found: Mapping[str, Any] = fetcher.fetch_credentials()
            except AWS_ERRORS as error:
                failure = source_error(error, self._call(region))
                if failure.reason not in ("unreachable", "region_disabled"):
                    raise failure from error
            except KeyError as error:
                raise self._unreadable(f"has no {error}") from error
            else:
                if not found["account_id"]:
                    raise self._unreadable("names no account")
                return found
        raise failure or no_region_error()

    def _client(
        self, region: str, keys: ReadOnlyCredentials, _service: str, **_: object
    ) -> BaseClient:
        """The client that botocore's fetcher calls."""
        return cast("BaseClient", _Sts(self._clients, region, keys))

    def _parameters(self) -> dict[str, str]:
        parameters = {"RoleSessionName": self._role.session_name}
        if self._role.external_id is not None:
            parameters["ExternalId"] = self._role.external_id.read()
        return parameters

    def _call(self, region: str) -> Call:
        return Call("sts", "AssumeRole", "", region, f"role {self._role.arn}")

    def _unreadable(self, why: str) -> SourceError:
        return SourceError(
            f"The answer to {self._call(self._region)} {why}; it is tried again.",
            reason="unreadable",
        )


class _Sts:
    """The part of a client that botocore's fetcher uses."""

    def __init__(self, clients: Clients, region: str, keys: ReadOnlyCredentials) -> None:
        self._clients, self._region, self._keys = clients, region, keys

    def assume_role(self, **parameters: object) -> Any:
        client = self._clients.get("sts", self._region)
        return call(client, "AssumeRole", Sender("", lambda: self._keys), parameters)
