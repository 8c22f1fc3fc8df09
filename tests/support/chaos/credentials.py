"""Credentials of a process that may become another account's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from metric_filter_demo.aws import EmbeddedAws
from tests.support.chaos.configuration import ACCOUNTS

# botocore asks the process again at every use once credentials expire within 15 minutes.
_VALID = timedelta(minutes=14)


class Credentials:
    """A ``credential_process`` whose answer a test changes; make it after the embedded AWS."""

    def __init__(self, aws: EmbeddedAws, folder: Path) -> None:
        self._aws = aws
        self._answer = folder / "credentials.json"
        self._profile = folder / "aws.config"
        self._profile.write_text(f"[default]\ncredential_process = cat {self._answer}\n")
        self._keys = {account: aws.access_key(account) for account in ACCOUNTS}
        self.use(ACCOUNTS[0])

    def use(self, account: str) -> None:
        """Let the process hand out an account's credentials from now on."""
        key, secret = self._keys[account]
        content = {
            "Version": 1,
            "AccessKeyId": key,
            "SecretAccessKey": secret,
            "Expiration": (datetime.now(UTC) + _VALID).isoformat(timespec="seconds"),
        }
        part = self._answer.with_suffix(".part")
        part.write_text(json.dumps(content))
        part.replace(self._answer)

    def environment(self) -> dict[str, str]:
        """The embedded AWS's environment, with these credentials in place of fixed ones."""
        fixed = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        kept = {k: v for k, v in self._aws.environment().items() if k not in fixed}
        return {**kept, "AWS_CONFIG_FILE": str(self._profile)}
