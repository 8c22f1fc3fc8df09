"""botocore clients with quotas, limits and metrics for each request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore import xform_name
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError

from exporter import __version__
from exporter.aws.answers import ALWAYS_SENT, MOST_BYTES, admit, is_refused
from exporter.aws.callers import signing_key
from exporter.aws.calls import Call
from exporter.aws.errors import code_reason, cut_off, source_error
from exporter.aws.quotas import Quotas, stopping_error
from exporter.aws.transport import Bounds, bind
from exporter.clock import Clock
from exporter.model import SourceError

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session

# Retries are standard, not adaptive: the adaptive rate is per client, ignores the quotas of other
# operations, and falls to one call in two seconds after a single throttle of a quiet client.
# Four attempts wait 7 seconds at most; the next poll retries anyway, also if the accounts of a
# region have used up botocore's quota of retries, which is per client, too.
# A connection for each worker: all accounts share those of a region.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=10,
    read_timeout=30,
    tcp_keepalive=True,
    max_pool_connections=128,
    user_agent_extra=f"metric-filter-exporter/{__version__}",
)

# botocore refuses an endpoint URL together with AWS_USE_FIPS_ENDPOINT and
# AWS_USE_DUALSTACK_ENDPOINT, which choose among the public endpoints.
_AT_ENDPOINT = Config(use_fips_endpoint=False, use_dualstack_endpoint=False)

CALL_SECONDS = 60.0
"""Timeout of an HTTP call. AWS answers within two seconds, FilterLogEvents within about ten, when
it ends a scan. A page of 1 MB in a minute is 140 kbit/s."""


class ApiObserver(Protocol):
    """Observes each request to AWS."""

    def api_request(
        self, *, service: str, operation: str, account_id: str, region: str, outcome: str
    ) -> None:
        """An HTTP attempt; ``outcome`` is success, throttled, access_denied or error."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """The limits of every request, and its observer."""

    quotas: Quotas
    clock: Clock
    """Learns AWS's time from each answer."""
    stop: threading.Event
    """Ends every wait and call with a SourceError with reason ``stopping``."""
    call_seconds: float = CALL_SECONDS
    observer: ApiObserver | None = None

    def observe(self, call: Call, outcome: str) -> None:
        """Report a request to the observer."""
        if self.observer is not None:
            self.observer.api_request(
                service=call.service,
                operation=call.operation,
                account_id=call.account_id,
                region=call.region,
                outcome=outcome,
            )


@dataclass(frozen=True, slots=True)
class Sender:
    """The account that a request is for, and its credentials."""

    account_id: str
    """For quotas and metrics; empty if it is not known."""
    keys: Callable[[], ReadOnlyCredentials]
    """Returns the current credentials, for each attempt. May raise; then nothing is sent."""


_SENDER: ContextVar[Sender] = ContextVar("_SENDER")
_SIGNED_BY: Final = "metric-filter-exporter"
"""The access key in the context of a request."""
_UNUSED: Final = "signed-by-the-sender"
"""The credentials of a client itself, which AWS refuses."""


def call(
    client: BaseClient, operation: str, sender: Sender, parameters: Mapping[str, object]
) -> Any:
    """The answer to a request, signed with the sender's credentials; raises botocore's errors.

    A client has 0.25 MiB and takes 4 ms to make, so all accounts share those of a region.
    """
    token = _SENDER.set(sender)
    try:
        return getattr(client, xform_name(operation))(**parameters)
    finally:
        _SENDER.reset(token)


def as_credentials(keys: ReadOnlyCredentials) -> Credentials:
    """The keys as botocore's signers and fetchers take them."""
    return Credentials(keys.access_key or "", keys.secret_key or "", keys.token)


def make_client(
    session: Session, service: str, region: str, conduct: Conduct, *, endpoint: str = ""
) -> BaseClient:
    """Make a client for ``call``; raises SourceError. Not thread-safe for one session (botocore).

    ``endpoint`` replaces the environment's endpoint URL.
    """
    try:
        client: BaseClient = session.create_client(
            service,
            region_name=region,
            config=_CONFIG.merge(_AT_ENDPOINT) if endpoint else _CONFIG,
            endpoint_url=endpoint or None,
            aws_access_key_id=_UNUSED,
            aws_secret_access_key=_UNUSED,
        )
    except (BotoCoreError, ValueError) as error:
        raise source_error(error, Call(service, "*", "", region)) from error
    sent = threading.local()

    def before(request: Any, operation_name: str, **_: object) -> None:
        if operation_name not in ALWAYS_SENT:
            raise LookupError(f"{operation_name} has no line in exporter/aws/answers.py")
        sender = _SENDER.get()
        conduct.quotas.wait(operation_name, sender.account_id, region, conduct.stop)
        keys = as_credentials(sender.keys())
        request.context["signing"] = {
            **request.context.get("signing", {}),
            "request_credentials": keys,
        }
        request.context[_SIGNED_BY] = keys.access_key
        sent.at = conduct.clock.sending()

    def signed(request: Any, **_: object) -> None:
        # How botocore learns of the credentials is not documented.
        if signing_key(request.headers) != request.context[_SIGNED_BY]:
            raise SourceError(
                f"A request to {service} was not signed with the credentials of its account.",
                reason="account_changed",
            )

    def parsing(
        operation_model: Any, response_dict: Any, customized_response_dict: Any, **_: object
    ) -> None:
        admit(operation_model, response_dict, customized_response_dict)

    def after(
        event_name: str,
        parsed_response: dict[str, Any] | None = None,
        response_dict: dict[str, Any] | None = None,
        **_: object,
    ) -> None:
        operation = event_name.rpartition(".")[2]
        outcome, account_id = _outcome(parsed_response), _SENDER.get().account_id
        date = (response_dict or {}).get("headers", {}).get("date")
        if date is not None:
            conduct.clock.learn(date, sent.at, accepted=outcome == "success")
        if outcome == "throttled":
            conduct.quotas.throttled(operation, account_id, region)
        conduct.observe(Call(service, operation, account_id, region), outcome)

    def retrying(
        response: tuple[Any, dict[str, Any]] | None,
        caught_exception: Exception | None,
        **_: object,
    ) -> None:
        # An exception ends the call; a return value would request another attempt.
        if caught_exception is not None and cut_off(caught_exception):
            raise caught_exception
        if conduct.stop.is_set():
            raise stopping_error()
        if response is not None and is_refused(response[1]):
            response[0].status_code = HTTPStatus.BAD_GATEWAY

    bind(client, Bounds(conduct.call_seconds, MOST_BYTES, conduct.stop))
    # These are called for each HTTP attempt. botocore calls the handlers of a service before those
    # of all services. The wait comes first, so the signature is fresh.
    events, name = client.meta.events, client.meta.service_model.service_id.hyphenize()
    events.register_first(f"request-created.{name}", before)
    events.register_last(f"request-created.{name}", signed)
    events.register(f"before-parse.{name}", parsing)
    events.register(f"response-received.{name}", after)
    events.register_first(f"needs-retry.{name}", retrying)
    return client


def _outcome(parsed_response: dict[str, Any] | None) -> str:
    if parsed_response is None:
        return "error"
    if parsed_response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) < 300:
        return "success"
    reason = code_reason(str(parsed_response.get("Error", {}).get("Code", "")))
    return reason if reason in ("throttled", "access_denied") else "error"
