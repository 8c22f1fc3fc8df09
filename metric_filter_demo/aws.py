"""An AWS on loopback: moto's server, with an event history and log groups that act like AWS's."""

from __future__ import annotations

import contextlib
import io
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import uuid4

from moto.backends import get_backend
from moto.core.base_backend import BackendDict
from moto.iam.models import get_account_id_from
from moto.logs.exceptions import ResourceNotFoundException
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from metric_filter_demo import queues
from metric_filter_demo.accounts import Accounts
from metric_filter_demo.answers import resumed
from metric_filter_demo.buckets import check_owner, operation_named
from metric_filter_demo.calls import Call, Calls
from metric_filter_demo.event_history import EventHistory
from metric_filter_demo.faults import ConnectionDropped, Drip, FaultInjector, Faults
from metric_filter_demo.log_group_lists import LogGroupLists, logs_backend
from metric_filter_demo.log_groups import LogEvents, group_of
from metric_filter_demo.metric_filters import answer_test_metric_filter
from metric_filter_demo.protocol import (
    ApiError,
    Request,
    Response,
    credential_scope,
    failure,
    operation_of,
    success,
)
from metric_filter_demo.quotas import Quotas
from metric_filter_demo.server import LoopbackServer, send_dripping
from metric_filter_demo.signatures import check_age

DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "us-east-1"

_NAMED_BY_PATH = ("account",)
"""Services whose operations are paths, such as /listRegions."""
# AWS: PutLogEvents rejects events older than 14 days or more than 2 hours in the future.
_OLDEST_ACCEPTED = 14 * 86_400_000
_NEWEST_ACCEPTED = 2 * 3_600_000


