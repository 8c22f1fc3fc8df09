"""Calls that answer in pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from exporter.aws.answers import ALWAYS_SENT
from exporter.aws.calls import Call
from exporter.aws.errors import AWS_ERRORS, source_error
from exporter.model import SourceError

EMPTY_PAGES = 2000
"""Empty pages in a row that are followed.

AWS: FilterLogEvents gives up a scan after a while and sends what it has, if need be nothing; some
hundreds of empty pages in a row are seen on groups with many streams. At 10 calls a second 2,000
are more than three minutes of nothing.
"""
KNOWN_TOKENS = 100
"""Tokens in a row that came before in the run. An empty page may come with the token that it was
asked for by; tokens that go in a circle lead nowhere."""
RUN_SECONDS = 3600.0
"""How long one request may go on from page to page. In an hour LookupEvents (2 calls a second)
brings 360,000 events, FilterLogEvents (5) 18 GB: a span that holds more is not caught up with."""


def pages(
    request: Callable[..., object],
    call: Call,
    parameters: Mapping[str, object],
    *,
    seconds: float = RUN_SECONDS,
) -> Iterator[Sequence[object]]:
    """The records of every page, as they came.

    A token is followed whether its page holds anything or not (which boto3's paginators do too,
    but they give up at the first token that comes twice). Raises SourceError.
    """
    sent = ALWAYS_SENT[call.operation]
    asked = dict(parameters)
    tokens: set[int] = set()
    known = empty = 0
    end = time.monotonic() + seconds
    while True:
        try:
            answer = cast("Mapping[str, Any]", request(**asked))
        except AWS_ERRORS as error:
            raise source_error(error, call) from error
        records: Sequence[object] = answer[sent.member]
        yield records
        token = answer.get(sent.following)
        if not token:
            return
        known = known + 1 if hash(token) in tokens else 0
        empty = 0 if records else empty + 1
        tokens.add(hash(token))
        for endless, what in (
            (known >= KNOWN_TOKENS, f"brings the same values of {sent.following} again and again"),
            (empty >= EMPTY_PAGES, f"brought {EMPTY_PAGES} empty pages in a row"),
            (time.monotonic() > end, f"brought page after page for {seconds:g} s"),
        ):
            if endless:
                raise SourceError(
                    f"{call} {what}; it is tried again from the start.", reason="error"
                )
        asked[sent.following] = token
