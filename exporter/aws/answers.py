"""What AWS always sends, and answers that cannot be AWS's.

An answer without its list is not an empty page: read as one, it would move the position past
events that nobody has seen. It counts as a gateway's error (502) and is tried again like one.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import msgspec

UNREADABLE = "UnreadableAnswer"
"""Our own error code, beside AWS's: an answer of 200 that is not AWS's."""
MOST_BYTES = 32 * 2**20
"""How large an answer may be, as it comes and decompressed.

AWS: FilterLogEvents sends 1 MB of log events at most; LookupEvents 50 records of up to 256 KB,
which are twice that if every character of theirs has to be escaped.
"""

_BAD_GATEWAY = 502

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_VALUE = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Sent:
    """What the answer to an operation always has, even if it is empty."""

    member: str
    type: type
    following: str = ""
    """The member with the token of the next page; empty if the answer has no pages."""


ALWAYS_SENT: Mapping[str, Sent] = {
    # The AWS API references ("Response Syntax"); types and names are also in botocore's models,
    # which call no member of an answer required. An empty list is sent as `[]`.
    "LookupEvents": Sent("Events", list, following="NextToken"),
    "FilterLogEvents": Sent("events", list, following="nextToken"),
    "DescribeLogGroups": Sent("logGroups", list, following="nextToken"),
    "TestMetricFilter": Sent("matches", list),
    "GetCallerIdentity": Sent("Account", str),
}
"""By operation; no other is called."""


class _NotAwsError(ValueError):
    """Why an answer cannot be AWS's; completes "the answer …"."""


def admit(operation: Any, answer: dict[str, Any], members: dict[str, Any]) -> None:
    """Decode an answer before botocore parses it, and refuse what AWS cannot have sent.

    For botocore's event ``before-parse``: ``operation`` is its model, ``answer`` the raw answer,
    ``members`` what is added to the parsed one. The members of a JSON answer are decoded once,
    here, and passed on as they came: botocore's parser would raise TypeError, AttributeError … at
    an odd record and lose its page; the readers of a page leave out the one record.
    """
    status = answer["status_code"]
    try:
        answer["body"] = _decoded(answer["body"], answer["headers"].get("Content-Encoding", ""))
        if status >= 300:
            _check_error(operation, answer["body"])
            return
        found = _members(operation, answer["body"])
        _check(ALWAYS_SENT[operation.name], found)
    except (ValueError, RecursionError, zlib.error, ElementTree.ParseError) as error:
        why = str(error) if isinstance(error, _NotAwsError) else "cannot be read"
        # Every parser of botocore makes a plain error of an empty 5xx.
        answer.update(status_code=_BAD_GATEWAY, body=b"")
        code = UNREADABLE if status < 300 else str(status)
        members["Error"] = {"Code": code, "Message": f"the answer {why}"}
        return
    if _is_json(operation):
        answer["body"] = b"{}"
        members.update(found)


def is_refused(parsed: Mapping[str, Any]) -> bool:
    """Whether an answer of 200 was refused by ``admit``; ``parsed`` as botocore parsed it."""
    return bool(parsed.get("Error", {}).get("Code") == UNREADABLE)


def _decoded(body: bytes, encoding: str) -> bytes:
    """The body as AWS wrote it; the exporter asks for no encoding, but proxies add one."""
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _unpacked(body)
        case _:
            raise _NotAwsError("has a Content-Encoding other than gzip")


def _unpacked(body: bytes) -> bytes:
    text = bytearray()
    while body:  # a gzip stream may have several members
        unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        text += unpacker.decompress(body, MOST_BYTES + 1 - len(text))
        if len(text) > MOST_BYTES:
            raise _NotAwsError(f"is larger than {MOST_BYTES // 2**20} MiB when decompressed")
        if not unpacker.eof:
            raise _NotAwsError("is cut off")
        body = unpacker.unused_data
    return bytes(text)


def json_document(body: bytes) -> Any:
    """Decode JSON, as json.loads does, but one record at a time: the interpreter is not held.

    An answer may have 32 MiB. msgspec refuses some of what json.loads accepts (NaN, numbers beyond
    a float, lone surrogates, other encodings); json.loads decides about that.
    """
    try:
        return {name: _decoded_value(raw) for name, raw in _OBJECT.decode(body).items()}
    except (ValueError, RecursionError):
        return json.loads(body)


def _decoded_value(raw: msgspec.Raw) -> Any:
    if bytes(memoryview(raw)[:1]) != b"[":
        return _VALUE.decode(raw)
    return [_VALUE.decode(one) for one in _ARRAY.decode(raw)]


def _is_json(operation: Any) -> bool:
    return bool(operation.service_model.resolved_protocol == "json")


def _members(operation: Any, body: bytes) -> dict[str, object]:
    """The members of the answer, as they came; raises ValueError or ParseError."""
    if _is_json(operation):
        document = json_document(body)
        if not isinstance(document, dict):
            raise _NotAwsError("is not a JSON object")
        return {name: document[name] for name in operation.output_shape.members if name in document}
    # The query protocol, which STS speaks. Expat bounds what entities expand to.
    root = ElementTree.fromstring(body)  # noqa: S314
    result = root.find(f"{{*}}{operation.output_shape.serialization['resultWrapper']}")
    return {} if result is None else {child.tag.rpartition("}")[2]: child.text for child in result}


def _check(sent: Sent, found: Mapping[str, object]) -> None:
    if not isinstance(found.get(sent.member), sent.type):
        raise _NotAwsError(f"has no {sent.member}")
    if not isinstance(found.get(sent.following), str | None):
        raise _NotAwsError(f"has a {sent.following} that is not a text")


def _check_error(operation: Any, body: bytes) -> None:
    """Refuse an error that botocore's parser would raise TypeError, AttributeError … at."""
    if _is_json(operation):
        document = json.loads(body or b"{}")
        if not isinstance(document, dict) or not isinstance(document.get("__type", ""), str):
            raise _NotAwsError("is not AWS's")
        return
    errors = ElementTree.fromstring(body).findall(".//{*}Error")  # noqa: S314
    if len(errors) != 1 or not errors[0].findtext("{*}Code"):
        raise _NotAwsError("is not AWS's")
