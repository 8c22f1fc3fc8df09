"""The fields that AWS always sends, and a check for answers that are not from AWS.

An answer without its list is not an empty page: the position would move past unread events. It is
treated and retried as a gateway error (502).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import msgspec
from botocore.parsers import create_parser

from exporter.aws.listing import listing_members
from exporter.aws.records import FilteredLogEvent, HistoryEvent, PageDecoder

UNREADABLE = "UnreadableAnswer"
"""The exporter's error code for an answer of 200 that is not from AWS."""
MOST_BYTES = 32 * 2**20
"""Maximum size of an answer, compressed or not.

AWS: FilterLogEvents sends at most 1 MB of log events; LookupEvents 50 records of up to 256 KB, or
twice that if every character is escaped.
"""

_BAD_GATEWAY = 502

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_VALUE = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Sent:
    """A member that is in every answer of an operation, in most even if it is empty."""

    member: str
    type: type
    following: str = ""
    """The member with the token of the next page, if the operation has pages."""
    page: PageDecoder | None = None
    """The fast way to decode a page of log events."""
    decode: Callable[[bytes], Mapping[str, object]] | None = None
    """The members of an answer in XML, in place of botocore's parser."""
    may_lack: bool = False
    """Whether AWS leaves it out if it is empty. No position moves by such an answer."""


ALWAYS_SENT: Mapping[str, Sent] = {
    # From "Response Syntax" in the AWS API references; botocore's models have the names and types,
    # but do not mark members as required. An empty list is sent as `[]`.
    "LookupEvents": Sent(
        "Events", list, "NextToken", PageDecoder(HistoryEvent, "Events", "NextToken")
    ),
    "FilterLogEvents": Sent(
        "events", list, "nextToken", PageDecoder(FilteredLogEvent, "events", "nextToken")
    ),
    "DescribeLogGroups": Sent("logGroups", list, following="nextToken"),
    "ListLogGroups": Sent("logGroups", list, following="nextToken"),
    "TestMetricFilter": Sent("matches", list),
    "GetCallerIdentity": Sent("Account", str),
    "AssumeRole": Sent("Credentials", dict),
    "ListAccounts": Sent("Accounts", list, "NextToken"),
    "ListAccountsForParent": Sent("Accounts", list, "NextToken"),
    "ListOrganizationalUnitsForParent": Sent("OrganizationalUnits", list, "NextToken"),
    "ListTagsForResource": Sent("Tags", list, "NextToken"),
    "ListAccountAliases": Sent("AccountAliases", list),
    "ListRegions": Sent("Regions", list, "NextToken"),
    "ReceiveMessage": Sent("Messages", list, may_lack=True),
    "DeleteMessageBatch": Sent("Successful", list, may_lack=True),
    "ChangeMessageVisibilityBatch": Sent("Successful", list, may_lack=True),
    "GetObject": Sent("Body", bytes),
    "ListObjectsV2": Sent("IsTruncated", bool, "NextContinuationToken", decode=listing_members),
    # botocore asks for a bucket's region if S3 redirects a request without naming it.
    "HeadBucket": Sent("BucketRegion", str, may_lack=True),
    "GetQueueAttributes": Sent("Attributes", dict, may_lack=True),
}
"""By operation; other operations cannot be called."""


class _NotAwsError(ValueError):
    """The answer is not from AWS; the message completes "the answer …"."""


def admit(operation: Any, answer: dict[str, Any], members: dict[str, Any]) -> None:
    """Decode an answer before botocore parses it, and reject it if it is not from AWS.

    A handler of botocore's event ``before-parse``: ``operation`` is the model, ``answer`` the raw
    answer, ``members`` are added to the parsed one. JSON members are decoded only here, and passed
    on unparsed: botocore's parser would raise TypeError, AttributeError … at a malformed record and
    lose its page, while the readers of a page skip that record only. botocore parses the answers of
    protocols that are not known here.
    """
    status = answer["status_code"]
    is_stream = operation.has_streaming_output and status < 300
    try:
        if is_stream:
            # What a stream has is checked by its reader.
            if "ETag" not in answer["headers"]:
                raise _NotAwsError("has no ETag")
            return
        answer["body"] = _decoded(answer["body"], answer["headers"].get("Content-Encoding", ""))
        if status >= 300:
            _check_error(operation, answer)
            return
        found = _members(operation, answer)
        _check(ALWAYS_SENT[operation.name], found)
    except (ValueError, KeyError, RecursionError, zlib.error, ElementTree.ParseError) as error:
        why = str(error) if isinstance(error, _NotAwsError) else "cannot be read"
        # Every parser of botocore makes a plain error of an empty 5xx.
        answer.update(status_code=_BAD_GATEWAY, body=b"")
        code = UNREADABLE if status < 300 else str(status)
        members["Error"] = {"Code": code, "Message": f"the answer {why}"}
        return
    if _is_json(operation):
        answer["body"] = b"{}"
        members.update(found)
    elif ALWAYS_SENT[operation.name].decode is not None:
        answer["body"] = b""
        members.update(found)