class EmbeddedAws:
    """An AWS on 127.0.0.1 that any AWS SDK can be pointed at with ``AWS_ENDPOINT_URL``.

    LookupEvents, FilterLogEvents, DescribeLogGroups, ListLogGroups and TestMetricFilter keep to
    AWS's documented contract: order, pages, tokens, errors, delivery delays and quotas; everything
    else is moto's. moto keeps its state in the process: a new EmbeddedAws empties it, so there can
    be one at a time. Its content stays over ``stop`` and ``start``.

    Args:
        port: 0 takes a free port at the first start and keeps it afterwards.
        quotas: requests per second by operation in place of AWS's (``math.inf``: none).
        faults: the faults to inject; may be replaced at run time.
        clock: seconds since the epoch. Every answer's Date is by it, and so is the age of
            signatures: more than 5 minutes off, they are refused.
        signature_age: whether signatures may be refused for their age. False: for a clock that is
            not the clients'.
        retention: seconds after which events are dropped, to bound memory. By default the
            event history's 90 days; log groups keep everything.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        quotas: Mapping[str, float] | None = None,
        faults: Faults | None = None,
        clock: Callable[[], float] = time.time,
        signature_age: bool = True,
        retention: float | None = None,
    ) -> None:
        self.calls = Calls()
        self.accounts = Accounts()
        self.log_group_lists = LogGroupLists()
        self._signature_age = signature_age
        self._clock = clock
        self._port = port
        self._injector = FaultInjector(faults)
        self._quotas = Quotas(quotas)
        self._history = EventHistory(self._injector, clock=clock, retention=retention)
        self._log_events = LogEvents(self._injector, clock=clock, retention=retention)
        self._own: Mapping[str, Callable[[Request], Mapping[str, Any]]] = {
            "LookupEvents": self._history.lookup,
            "FilterLogEvents": self._filter_log_events,
            "DescribeLogGroups": self.log_group_lists.answer,
            "ListLogGroups": self.log_group_lists.answer,
            "ListRegions": self.accounts.list_regions,
            "TestMetricFilter": lambda request: answer_test_metric_filter(
                request, self.faults.doubts
            ),
        }
        """Answers by operation; the others are moto's."""
        self._server: LoopbackServer | None = None
        BackendDict.reset()
        self._moto: Any = DomainDispatcherApplication(create_backend_app)

    def start(self) -> EmbeddedAws:
        """Listen; returns itself. Raises OSError if the port is taken."""
        if self._server is None:
            self._server = LoopbackServer(self._answer, self._port, self._clock)
            self._port = self._server.port
        return self

    def stop(self) -> None:
        """Stop listening and close every connection; idempotent."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> EmbeddedAws:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """The URL, once started."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def faults(self) -> Faults:
        """The faults to inject from now on; assign to change them."""
        return self._injector.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._injector.faults = faults

    def environment(self, region: str = DEFAULT_REGION) -> dict[str, str]:
        """Environment variables that make an AWS SDK talk to this AWS and to nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_SESSION_TOKEN": "testing",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def access_key(self, account: str) -> tuple[str, str]:
        """Make an access key of an account: its id and its secret."""
        iam = get_backend("iam")[account]["aws"]
        name = f"user-{uuid4()}"
        iam.create_user(DEFAULT_REGION, name)
        key = iam.create_access_key(name)
        return str(key.access_key_id), str(key.secret_access_key)

    def record(
        self,
        account: str,
        region: str,
        record: Mapping[str, Any],
        visible_in: float = 0.0,
        *,
        copies: int = 1,
    ) -> str:
        """Add a CloudTrail record to a region's event history (see EventHistory.record)."""
        return self._history.record(account, region, record, visible_in=visible_in, copies=copies)

    def put_log_event(
        self,
        region: str,
        group: str,
        message: str,
        *,
        timestamp: int | None = None,
        visible_in: float = 0.0,
        stream: str = "main",
        account: str = DEFAULT_ACCOUNT,
    ) -> str:
        """Add a log event to an existing log group and return its id (see LogEvents.put)."""
        if group not in logs_backend(account, region).groups:
            raise KeyError(f"There is no log group {group} in {account} {region}.")
        return self._log_events.put(
            (account, region, group),
            message,
            timestamp=timestamp,
            stream=stream,
            visible_in=visible_in,
        )

    def log_group_create(
        self,
        region: str,
        name: str,
        account: str = DEFAULT_ACCOUNT,
        *,
        tags: Mapping[str, str] | None = None,
        log_group_class: str = "STANDARD",
    ) -> None:
        """Create a log group."""
        logs_backend(account, region).create_log_group(name, dict(tags or {}))
        self.log_group_lists.set_class((account, region, name), log_group_class)

    def log_group_tag(
        self, region: str, name: str, account: str = DEFAULT_ACCOUNT, *, tags: Mapping[str, str]
    ) -> None:
        """Add tags to a log group."""
        logs_backend(account, region).tag_log_group(name, dict(tags))

    def log_group_delete(self, region: str, name: str, account: str = DEFAULT_ACCOUNT) -> None:
        """Delete a log group and its events."""
        logs_backend(account, region).delete_log_group(name)
        self._log_events.drop((account, region, name))

    def queue_create(self, region: str, name: str, account: str = DEFAULT_ACCOUNT) -> str:
        """Create an SQS queue and return its URL, which is valid once this AWS has started."""
        queues.queue_create(account, region, name)
        return f"{self.endpoint_url}/{account}/{name}"

    def send_message(
        self,
        region: str,
        name: str,
        body: str,
        *,
        delay: int = 0,
        account: str = DEFAULT_ACCOUNT,
    ) -> None:
        """Send a message to an existing queue, to be seen after a delay in seconds."""
        queues.message_send(account, region, name, body, delay=delay)

    def expire_visibility(self, region: str, name: str, account: str = DEFAULT_ACCOUNT) -> None:
        """Let the messages that were received and not deleted be received again at once."""
        queues.visibility_expire(account, region, name)

    def messages_left(self, region: str, name: str, account: str = DEFAULT_ACCOUNT) -> int:
        """The number of messages in a queue, visible or not."""
        return queues.messages_left(account, region, name)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """The WSGI application: faults and quotas first, then our operations, then moto."""
        marked, request = resumed(_request(environ))
        outcome = "ok"
        headers: list[tuple[str, str]] | None = None
        try:
            self._injector.before(request)
            if self._signature_age:
                check_age(request, self._clock())
            self._quotas.take(request)
            check_owner(request, environ)
            if request.operation == "AssumeRole":
                self.accounts.check_assume_role(request)
            response = self._injector.in_place_of(marked)
            if response is not None:
                outcome = "untrue"
            elif request.operation in self._own:
                response = success(self._own[request.operation](request))
            else:
                response, headers = self._ask_moto(request, environ)
                outcome = "ok" if response.status < 300 else f"HTTP {response.status}"
        except ApiError as error:
            outcome = error.code
            response = failure(error, request.protocol)
        except ConnectionDropped:
            self._count(request, "dropped")
            _drop_connection(environ)
            start_response("500 Internal Server Error", [])
            return []
        disturbed = self._injector.disturbed(request, response)
        drip = self._injector.drips(request)
        self._count(request, "dripped" if drip is not Drip.NOT else outcome)
        if headers is None or disturbed is not response:
            headers = disturbed.headers
        if drip is not Drip.NOT:
            send_dripping(environ, disturbed, now=self._clock(), headers=drip is Drip.HEADERS)
        start_response(disturbed.status_line, headers)
        return [disturbed.body]

    def _filter_log_events(self, request: Request) -> dict[str, Any]:
        key = group_of(request.parameters(), request.account, request.region)
        account, region, name = key
        if (
            not self.log_group_lists.sees(request.account, account)
            or name not in logs_backend(account, region).groups
        ):
            error = ResourceNotFoundException()
            raise ApiError("ResourceNotFoundException", error.message)
        log_group_class = self.log_group_lists.class_of(key)
        if log_group_class in ("INFREQUENT_ACCESS", "DELIVERY"):
            raise ApiError(
                "InvalidParameterException",
                f"FilterLogEvents does not support the log group class {log_group_class}.",
            )
        return self._log_events.filter(request, key)

    def _ask_moto(
        self, request: Request, environ: dict[str, Any]
    ) -> tuple[Response, list[tuple[str, str]]]:
        """Moto's answer and its headers; the log events that it accepts are kept."""
        environ["wsgi.input"] = io.BytesIO(request.body)
        environ["CONTENT_LENGTH"] = str(len(request.body))
        heads: list[tuple[str, list[tuple[str, str]]]] = []

        def listen(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            # moto dates its answers by the machine's clock, next to the server's own Date.
            undated = [header for header in headers if header[0].lower() != "date"]
            heads.append((status, undated))

        body = b"".join(self._moto(environ, listen))
        status, headers = heads[-1]
        content_type = dict(headers).get("Content-Type", "")
        response = Response(int(status.split(maxsplit=1)[0]), content_type, body)
        if response.status < 300 and request.service == "logs":
            self._follow(request)
        return response, headers

    def _follow(self, request: Request) -> None:
        """Repeat for our log events the change that moto made to its own."""
        parameters = request.parameters()
        key = (request.account, request.region, str(parameters.get("logGroupName")))
        if request.operation == "DeleteLogGroup":
            self._log_events.drop(key)
        elif request.operation == "PutLogEvents":
            now = int(self._clock() * 1000)
            for event in parameters["logEvents"]:
                if now - _OLDEST_ACCEPTED <= event["timestamp"] <= now + _NEWEST_ACCEPTED:
                    self._log_events.put(
                        key,
                        event["message"],
                        timestamp=event["timestamp"],
                        stream=parameters["logStreamName"],
                    )

    def _count(self, request: Request, outcome: str) -> None:
        self.calls.add(Call(request.operation, request.account, request.region, outcome))


def _request(environ: dict[str, Any]) -> Request:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    access_key, region, service = credential_scope(environ.get("HTTP_AUTHORIZATION", ""))
    operation, protocol = operation_of(
        environ.get("HTTP_X_AMZ_TARGET", ""),
        environ.get("REQUEST_METHOD", "GET"),
        environ.get("CONTENT_TYPE", ""),
        body,
        environ.get("PATH_INFO", "") if service in _NAMED_BY_PATH else "",
    )
    if service == "s3":
        operation = operation_named(operation, environ)
    account = get_account_id_from(access_key)
    signed_at = environ.get("HTTP_X_AMZ_DATE", "")
    return Request(service, operation, account, region, protocol, body, signed_at)


def _drop_connection(environ: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
