"""What the exporter is configured to count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from metric_filter_demo.aws import DEFAULT_ACCOUNT

REGIONS = ("us-east-1", "eu-west-1")
LOG_REGION = "us-east-1"
GROUPS = ("/app/checkout", "/app/search")
OTHER_ACCOUNT = "210987654321"
"""The account that credentials may change to."""
ACCOUNTS = (DEFAULT_ACCOUNT, OTHER_ACCOUNT)
LOOKBACK = 12
MOST_DELAY = 6.0
"""Seconds until an event becomes visible, at most."""

RULES: list[dict[str, Any]] = [
    {
        "name": "logins",
        "sources": ["history"],
        "pattern": "{ $.eventName = ConsoleLogin }",
        "metric": "logins_total",
        "labels": {"user": "$.userIdentity.userName"},
    },
    {
        "name": "calls",
        "sources": ["history"],
        "pattern": "{ $.eventName = * }",
        "metric": "calls_total",
    },
    {
        "name": "errors",
        "sources": ["apps"],
        "pattern": "ERROR",
        "metric": "errors_total",
    },
    {
        "name": "bytes",
        "sources": ["apps"],
        "pattern": "[level, path, bytes]",
        "metric": "sent_bytes_total",
        "value": "$bytes",
        "labels": {"path": "$path"},
    },
    {
        "name": "audits",
        "sources": ["apps"],
        "pattern": "{ $.audit = * }",
        "metric": "audits_total",
    },
    {
        "name": "logged_logins",
        "sources": ["apps"],
        "pattern": "{ $.eventName = ConsoleLogin }",
        "metric": "logged_logins_total",
        "labels": {"user": "$.userIdentity.userName"},
    },
]
METRICS = tuple(rule["metric"] for rule in RULES)
DYNAMIC = tuple(rule["metric"] for rule in RULES if "labels" in rule)


def write_configuration(path: Path, *, interval: int = 1, lookback: int = LOOKBACK) -> None:
    """Write the file in one piece: the exporter may be watching it."""
    timing = {"interval": f"{interval}s", "lookback": f"{lookback}s"}
    history = {"name": "history", "type": "event_history", "regions": [*REGIONS]}
    apps = {
        "name": "apps",
        "type": "log_groups",
        "regions": [LOG_REGION],
        "log_groups": ["/app/*"],
        "discovery_interval": "2s",
    }
    part = path.with_suffix(".part")
    part.write_text(yaml.safe_dump({"sources": [history | timing, apps | timing], "rules": RULES}))
    part.replace(path)
