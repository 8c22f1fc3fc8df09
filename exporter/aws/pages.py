"""Calls that answer in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from exporter.aws.errors import AWS_ERRORS, Call, source_error
from exporter.errors import SourceError

_Answer = TypeVar("_Answer", bound=Mapping[str, object])

_SAME_TOKEN = 100
"""Empty pages may come with the token that they were asked for by; endlessly they must not."""


def pages(
    request: Callable[..., _Answer], call: Call, token: str, parameters: Mapping[str, object]
) -> Iterator[_Answer]:
    """Every answer to a request; ``token`` is the name of its token, in and out.

    A token is followed whether its page holds anything or not (which boto3's paginators do too,
    but they give up at the first token that comes twice). Raises SourceError.
    """
    asked: dict[str, object] = dict(parameters)
    repeated = 0
    while True:
        try:
            answer = request(**asked)
        except AWS_ERRORS as error:
            raise source_error(error, call) from error
        yield answer
        following = answer.get(token)
        if not following:
            return
        repeated = repeated + 1 if following == asked.get(token) else 0
        if repeated >= _SAME_TOKEN:
            raise SourceError(
                f"{call} brought the same {token} {_SAME_TOKEN} times in a row; "
                "it is tried again from the start.",
                reason="error",
            )
        asked[token] = following
