"""One AWS account as the exporter reaches it: clients by service and region."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.session import Session

from exporter import __version__
from exporter.aws.answers import ALWAYS_SENT, MOST_BYTES, admit, is_refused
from exporter.aws.callers import Callers, signing_key
from exporter.aws.errors import AWS_ERRORS, Call, code_reason, cut_off, source_error
from exporter.aws.live_session import LiveSession
from exporter.aws.quotas import CallCost, Quotas, stopping_error
from exporter.aws.transport import Bounds, bind
from exporter.clock import Clock
from exporter.model import SourceError

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.credentials import ReadOnlyCredentials
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sts import STSClient

# Standard, not adaptive, retries: the adaptive rate is per client, blind to the other operations'
# quotas, and falls to one call in two seconds after a single throttle of a quiet client.
# Four attempts wait 7 seconds at most, and stop between any two; the next poll goes on anyway.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=10,
    read_timeout=30,
    tcp_keepalive=True,
    max_pool_connections=25,
    user_agent_extra=f"metric-filter-exporter/{__version__}",
)


CALL_SECONDS = 60.0
"""How long one HTTP call may take. AWS answers in a second or two, FilterLogEvents at most in some
ten: it gives up a scan by itself. A page of 1 MB in a minute is 140 kbit/s."""


class ApiObserver(Protocol):
    """Is told of each request that was sent to AWS."""

    def api_request(
        self, *, service: str, operation: str, account_id: str, region: str, outcome: str
    ) -> None:
        """One HTTP attempt, retries included.

        ``service`` as IAM names it (``cloudtrail``, ``logs``, ``sts``); ``account_id`` is empty
        before it is known; ``outcome``: ``success``, ``throttled``, ``access_denied``, ``error``.
        """


class NoObserver:
    """An ApiObserver that nobody listens to."""

    def api_request(
        self, *, service: str, operation: str, account_id: str, region: str, outcome: str
    ) -> None:
        """Do nothing."""


class AwsAccount:
    """AWS as the environment's credentials reach it; thread-safe.

    The credentials may become another account's while it runs: ``identify`` says whose they are
    now, and a client that is made for an account sends nothing under another's.

    ``sessions`` makes a botocore session, by default the environment's; it is called again when
    the AWS configuration files change. ``quotas`` is shared by all accounts of the process;
    ``stop`` ends each wait and each call with a SourceError whose reason is ``stopping``.
    ``clock`` learns AWS's time from each answer. ``call_seconds``: how long one HTTP call may take.
    Endpoints are boto3's (``AWS_ENDPOINT_URL`` …).
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
        self._quotas = quotas if quotas is not None else Quotas()
        self._observer = observer if observer is not None else NoObserver()
        self._clock = clock if clock is not None else Clock()
        self._sent = threading.local()
        self._stop = stop if stop is not None else threading.Event()
        self._bounds = Bounds(call_seconds, MOST_BYTES, self._stop)
        self._clients: dict[tuple[str, str, str], BaseClient] = {}
        self._lock = threading.Lock()
        self._callers = Callers()
        self._identified: list[str] = []

    @property
    def default_region(self) -> str | None:
        """The region that the environment or the profile names; raises SourceError."""
        with self._lock:
            region: str | None = self._open().get_config_variable("region")
        # botocore knows AWS_DEFAULT_REGION only; AWS's other tools, and what AWS sets, AWS_REGION.
        return region or os.environ.get("AWS_REGION") or None

    @property
    def former_accounts(self) -> Sequence[str]:
        """Accounts that ``identify`` has found before the one it found last."""
        return self._identified[:-1]

    def identify(self, regions: Sequence[str]) -> str:
        """Find the account's id by sts:GetCallerIdentity in the first region that answers.

        It is asked for once for each access key. Raises SourceError, the last region's, where
        none answers.
        """
        keys = self._keys(regions[0] if regions else "")
        account_id = self._callers.find(keys.access_key or "", lambda: self._ask(keys, regions))
        with self._lock:
            if account_id in self._identified:
                self._identified.remove(account_id)
            self._identified.append(account_id)
        return account_id

    def cloudtrail(self, region: str, account_id: str = "") -> CloudTrailClient:
        """The CloudTrail client of a region.

        ``account_id``: requests that another account's credentials would sign are not sent but
        raise SourceError, reason ``account_changed``. Empty: any account will do.
        """
        return cast("CloudTrailClient", self._client("cloudtrail", region, account_id))

    def logs(self, region: str, account_id: str = "") -> CloudWatchLogsClient:
        """The CloudWatch Logs client of a region; ``account_id`` as in ``cloudtrail``."""
        return cast("CloudWatchLogsClient", self._client("logs", region, account_id))

    def cost(self, operation: str, region: str, account_id: str) -> CallCost:
        """What a call of an operation takes of its quota in a region."""
        return CallCost(self._quotas, operation, account_id, region)

    def _client(self, service: str, region: str, account_id: str) -> BaseClient:
        key = (service, region, account_id)
        with self._lock:  # botocore: making clients of one session is not thread-safe
            session = self._open()
            client = self._clients.get(key)
            if client is None:
                client = self._clients[key] = self._make(session, service, region, account_id)
        return client

    def _open(self) -> Session:
        """The session; clients of one that is out of date are let go. Needs the lock."""
        session, is_new = self._sessions.current()
        if is_new:
            self._clients.clear()
        return session

    def _keys(self, region: str) -> ReadOnlyCredentials:
        """The access key of the moment; raises SourceError where there is none."""
        try:
            with self._lock:
                credentials = self._open().get_credentials()
            if credentials is None:
                raise NoCredentialsError
            return credentials.get_frozen_credentials()  # fetches new ones where these run out
        except AWS_ERRORS as error:
            raise source_error(error, Call("sts", "GetCallerIdentity", "", region)) from error

    def _ask(self, keys: ReadOnlyCredentials, regions: Sequence[str]) -> str:
        """Whose keys these are."""
        home = self.default_region
        failure: SourceError | None = None
        for region in dict.fromkeys([*([home] if home else []), *regions]):
            with self._lock:
                client = self._make(self._open(), "sts", region, "", keys)
            try:
                account_id: str = cast("STSClient", client).get_caller_identity()["Account"]
            except AWS_ERRORS as error:
                failure = source_error(error, Call("sts", "GetCallerIdentity", "", region))
            else:
                return account_id
            finally:
                client.close()
        raise failure or no_region_error()

    def _make(
        self,
        session: Session,
        service: str,
        region: str,
        account_id: str,
        keys: ReadOnlyCredentials | None = None,
    ) -> BaseClient:
        try:
            client: BaseClient = session.create_client(
                service,
                region_name=region,
                config=_CONFIG,
                aws_access_key_id=keys.access_key if keys else None,
                aws_secret_access_key=keys.secret_key if keys else None,
                aws_session_token=keys.token if keys else None,
            )
        except (BotoCoreError, ValueError) as error:
            raise source_error(error, Call(service, "*", account_id, region)) from error

        def before(operation_name: str, **_: object) -> None:
            if operation_name not in ALWAYS_SENT:
                raise LookupError(f"{operation_name} has no line in exporter/aws/answers.py")
            self._quotas.wait(operation_name, account_id, region, self._stop)
            self._sent.at = self._clock.sending()

        def own(request: Any, **_: object) -> None:
            self._require(account_id, signing_key(request.headers), region)

        def after(
            event_name: str,
            parsed_response: dict[str, Any] | None = None,
            response_dict: dict[str, Any] | None = None,
            **_: object,
        ) -> None:
            outcome = _outcome(parsed_response)
            date = (response_dict or {}).get("headers", {}).get("date")
            if date is not None:
                self._clock.learn(date, self._sent.at, accepted=outcome == "success")
            self._observer.api_request(
                service=service,
                operation=event_name.rpartition(".")[2],
                account_id=account_id,
                region=region,
                outcome=outcome,
            )

        def admitted(
            operation_model: Any,
            response_dict: dict[str, Any],
            customized_response_dict: dict[str, Any],
            **_: object,
        ) -> None:
            admit(operation_model, response_dict, customized_response_dict)

        def again(
            response: tuple[Any, dict[str, Any]] | None,
            caught_exception: Exception | None,
            **_: object,
        ) -> None:
            # Raising ends the call; what a handler returns asks for another attempt.
            if caught_exception is not None and cut_off(caught_exception):
                raise caught_exception
            if self._stop.is_set():
                raise stopping_error()
            if response is not None and is_refused(response[1]):
                response[0].status_code = HTTPStatus.BAD_GATEWAY

        bind(client, self._bounds)
        # Once an HTTP attempt, retries included. The handlers of the service are called before
        # those of all services. The wait comes first of all, so that the signature is fresh; the
        # check of the signature last.
        events, name = client.meta.events, client.meta.service_model.service_id.hyphenize()
        events.register_first(f"request-created.{name}", before)
        if account_id:
            events.register_last(f"request-created.{name}", own)
        events.register(f"before-parse.{name}", admitted)
        events.register(f"response-received.{name}", after)
        events.register_first(f"needs-retry.{name}", again)
        return client

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
            raise account_changed_error(account_id, region, signed_by)


def account_changed_error(account_id: str, region: str, now: str) -> SourceError:
    """The credentials have become another account's."""
    return SourceError(
        f"The AWS credentials belong to account {now} now: account {account_id}, region {region} "
        "is not read. Give the exporter credentials of that account again, and reading goes on "
        "where it was; if the change is meant, reload the configuration.",
        reason="account_changed",
    )


def no_region_error() -> SourceError:
    """No region is configured, and the environment names none."""
    return SourceError(
        "No AWS region is known; name `regions` in the source, or set AWS_REGION.",
        reason="invalid_request",
    )


def _outcome(parsed_response: dict[str, Any] | None) -> str:
    if parsed_response is None:
        return "error"
    if parsed_response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) < 300:
        return "success"
    reason = code_reason(str(parsed_response.get("Error", {}).get("Code", "")))
    return reason if reason in ("throttled", "access_denied") else "error"
