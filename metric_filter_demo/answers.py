"""Answers that AWS does not send, but a network between can: hollow, odd, endless, compressed."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from metric_filter_demo.protocol import Request, Response

_LISTS = {
    "LookupEvents": ("Events", "NextToken"),
    "FilterLogEvents": ("events", "nextToken"),
    "DescribeLogGroups": ("logGroups", "nextToken"),
    "ListLogGroups": ("logGroups", "nextToken"),
}
"""By operation that answers in pages: its list and its token."""
_ENDLESS = "endless"
_ODD: Sequence[Any] = (None, [], {}, True, 1e300, -(2**70), ["a"])
"""None of these is a text, and none is a time."""


def hollow(request: Request, chance: random.Random) -> Response:
    """Make a success that says nothing: no field, a list that is null, a token alone."""
    if request.protocol == "query":
        root = f"{request.operation}Response"
        return Response(200, "text/xml", f"<{root}></{root}>".encode())
    member, token = _LISTS.get(request.operation, ("matches", "nextToken"))
    return _json(chance.choice([{}, {member: None}, {token: None}, {token: str(uuid4())}]))


def odd(request: Request, response: Response, chance: random.Random) -> Response:
    """Mix values that are not records into a page; all its records stay."""
    if request.operation not in _LISTS:
        return response
    document = json.loads(response.body)
    records = document.get(_LISTS[request.operation][0])
    if not isinstance(records, list):
        return response  # it is hollow
    for _ in range(chance.randint(1, 4)):
        kinds: list[Any] = [{}, None, 5, "text", []]
        if records:
            kinds += [_oddly(chance.choice(records), chance)] * 3
        records.insert(chance.randint(0, len(records)), chance.choice(kinds))
    return _json(document)


def endless(request: Request, chance: random.Random) -> Response | None:
    """Make an empty page whose token repeats the request; None if the answer has no pages.

    The token is a new one each time, or one of two that alternate.
    """
    if request.operation not in _LISTS:
        return None
    member, token = _LISTS[request.operation]
    before = request.parameters().get(token)
    last = before if isinstance(before, list) else [_ENDLESS, "", before, chance.random() < 0.5]
    _, mark, origin, alternates = last
    mark = ("b" if mark == "a" else "a") if alternates else str(uuid4())
    return _json({member: [], token: json.dumps([_ENDLESS, mark, origin, alternates])})


def resumed(request: Request) -> tuple[Request, Request]:
    """Undo the token of an endless page: the request for ``endless``, and the one it stands for."""
    if request.operation not in _LISTS or _ENDLESS.encode() not in request.body:
        return request, request
    token = _LISTS[request.operation][1]
    parameters = request.parameters()
    try:
        content = json.loads(parameters.get(token, ""))
    except ValueError:
        content = None
    if not isinstance(content, list) or content[:1] != [_ENDLESS]:
        return request, request
    marked = replace(request, body=json.dumps(parameters | {token: content}).encode())
    original = {name: value for name, value in parameters.items() if name != token}
    if content[2] is not None:
        original[token] = content[2]
    return marked, replace(request, body=json.dumps(original).encode())


def compressed(response: Response) -> Response:
    """Answer with gzip, without a request for gzip."""
    return replace(response, body=gzip.compress(response.body), encoding="gzip")


def _oddly(record: Any, chance: random.Random) -> Any:
    """A record all of whose fields have the wrong type."""
    if not isinstance(record, dict):
        return None
    return {
        name: chance.choice(_ODD if isinstance(value, str) else [*_ODD, "yesterday"])
        for name, value in record.items()
    }


def _json(document: Any) -> Response:
    return Response(
        200, "application/x-amz-json-1.1", json.dumps(document, separators=(",", ":")).encode()
    )
