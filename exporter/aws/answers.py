"""Whether an answer is AWS's at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from exporter.aws.errors import Call
from exporter.errors import SourceError

_JSON = ("json", "rest-json")


def check_answer(operation: Any, answer: Mapping[str, Any], call: Call) -> None:
    """Refuse a success that AWS cannot have sent: a proxy's page, a JSON text that is cut off.

    botocore takes such a body for an answer without any fields. An empty page would be read into
    it, and the position would move past events that nobody has seen.

    ``operation`` is botocore's model, ``answer`` the raw answer (of the event ``before-parse``).
    Raises SourceError with reason ``unreadable``.
    """
    if answer["status_code"] >= 300 or operation.service_model.resolved_protocol not in _JSON:
        return
    try:
        body = json.loads(answer["body"])
    except (ValueError, RecursionError):
        body = None
    shape = operation.output_shape
    if isinstance(body, dict) and (not body or shape is None or body.keys() & shape.members.keys()):
        return
    raise SourceError(
        f"{call} was answered with something that is not AWS's; is there a proxy between that "
        "answers for it? It is tried again.",
        reason="unreadable",
    )
