"""The AWS accounts that the exporter reads, and which credentials reach them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from botocore import xform_name
from botocore.exceptions import NoCredentialsError
from botocore.session import Session

from exporter.aws.callers import Callers
from exporter.aws.calls import Call
from exporter.aws.client import CALL_SECONDS, ApiObserver, Conduct, make_client
from exporter.aws.errors import AWS_ERRORS, source_error
from exporter.aws.live_session import LiveSession
from exporter.aws.pages import pages
from exporter.aws.quotas import CallCost, Quotas
from exporter.aws.transport import CutOffError
from exporter.clock import Clock
from exporter.model import SourceError

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.credentials import ReadOnlyCredentials
    from mypy_boto3_sts import STSClient

    from exporter.aws.direct import DirectReader

MOST_ACCOUNTS = 64
"""(account, region) pairs whose clients are kept, those used last. A client has about 0.3 MiB."""


class AwsAccounts:
    """The AWS accounts that the environment's credentials reach; thread-safe.

    One set of credentials serves all accounts. It may change to another account's while the
    exporter runs: ``identify`` returns the current account, and no request for one account is sent
    with the credentials of another.

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
        self._sessions = LiveSession(sessions)
        self._conduct = Conduct(
            quotas or Quotas(), clock or Clock(), stop or threading.Event(), call_seconds, observer
        )
        self._clients: dict[tuple[str, str], dict[str, BaseClient]] = {}
        """By (account, region), those used last at the end, and by service and endpoint."""
        self._direct: WeakKeyDictionary[BaseClient, DirectReader] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._callers = Callers()
        self._identified: list[str] = []

    @property
    def default_region(self) -> str | None:
        """The region that the environment or the profile names; raises SourceError."""
        with self._lock:
            region: str | None = self._open().get_config_variable("region")
        # botocore reads AWS_DEFAULT_REGION only; AWS's services set AWS_REGION.
        return region or os.environ.get("AWS_REGION") or None

    def locate(self, regions: Sequence[str]) -> tuple[str, Sequence[str]]:
        """The account id, and the regions, by default the environment's; raises SourceError."""
        if not regions:
            home = self.default_region
            if not home:
                raise _no_region_error()
            regions = (home,)
        return self.identify(regions), regions

    def identify(self, regions: Sequence[str]) -> str:
        """Find the account id by sts:GetCallerIdentity, once for each access key.

        The first region that answers is used. If none does, raises the last region's SourceError.
        """
        keys = self._keys(regions[0] if regions else "")
        account_id = self._callers.find(keys.access_key or "", lambda: self._ask(keys, regions))
        with self._lock:
            if account_id in self._identified:
                self._identified.remove(account_id)
            self._identified.append(account_id)
        return account_id

    def cost(self, call: Call) -> CallCost:
        """The quota that a call uses."""
        return CallCost(self._conduct.quotas, call.operation, call.account_id, call.region)

    def out_of_reach(self, regions: Sequence[str]) -> list[tuple[str, str, SourceError]]:
        """Account, region and error of accounts that the credentials belonged to before."""
        with self._lock:
            *former, now = self._identified or ("",)
        return [
            (account_id, region, _account_changed_error(account_id, region, now))
            for account_id in former
            for region in regions
        ]

    def pages(self, call: Call, parameters: Mapping[str, object]) -> Iterator[Sequence[object]]:
        """The records of each page of an answer, as AWS sent them; raises SourceError."""
        client = self.client(call.service, call.region, call.account_id)
        yield from pages(getattr(client, xform_name(call.operation)), call, parameters)

    def answer(self, call: Call, parameters: Mapping[str, object]) -> Mapping[str, Any]:
        """The members of the answer to a call without pages, as AWS sent them.

        Raises SourceError.
        """
        client = self.client(
            call.service,
            call.region,
            call.account_id,
            endpoint=call.endpoint,
            any_signer=call.any_signer,
        )
        try:
            return cast(
                "Mapping[str, Any]", getattr(client, xform_name(call.operation))(**parameters)
            )
        except AWS_ERRORS as error:
            raise source_error(error, call) from error

    def direct(self, call: Call) -> DirectReader:
        """The fast way to read the objects that the client of a call reads; raises SourceError."""
        # Only S3 needs libcurl, which has 10 MB.
        from exporter.aws.direct import DirectReader  # noqa: PLC0415

        client = self.client(call.service, call.region, call.account_id, any_signer=True)
        with self._lock:
            if client not in self._direct:
                self._direct[client] = DirectReader(client, self._open(), self._conduct)
            return self._direct[client]

    def body(self, call: Call, stream: Any) -> bytes:
        """The rest of an answer that is read as a stream; raises SourceError."""
        try:
            return cast("bytes", stream.read())
        except (*AWS_ERRORS, CutOffError) as error:
            raise source_error(error, call) from error
        finally:
            stream.close()

    def client(
        self,
        service: str,
        region: str,
        account_id: str = "",
        *,
        endpoint: str = "",
        any_signer: bool = False,
    ) -> Any:
        """The client of a service; raises SourceError.

        A request that would be signed with another account's credentials raises SourceError with
        reason ``account_changed`` instead. If ``account_id`` is empty, or with ``any_signer``, any
        account may sign. ``endpoint``: a URL in place of the environment's.
        """

        def check_signer(access_key: str) -> None:
            self._require(account_id, access_key, region)

        with self._lock:
            session = self._open()
            clients = self._clients.pop((account_id, region), {})
            self._clients[account_id, region] = clients
            if len(self._clients) > MOST_ACCOUNTS:
                del self._clients[next(iter(self._clients))]
            kind = f"{service} {endpoint} {any_signer}"
            if kind not in clients:
                clients[kind] = make_client(
                    session,
                    service,
                    account_id,
                    region,
                    self._conduct,
                    check_signer=check_signer if account_id and not any_signer else None,
                    endpoint=endpoint,
                )
            return clients[kind]

    def _open(self) -> Session:
        """The session; drops the clients of an outdated one. Needs the lock."""
        session, is_new = self._sessions.current()
        if is_new:
            self._clients.clear()
        return session

    def _keys(self, region: str) -> ReadOnlyCredentials:
        """The current access key; raises SourceError if there is no key."""
        try:
            with self._lock:
                credentials = self._open().get_credentials()
            if credentials is None:
                raise NoCredentialsError
            return credentials.get_frozen_credentials()  # fetches new ones if these run out
        except AWS_ERRORS as error:
            raise source_error(error, Call("sts", "GetCallerIdentity", "", region)) from error

    def _ask(self, keys: ReadOnlyCredentials, regions: Sequence[str]) -> str:
        """Ask AWS for the account of an access key."""
        home = self.default_region
        failure: SourceError | None = None
        for region in dict.fromkeys([*([home] if home else []), *regions]):
            with self._lock:
                client = make_client(self._open(), "sts", "", region, self._conduct, keys=keys)
            try:
                account_id: str = cast("STSClient", client).get_caller_identity()["Account"]
            except AWS_ERRORS as error:
                failure = source_error(error, Call("sts", "GetCallerIdentity", "", region))
            else:
                return account_id
            finally:
                client.close()
        raise failure or _no_region_error()

    def _require(self, account_id: str, access_key: str, region: str) -> None:
        """Refuse a request that is not signed with credentials of the account."""
        signed_by = self._callers.known(access_key)
        if signed_by is None:
            self.identify([region])
            signed_by = self._callers.known(access_key)
        if signed_by is None:
            raise SourceError(
                f"The AWS credentials were replaced while a request for account {account_id}, "
                f"region {region} was made; it is tried again.",
                reason="account_changed",
            )
        if signed_by != account_id:
            raise _account_changed_error(account_id, region, signed_by)


def _account_changed_error(account_id: str, region: str, now: str) -> SourceError:
    return SourceError(
        f"The AWS credentials belong to account {now} now: account {account_id}, region {region} "
        "is not read. Restore the credentials of that account, and reading continues where it "
        "stopped; if the change is intended, reload the configuration.",
        reason="account_changed",
    )


def _no_region_error() -> SourceError:
    return SourceError(
        "No AWS region is known; name `regions` in the source, or set AWS_REGION.",
        reason="invalid_request",
    )