def is_refused(parsed: Mapping[str, Any]) -> bool:
    """Whether ``admit`` refused a parsed answer."""
    return bool(parsed.get("Error", {}).get("Code") == UNREADABLE)


def _decoded(body: bytes, encoding: str) -> bytes:
    """The decompressed body. The exporter requests no compression, but proxies may add it."""
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
    """Decode JSON like json.loads, but one record at a time, so other threads can run in between.

    json.loads decodes the documents that msgspec rejects (NaN, numbers beyond a float, lone
    surrogates, other encodings).
    """
    try:
        return {name: _decoded_value(raw) for name, raw in _OBJECT.decode(body).items()}
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return json.loads(body)


def _decoded_value(raw: msgspec.Raw) -> Any:
    if bytes(memoryview(raw)[:1]) != b"[":
        return _VALUE.decode(raw)
    return [_VALUE.decode(one) for one in _ARRAY.decode(raw)]


def _is_json(operation: Any) -> bool:
    return bool(operation.service_model.resolved_protocol == "json")


def _members(operation: Any, answer: Mapping[str, Any]) -> Mapping[str, object]:
    """The members of the answer, as AWS sent them; raises ValueError or ParseError."""
    match operation.service_model.resolved_protocol:
        case "json":
            page = ALWAYS_SENT[operation.name].page
            found = page.decode(answer["body"]) if page is not None else None
            return found or _json_members(operation, answer["body"])
        case "query":
            # STS, IAM. Expat limits the expansion of entities.
            root = ElementTree.fromstring(answer["body"])  # noqa: S314
            result = root.find(f"{{*}}{operation.output_shape.serialization['resultWrapper']}")
            members = operation.output_shape.members
            return {
                # Only botocore, which parses the answer again, needs what a list has.
                name: [texts] if name in members and members[name].type_name == "list" else texts
                for name, texts in (_texts(result) if result is not None else {}).items()
            }
        case _:
            decode = ALWAYS_SENT[operation.name].decode
            return decode(answer["body"]) if decode else _parsed(operation, answer)


def _texts(element: ElementTree.Element) -> dict[str, object]:
    """The text, or the elements, of each element in an element."""
    return {
        child.tag.rpartition("}")[2]: _texts(child) if len(child) else child.text
        for child in element
    }


def _json_members(operation: Any, body: bytes) -> dict[str, object]:
    document = json_document(body)
    if not isinstance(document, dict):
        raise _NotAwsError("is not a JSON object")
    return {name: document[name] for name in operation.output_shape.members if name in document}


def _parsed(operation: Any, answer: Mapping[str, Any]) -> dict[str, object]:
    """As botocore's own parser reads an answer, which will parse it again."""
    parser = create_parser(operation.service_model.resolved_protocol)
    try:
        parsed: dict[str, object] = parser.parse(answer, operation.output_shape)
    except Exception as error:  # what it raises at another one's answer is not documented
        raise _NotAwsError("cannot be read") from error
    return parsed


def _check(sent: Sent, found: Mapping[str, object]) -> None:
    is_left_out = sent.may_lack and sent.member not in found
    if not (is_left_out or isinstance(found.get(sent.member), sent.type)):
        raise _NotAwsError(f"has no {sent.member}")
    if not isinstance(found.get(sent.following), str | None):
        raise _NotAwsError(f"has a {sent.following} that is not a text")


def _check_error(operation: Any, answer: Mapping[str, Any]) -> None:
    """Reject an error at which botocore's parser would raise, for example, TypeError."""
    body = answer["body"]
    match operation.service_model.resolved_protocol:
        case "json":
            document = json.loads(body or b"{}")
            if not isinstance(document, dict) or not isinstance(document.get("__type", ""), str):
                raise _NotAwsError("is not from AWS")
        case "query":
            errors = ElementTree.fromstring(body).findall(".//{*}Error")  # noqa: S314
            if len(errors) != 1 or not errors[0].findtext("{*}Code"):
                raise _NotAwsError("is not from AWS")
        case _:
            _parsed(operation, answer)
