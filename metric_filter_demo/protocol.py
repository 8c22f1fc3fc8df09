"""Reading AWS requests off the wire and writing AWS's answers and errors."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4
from xml.sax.saxutils import escape

# AWS Signature Version 4: Credential=<access key>/<date>/<region>/<service>/aws4_request
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d+/([^/,\s]+)/([^/,\s]+)/aws4_request")
_JSON = "application/x-amz-json-1.1"


class ApiError(Exception):
    """An answer other than success, as AWS words it."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One API call."""

    service: str
    """The signing name: ``cloudtrail``, ``logs``, ``sts`` …"""
    operation: str
    """``LookupEvents`` …; the HTTP method if it is not known."""
    account: str
    region: str
    protocol: str
    """``json``, ``query`` or ``rest``: decides how errors are written."""
    body: bytes = field(repr=False, default=b"")
    signed_at: str = ""
    """X-Amz-Date, as it was sent; empty if it is missing."""

    def parameters(self) -> dict[str, Any]:
        """The parameters of a JSON call; raises ApiError if the body is not a JSON object."""
        try:
            parsed = json.loads(self.body or b"{}")
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise ApiError("SerializationException", "The request body is not a JSON object.")
        return parsed


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a call."""

    status: int
    content_type: str
    body: bytes
    encoding: str = ""
    """The Content-Encoding, if any."""

    @property
    def status_line(self) -> str:
        """``200 OK``."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Headers of the answer."""
        return [
            ("Content-Type", self.content_type),
            ("Content-Length", str(len(self.body))),
            ("x-amzn-RequestId", str(uuid4())),
            *([("Content-Encoding", self.encoding)] if self.encoding else []),
        ]


def credential_scope(authorization: str) -> tuple[str, str, str]:
    """Access key, region and service out of an Authorization header; empty if it is missing."""
    found = _CREDENTIAL.search(authorization)
    return (found[1], found[2], found[3]) if found else ("", "", "")


def operation_of(
    target: str, method: str, content_type: str, body: bytes, path: str = ""
) -> tuple[str, str]:
    """The operation that a request calls, and its protocol (see Request).

    ``path``: of services whose operations are paths.
    """
    if target:
        return target.rpartition(".")[2], "json"
    if path:
        return path[1:2].upper() + path[2:], "json"
    if content_type.startswith("application/x-www-form-urlencoded"):
        action = parse_qs(body.decode("utf-8", "replace")).get("Action")
        if action:
            return action[0], "query"
    return method, "rest"


def success(result: Mapping[str, Any]) -> Response:
    """A JSON answer."""
    return Response(200, _JSON, json.dumps(result, separators=(",", ":")).encode())


def failure(error: ApiError, protocol: str) -> Response:
    """An error in the form that the request's protocol has for it."""
    if protocol == "json":
        content = {"__type": error.code, "message": error.message}
        return Response(error.status, _JSON, json.dumps(content).encode())
    # XML protocols use AccessDenied, JSON protocols AccessDeniedException.
    code = error.code.removesuffix("Exception")
    detail = f"<Code>{escape(code)}</Code><Message>{escape(error.message)}</Message>"
    xml = f"<Error>{detail}</Error>"
    if protocol == "query":
        xml = f"<ErrorResponse><Error><Type>Sender</Type>{detail}</Error></ErrorResponse>"
    return Response(error.status, "text/xml", xml.encode())


def page_token(position: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """A token for the page that follows ``position``, bound to the call's parameters."""
    content = {"position": position, "call": _fingerprint(parameters)}
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def page_position(token: str, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """The position in a token; None if it is not a token or belongs to another call."""
    try:
        content = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        position = content["position"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        return None
    if content.get("call") != _fingerprint(parameters) or not isinstance(position, dict):
        return None
    return position


def _fingerprint(parameters: Mapping[str, Any]) -> str:
    named = {name: value for name, value in parameters.items() if name.lower() != "nexttoken"}
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]
