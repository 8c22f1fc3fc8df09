"""CloudWatch Logs' TestMetricFilter as AWS documents it."""

from __future__ import annotations

from typing import Any

from metric_filter_demo.patterns import Doubts, InvalidPattern, read_pattern
from metric_filter_demo.protocol import ApiError, Request

_MOST_MESSAGES = 50


def answer_test_metric_filter(request: Request, doubts: Doubts) -> dict[str, Any]:
    """Answer TestMetricFilter; raises ApiError as AWS does."""
    parameters = request.parameters()
    messages = parameters.get("logEventMessages")
    text = parameters.get("filterPattern")
    if not isinstance(text, str):
        raise _invalid("filterPattern must be given.")
    if not isinstance(messages, list) or not 1 <= len(messages) <= _MOST_MESSAGES:
        raise _invalid(f"logEventMessages must hold 1 through {_MOST_MESSAGES} messages.")
    if not all(isinstance(message, str) and message for message in messages):
        raise _invalid("Each of logEventMessages must have at least one character.")
    try:
        match = read_pattern(text, doubts)
    except InvalidPattern as error:
        raise _invalid(f"Invalid metric filter pattern: {error}") from None
    matches = []
    for number, message in enumerate(messages, start=1):
        extracted = match(message)
        if extracted is not None:
            matches.append(
                {"eventNumber": number, "eventMessage": message, "extractedValues": extracted}
            )
    return {"matches": matches}


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterException", message)
