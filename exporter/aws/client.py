"""botocore clients whose requests keep to quotas and bounds and are reported."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from botocore.config import Config
from botocore.exceptions import BotoCoreError

from exporter import __version__
from exporter.aws.answers import ALWAYS_SENT, MOST_BYTES, admit, is_refused
from exporter.aws.callers import signing_key
from exporter.aws.calls import Call
from exporter.aws.errors import code_reason, cut_off, source_error
from exporter.aws.quotas import Quotas, stopping_error
from exporter.aws.transport import Bounds, bind
from exporter.clock import Clock

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.credentials import ReadOnlyCredentials
    from botocore.session import Session

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
    """Gets each request that was sent to AWS."""

    def api_request(
        self, *, service: str, operation: str, account_id: str, region: str, outcome: str
    ) -> None:
        """One HTTP attempt, retries included.

        ``service`` and ``account_id``: see Call. ``outcome``: ``success``, ``throttled``,
        ``access_denied`` or ``error``.
        """


@dataclass(frozen=True, slots=True)
class Conduct:
    """What every request of the process keeps to, and who observes it."""

    quotas: Quotas
    clock: Clock
    """Learns AWS's time from each answer."""
    stop: threading.Event
    """Ends each wait and each call with a SourceError whose reason is ``stopping``."""
    call_seconds: float = CALL_SECONDS
    """How long one HTTP call may take."""
    observer: ApiObserver | None = None


def make_client(
    session: Session,
    service: str,
    account_id: str,
    region: str,
    conduct: Conduct,
    *,
    check_signer: Callable[[str], None] | None = None,
    keys: ReadOnlyCredentials | None = None,
) -> BaseClient:
    """Make a client; raises SourceError.

    ``check_signer`` gets the access key that signs a request before it is sent, and may raise.
    ``keys``: credentials other than the session's. botocore: making clients of one session is not
    thread-safe.
    """
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
    sent = threading.local()

    def before(operation_name: str, **_: object) -> None:
        if operation_name not in ALWAYS_SENT:
            raise LookupError(f"{operation_name} has no line in exporter/aws/answers.py")
        conduct.quotas.wait(operation_name, account_id, region, conduct.stop)
        sent.at = conduct.clock.sending()

    def signed(request: Any, **_: object) -> None:
        if check_signer is not None:
            check_signer(signing_key(request.headers))

    def admitted(
        operation_model: Any,
        response_dict: dict[str, Any],
        customized_response_dict: dict[str, Any],
        **_: object,
    ) -> None:
        admit(operation_model, response_dict, customized_response_dict)

    def after(
        event_name: str,
        parsed_response: dict[str, Any] | None = None,
        response_dict: dict[str, Any] | None = None,
        **_: object,
    ) -> None:
        outcome = _outcome(parsed_response)
        date = (response_dict or {}).get("headers", {}).get("date")
        if date is not None:
            conduct.clock.learn(date, sent.at, accepted=outcome == "success")
        if conduct.observer is not None:
            conduct.observer.api_request(
                service=service,
                operation=event_name.rpartition(".")[2],
                account_id=account_id,
                region=region,
                outcome=outcome,
            )

    def again(
        response: tuple[Any, dict[str, Any]] | None,
        caught_exception: Exception | None,
        **_: object,
    ) -> None:
        # Raising ends the call; what a handler returns asks for another attempt.
        if caught_exception is not None and cut_off(caught_exception):
            raise caught_exception
        if conduct.stop.is_set():
            raise stopping_error()
        if response is not None and is_refused(response[1]):
            response[0].status_code = HTTPStatus.BAD_GATEWAY

    bind(client, Bounds(conduct.call_seconds, MOST_BYTES, conduct.stop))
    # Once an HTTP attempt, retries included. The handlers of the service are called before those
    # of all services. The wait comes first of all, so that the signature is fresh; the check of
    # the signature last.
    events, name = client.meta.events, client.meta.service_model.service_id.hyphenize()
    events.register_first(f"request-created.{name}", before)
    events.register_last(f"request-created.{name}", signed)
    events.register(f"before-parse.{name}", admitted)
    events.register(f"response-received.{name}", after)
    events.register_first(f"needs-retry.{name}", again)
    return client


def _outcome(parsed_response: dict[str, Any] | None) -> str:
    if parsed_response is None:
        return "error"
    if parsed_response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) < 300:
        return "success"
    reason = code_reason(str(parsed_response.get("Error", {}).get("Code", "")))
    return reason if reason in ("throttled", "access_denied") else "error"
