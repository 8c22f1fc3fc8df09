"""How old a request's signature may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from metric_filter_demo.protocol import ApiError, Request

# AWS, Signature Version 4: "requests must reach AWS within five minutes of the timestamp in the
# request"; the wording of the refusal is AWS's.
_TOLERANCE = timedelta(minutes=5)
_FORMAT = "%Y%m%dT%H%M%SZ"
# AWS: query services (STS, IAM) answer 403 and another code; S3 has a code and a message of its
# own, and allows 15 minutes: moto answers it without looking at the age.
_CODES = {"json": ("InvalidSignatureException", 400), "query": ("SignatureDoesNotMatch", 403)}


def check_age(request: Request, now: float) -> None:
    """Raise ApiError if X-Amz-Date is more than 5 minutes off ``now``, seconds.

    A request without the header is not signed, or signed in its URL: it passes.
    """
    if not request.signed_at or request.protocol not in _CODES:
        return
    code, status = _CODES[request.protocol]
    try:
        signed = datetime.strptime(request.signed_at, _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise ApiError(code, "X-Amz-Date is no date.", status=status) from None
    right = datetime.fromtimestamp(int(now), UTC)
    earliest, latest = right - _TOLERANCE, right + _TOLERANCE
    if signed < earliest:
        late = f"{signed:{_FORMAT}} is now earlier than {earliest:{_FORMAT}}"
        message = f"Signature expired: {late} ({right:{_FORMAT}} - 5 min.)"
    elif signed > latest:
        early = f"{signed:{_FORMAT}} is still later than {latest:{_FORMAT}}"
        message = f"Signature not yet current: {early} ({right:{_FORMAT}} + 5 min.)"
    else:
        return
    raise ApiError(code, message, status=status)
