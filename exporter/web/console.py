"""Links to events in the AWS console.

The console shows an event to those who are signed in to its account. Event history has management
events of the last 90 days only.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from exporter.web.status import MatchStatus

_DOMAINS: Final = (
    (re.compile(r"cn-[a-z]+-\d"), "console.amazonaws.cn"),
    (re.compile(r"us-gov-[a-z]+-\d"), "console.amazonaws-us-gov.com"),
    (re.compile(r"(?:af|ap|ca|eu|il|me|mx|sa|us)-[a-z]{3,}-\d"), "console.aws.amazon.com"),
)
"""By partition. Others (the isolated ones, the European Sovereign Cloud) get no links."""
_RECORD: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""AWS: an eventID of CloudTrail is a UUID, the id of a log event is a number."""
_LOG_GROUP: Final = re.compile(r"[\w./#-]{1,512}", re.ASCII)
"""AWS: CreateLogGroup."""
_AROUND: Final = 1.0
"""Seconds."""


def event_link(match: MatchStatus) -> str | None:
    """Return the URL of an event, or None if the console has no page for it.

    Anyone who can write a log event can choose its region, log group and id, so a link has only
    those that AWS could have written.
    """
    domain = next((name for form, name in _DOMAINS if form.fullmatch(match.region)), None)
    if domain is None:
        return None
    base, home = f"https://{match.region}.{domain}", f"home?region={match.region}"
    if _RECORD.fullmatch(match.event_id):
        return f"{base}/cloudtrailv2/{home}#/events/{match.event_id}"
    if match.time is None or not _LOG_GROUP.fullmatch(match.log_group):
        return None
    first, last = (round((match.time.timestamp() + one) * 1000) for one in (-_AROUND, _AROUND))
    # The console encodes each part twice and then writes $ for %.
    group = quote(quote(match.log_group, safe=""), safe="").replace("%", "$")
    window = f"$3Fstart$3D{first}$26end$3D{last}"
    return f"{base}/cloudwatch/{home}#logsV2:log-groups/log-group/{group}/log-events{window}"
