"""Calls with paginated answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from exporter.aws.answers import ALWAYS_SENT
from exporter.aws.calls import Call
from exporter.aws.errors import AWS_ERRORS, source_error
from exporter.model import SourceError

EMPTY_PAGES = 2000
"""Maximum number of empty pages in a row.

AWS: FilterLogEvents ends a scan after some time, with an empty page if it found nothing. Log groups
with many streams have hundreds of them in a row. 2,000 take more than three minutes at 10 calls a
second.
"""
KNOWN_TOKENS = 100
"""Maximum number of repeated tokens in a row. An empty page may repeat the token of its request."""
RUN_SECONDS = 3600.0
"""Maximum duration of a request with all its pages. In an hour, LookupEvents (2 calls a second)
returns 360,000 events, FilterLogEvents (5) 18 GB."""


def pages(
    request: Callable[..., object],
    call: Call,
    parameters: Mapping[str, object],
    *,
    seconds: float = RUN_SECONDS,
) -> Iterator[Sequence[object]]:
    """The records of each page, as AWS sent them; empty pages are followed. Raises SourceError.

    boto3's paginators end at the first repeated token.
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
            (known >= KNOWN_TOKENS, f"repeats the same values of {sent.following}"),
            (empty >= EMPTY_PAGES, f"returned {EMPTY_PAGES} empty pages in a row"),
            (time.monotonic() > end, f"returned page after page for {seconds:g} s"),
        ):
            if endless:
                raise SourceError(
                    f"{call} {what}; it is tried again from the start.", reason="error"
                )
        asked[sent.following] = token
