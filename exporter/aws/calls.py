"""API calls by name, without botocore, which takes long to import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """An operation in an account and region."""

    service: str
    """As botocore and IAM name it: ``cloudtrail``, ``logs``, ``sts``."""
    operation: str
    account_id: str
    """Empty if it is not known yet."""
    region: str
    resource: str = ""
    """For messages: ``log group /aws/lambda/checkout``."""

    def __str__(self) -> str:
        """For messages: the action, resource, account and region."""
        place = f"region {self.region}" if self.region else "an unknown region"
        if self.account_id:
            place = f"account {self.account_id}, {place}"
        resource = f" on {self.resource}" if self.resource else ""
        return f"{self.service}:{self.operation}{resource} in {place}"
