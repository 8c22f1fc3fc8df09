"""CloudTrail records for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

ACCOUNT = "123456789012"


def trail_record(name: str, *, region: str = "us-east-1", **fields: Any) -> dict[str, Any]:
    """A record of something that happens now, with the fields that matter to a test."""
    return {
        "eventVersion": "1.09",
        "userIdentity": {"type": "IAMUser", "userName": "alice"},
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "signin.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "recipientAccountId": ACCOUNT,
        **fields,
    }
