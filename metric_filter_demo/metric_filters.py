"""CloudWatch Logs' TestMetricFilter as AWS documents it, with recorded answers."""

from __future__ import annotations

from typing import Any

from metric_filter_demo.protocol import ApiError, Request
from metric_filter_demo.recorded import RecordedAnswers

_MOST_MESSAGES = 50


def answer_test_metric_filter(request: Request, recorded: RecordedAnswers) -> dict[str, Any]:
    """Answer TestMetricFilter; raises ApiError as AWS does, and for unrecorded patterns."""
    parameters = request.parameters()
    messages = parameters.get("logEventMessages")
    text = parameters.get("filterPattern")
    if not isinstance(text, str):
        raise _invalid("filterPattern must be given.")
    if not isinstance(messages, list) or not 1 <= len(messages) <= _MOST_MESSAGES:
        raise _invalid(f"logEventMessages must hold 1 through {_MOST_MESSAGES} messages.")
    if not all(isinstance(message, str) and message for message in messages):
        raise _invalid("Each of logEventMessages must have at least one character.")
    if recorded.refuses(text):
        raise _invalid("Invalid metric filter pattern")
    matches = []
    for number, message in enumerate(messages, start=1):
        extracted = recorded.match(text, message)
        if extracted is not None:
            matches.append(
                {"eventNumber": number, "eventMessage": message, "extractedValues": extracted}
            )
    return {"matches": matches}


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterException", message)
