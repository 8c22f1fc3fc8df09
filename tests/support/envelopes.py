"""EventBridge's envelopes for tests."""

from __future__ import annotations

import uuid
from typing import Any

from tests.support.records import ACCOUNT, trail_record

SIGN_IN = "AWS Console Sign In via CloudTrail"


def sign_in(**fields: Any) -> dict[str, Any]:
    """A record of a console sign-in with an id of its own."""
    return trail_record("ConsoleLogin", **{"eventID": str(uuid.uuid4()), **fields})


def envelope(detail: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A classic envelope, of a sign-in by default; ``fields`` replace its own."""
    detail = sign_in() if detail is None else detail
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": SIGN_IN,
        "source": "aws.signin",
        "account": ACCOUNT,
        "time": detail.get("eventTime", "2026-11-26T10:00:00Z"),
        "region": "us-east-1",
        "resources": [],
        **fields,
        "detail": detail,
    }


def finding(**fields: Any) -> dict[str, Any]:
    """An envelope of a GuardDuty finding."""
    kind = {"detail-type": "GuardDuty Finding", "source": "aws.guardduty"}
    return envelope({"severity": 8, "type": "Backdoor"}, **{**kind, **fields})
