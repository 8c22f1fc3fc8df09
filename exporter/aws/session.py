"""One AWS account as the exporter reaches it: clients by service and region."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from exporter import __version__
from exporter.aws.answers import check_answer
from exporter.aws.errors import AWS_ERRORS, Call, code_reason, source_error
from exporter.aws.quotas import Quotas
from exporter.clock import Clock
from exporter.errors import SourceError

if TYPE_CHECKING:
    from botocore.client import BaseClient
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
    """An AWS account, by one boto3 session (default: the environment's); thread-safe.

    ``quotas`` is shared by all accounts of the process; ``stop`` ends each wait for a quota with
    a SourceError whose reason is ``stopping``. ``clock`` learns AWS's time from each answer.
    Endpoints are boto3's (``AWS_ENDPOINT_URL`` …).
    """

    def __init__(
        self,
        session: boto3.Session | None = None,
        *,
        quotas: Quotas | None = None,
        observer: ApiObserver | None = None,
        clock: Clock | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self._session = session
        self._quotas = quotas if quotas is not None else Quotas()
        self._observer = observer if observer is not None else NoObserver()
        self._clock = clock if clock is not None else Clock()
        self._sent = threading.local()
        self._stop = stop if stop is not None else threading.Event()
        self._clients: dict[tuple[str, str], BaseClient] = {}
        self._lock = threading.Lock()
        self._account_id = ""

    @property
    def default_region(self) -> str | None:
        """The region that the environment or the profile names; raises SourceError."""
        with self._lock:
            region: str | None = self._open().region_name
        # boto3 knows AWS_DEFAULT_REGION only; AWS's other tools, and what AWS sets, AWS_REGION.
        return region or os.environ.get("AWS_REGION") or None

    @property
    def account_id(self) -> str:
        """The account's id; empty until ``identify`` has found it."""
        return self._account_id

    def identify(self, regions: Sequence[str]) -> str:
        """Find the account's id by sts:GetCallerIdentity in the first region that answers.

        It is asked for once. Raises SourceError, the last region's, where none answers.
        """
        if self._account_id:
            return self._account_id
        home = self.default_region
        failure: SourceError | None = None
        for region in dict.fromkeys([*([home] if home else []), *regions]):
            try:
                identity = self.sts(region).get_caller_identity()
            except AWS_ERRORS as error:
                failure = source_error(error, Call("sts", "GetCallerIdentity", "", region))
                continue
            self._account_id = identity["Account"]
            return self._account_id
        raise failure or no_region_error()

    def cloudtrail(self, region: str) -> CloudTrailClient:
        """The CloudTrail client of a region."""
        return cast("CloudTrailClient", self._client("cloudtrail", region))

    def logs(self, region: str) -> CloudWatchLogsClient:
        """The CloudWatch Logs client of a region."""
        return cast("CloudWatchLogsClient", self._client("logs", region))

    def sts(self, region: str) -> STSClient:
        """The STS client of a region."""
        return cast("STSClient", self._client("sts", region))

    def _client(self, service: str, region: str) -> BaseClient:
        with self._lock:  # boto3: making clients of one session is not thread-safe
            client = self._clients.get((service, region))
            if client is None:
                client = self._clients[service, region] = self._make(service, region)
        return client

    def _open(self) -> boto3.Session:
        """The session, made at first use: it fails where AWS_PROFILE names no profile."""
        if self._session is None:
            try:
                self._session = boto3.Session()
            except BotoCoreError as error:
                raise SourceError(
                    f"There is no AWS session: {error}; correct AWS_PROFILE or the AWS "
                    "configuration file.",
                    reason="no_credentials",
                ) from error
        return self._session

    def _make(self, service: str, region: str) -> BaseClient:
        # Over botocore's interface: boto3's is typed by literal service names.
        make = cast("Any", self._open().client)
        try:
            client: BaseClient = make(service, region_name=region, config=_CONFIG)
        except (BotoCoreError, ValueError) as error:
            raise source_error(error, Call(service, "*", self._account_id, region)) from error

        def before(operation_name: str, **_: object) -> None:
            self._quotas.wait(operation_name, self._account_id, region, self._stop)
            self._sent.at = self._clock.sending()

        def after(
            event_name: str,
            parsed_response: dict[str, Any] | None = None,
            response_dict: dict[str, Any] | None = None,
            **_: object,
        ) -> None:
            date = (response_dict or {}).get("headers", {}).get("date")
            if date is not None:
                self._clock.learn(date, self._sent.at)
            self._observer.api_request(
                service=service,
                operation=event_name.rpartition(".")[2],
                account_id=self._account_id,
                region=region,
                outcome=_outcome(parsed_response),
            )

        def check(operation_model: Any, response_dict: Mapping[str, Any], **_: object) -> None:
            call = Call(service, operation_model.name, self._account_id, region)
            check_answer(operation_model, response_dict, call)

        client.meta.events.register("before-parse", check)
        # Both events come once an HTTP attempt, retries included. The wait comes first of all, so
        # that the signature is fresh.
        client.meta.events.register_first("request-created", before)
        client.meta.events.register("response-received", after)
        return client


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
