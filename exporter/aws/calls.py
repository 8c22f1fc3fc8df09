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
    endpoint: str = ""
    """In place of the environment's endpoint, for example that of a VPC endpoint."""
    any_signer: bool = False
    """Whether credentials of any account may sign it (a queue of another account)."""

    def __str__(self) -> str:
        """For messages: the action, resource, account and region."""
        place = f"region {self.region}" if self.region else "an unknown region"
        if self.account_id:
            place = f"account {self.account_id}, {place}"
        resource = f" on {self.resource}" if self.resource else ""
        return f"{self.service}:{self.operation}{resource} in {place}"
