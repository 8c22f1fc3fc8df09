"""The AWS accounts that the exporter reads, and which credentials reach them."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from botocore.session import Session

from exporter.aws.assuming import AssumedRole
from exporter.aws.calls import Call
from exporter.aws.client import CALL_SECONDS, ApiObserver, Conduct, Sender, call
from exporter.aws.clients import Clients
from exporter.aws.errors import AWS_ERRORS, source_error
from exporter.aws.pages import pages
from exporter.aws.quotas import CallCost, Quotas
from exporter.aws.roles import Role
from exporter.aws.signers import Environment, Signer, no_region_error
from exporter.aws.transport import CutOffError
from exporter.clock import Clock
from exporter.model import SourceError

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

    from exporter.aws.direct import DirectReader

MOST_ROLES = 2000
"""Roles whose credentials are shared, those used last."""


class AwsAccounts:
    """The AWS accounts that one set of credentials reaches; thread-safe.

    These are the environment's, or those of a role (``by_role``). The environment's may change to
    another account's while the exporter runs: ``identify`` returns the current account, and no
    request for one account is sent with the credentials of another.

    ``sessions`` makes a botocore session; it is called again when the AWS configuration files
    change. For the other arguments see Conduct. Endpoints are boto3's (``AWS_ENDPOINT_URL`` …).
    """

    def __init__(
        self,
        sessions: Callable[[], Session] = Session,
        *,
        quotas: Quotas | None = None,
        observer: ApiObserver | None = None,
        clock: Clock | None = None,
        stop: threading.Event | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        conduct = Conduct(
            quotas or Quotas(), clock or Clock(), stop or threading.Event(), call_seconds, observer
        )
        self._clients = Clients(sessions, conduct)
        self._signer: Signer = Environment(self._clients)
        self._roles: OrderedDict[Role, AwsAccounts] = OrderedDict()
        """Those used last at the end."""
        self._lock = threading.Lock()

    def by_role(self, role: Role | None) -> AwsAccounts:
        """The accounts as a role reaches them, which these credentials assume; no call is made.

        Sources that name the same role share its credentials. If it is None, nothing changes.
        """
        if role is None:
            return self
        with self._lock:
            if role not in self._roles:
                made = self._roles[role] = copy.copy(self)
                made._signer = AssumedRole(role, self._signer, self._clients)
                made._roles = OrderedDict()
            self._roles.move_to_end(role)
            if len(self._roles) > MOST_ROLES:
                self._roles.popitem(last=False)
            return self._roles[role]

    @property
    def default_region(self) -> str | None:
        """The region that the environment or the profile names; raises SourceError."""
        return self._clients.default_region

    def locate(self, regions: Sequence[str]) -> tuple[str, Sequence[str]]:
        """The account id, and the regions, by default the environment's; raises SourceError."""
        regions = self.regions(regions)
        return self.identify(regions), regions

    def regions(self, regions: Sequence[str]) -> Sequence[str]:
        """The regions, by default the environment's; raises SourceError without one."""
        home = None if regions else self.default_region
        if not regions and not home:
            raise no_region_error()
        return regions or (str(home),)

    def identify(self, regions: Sequence[str]) -> str:
        """The account that the credentials belong to; raises SourceError.

        The first region that answers is used.
        """
        region = regions[0] if regions else ""
        try:
            keys = self._signer.keys(region)
        except AWS_ERRORS as error:
            raise source_error(error, Call("sts", "GetCallerIdentity", "", region)) from error
        return self._signer.account(keys, regions)

    def cost(self, call: Call) -> CallCost:
        """The quota that a call uses."""
        quotas = self._clients.conduct.quotas
        return CallCost(quotas, call.operation, call.account_id, call.region)

    def out_of_reach(self, regions: Sequence[str]) -> list[tuple[str, str, SourceError]]:
        """Account, region and error of accounts that the credentials belonged to before."""
        *former, now = self._signer.history or ("",)
        return [
            (account_id, region, _account_changed_error(account_id, region, now))
            for account_id in former
            for region in regions
        ]

    def pages(self, call: Call, parameters: Mapping[str, object]) -> Iterator[Sequence[object]]:
        """The records of each page of an answer, as AWS sent them; raises SourceError."""
        yield from pages(self.request(call), call, parameters)

    def answer(self, call: Call, parameters: Mapping[str, object]) -> Mapping[str, Any]:
        """The members of the answer to a call without pages, as AWS sent them.

        Raises SourceError.
        """
        try:
            return cast("Mapping[str, Any]", self.request(call)(**parameters))
        except AWS_ERRORS as error:
            raise source_error(error, call) from error

    def direct(self, made: Call) -> DirectReader:
        """The fast way to read the objects that the client of a call reads; raises SourceError."""
        return self._clients.direct(made.service, made.region)

    def keys(self, made: Call) -> ReadOnlyCredentials:
        """The credentials for a call; raises SourceError, also if they are another account's."""
        keys = self._signer.keys(made.region)
        if made.account_id and not made.any_signer:
            signed_by = self._signer.account(keys, [made.region])
            if signed_by != made.account_id:
                raise _account_changed_error(made.account_id, made.region, signed_by)
        return keys

    def body(self, call: Call, stream: Any) -> bytes:
        """The rest of an answer that is read as a stream; raises SourceError."""
        try:
            return cast("bytes", stream.read())
        except (*AWS_ERRORS, CutOffError) as error:
            raise source_error(error, call) from error
        finally:
            stream.close()

    def request(self, made: Call) -> Callable[..., Any]:
        """A call as a function of its parameters, which raises botocore's errors; see ``answer``.

        Raises SourceError, as the function does. A request that would be signed with another
        account's credentials raises one with the reason ``account_changed`` instead. If the call's
        account is empty, or with ``any_signer``, any account may sign.
        """
        client = self._clients.get(made.service, made.region, made.endpoint)
        sender = Sender(made.account_id, partial(self.keys, made))
        return lambda **parameters: call(client, made.operation, sender, parameters)


def _account_changed_error(account_id: str, region: str, now: str) -> SourceError:
    return SourceError(
        f"The AWS credentials belong to account {now} now: account {account_id}, region {region} "
        "is not read. Restore the credentials of that account, and reading continues where it "
        "stopped; if the change is intended, reload the configuration.",
        reason="account_changed",
    )
