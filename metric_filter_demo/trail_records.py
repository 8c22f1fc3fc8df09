"""CloudTrail records as AWS writes them, of an account that does not exist."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

EVENT_VERSION = "1.11"
GLOBAL_REGION = "us-east-1"
"""The region in which AWS records IAM and root's console sign-ins."""

_CLI = "aws-cli/2.27.31 md/awscrt#0.26.1 ua/2.1 os/linux#6.8.0 md/arch#x86_64 lang/python#3.13.3"
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller, its address and its user agent."""

    identity: Mapping[str, Any]
    address: str
    agent: str = _CLI


class Callers:
    """Makes the identities that records carry."""

    def __init__(self, rng: random.Random, account: str) -> None:
        self._rng = rng
        self.account = account

    def user(self, name: str, address: str, *, mfa: bool = True) -> Caller:
        """An IAM user at work in a console session."""
        identity = {
            "type": "IAMUser",
            "principalId": f"AIDA{_stem(name)}",
            "arn": f"arn:aws:iam::{self.account}:user/{name}",
            "accountId": self.account,
            "accessKeyId": f"ASIA{_stem(name)}",
            "userName": name,
            "sessionContext": self._session(mfa=mfa),
        }
        return Caller(identity, address, _BROWSER)

    def role(self, role: str, session: str, address: str) -> Caller:
        """A session of a role."""
        context = {
            "sessionIssuer": {
                "type": "Role",
                "principalId": f"AROA{_stem(role)}",
                "arn": f"arn:aws:iam::{self.account}:role/{role}",
                "accountId": self.account,
                "userName": role,
            },
            **self._session(mfa=False),
        }
        identity = {
            "type": "AssumedRole",
            "principalId": f"AROA{_stem(role)}:{session}",
            "arn": f"arn:aws:sts::{self.account}:assumed-role/{role}/{session}",
            "accountId": self.account,
            "accessKeyId": f"ASIA{_stem(role)}",
            "sessionContext": context,
        }
        return Caller(identity, address)

    def root(self, address: str) -> Caller:
        """The account's root user."""
        identity = {
            "type": "Root",
            "principalId": self.account,
            "arn": f"arn:aws:iam::{self.account}:root",
            "accountId": self.account,
            "accessKeyId": "",
        }
        return Caller(identity, address, _BROWSER)

    @staticmethod
    def service(name: str) -> Caller:
        """An AWS service on its own behalf."""
        return Caller({"type": "AWSService", "invokedBy": name}, name, name)

    def _session(self, *, mfa: bool) -> dict[str, Any]:
        began = datetime.now(UTC) - timedelta(minutes=self._rng.randint(2, 240))
        return {"attributes": {"creationDate": _iso(began), "mfaAuthenticated": str(mfa).lower()}}


class Records:
    """Makes records; ``rng`` decides their ids."""

    def __init__(self, rng: random.Random, account: str) -> None:
        self._rng = rng
        self._account = account

    def call(
        self,
        caller: Caller,
        action: str,
        region: str,
        *,
        read_only: bool = False,
        request: Mapping[str, Any] | None = None,
        response: Mapping[str, Any] | None = None,
        error: tuple[str, str] | None = None,
    ) -> dict[str, Any]:
        """An API call. ``action``: ``ec2:RunInstances``. ``error``: its code and message."""
        service, _, name = action.partition(":")
        record = self._head(caller, f"{service}.amazonaws.com", name, region)
        if error is not None:
            record["errorCode"], record["errorMessage"] = error
        record |= {
            "requestParameters": request,
            "responseElements": response,
            "requestID": self._uuid(),
            "eventID": self._uuid(),
            "readOnly": read_only,
            "eventType": "AwsApiCall",
        }
        return record | self._tail(f"{service}.{region}.amazonaws.com")

    def console_login(self, caller: Caller, region: str, *, mfa: bool, failed: bool = False) -> Any:
        """A sign-in to the console."""
        record = self._head(caller, "signin.amazonaws.com", "ConsoleLogin", region)
        if failed:
            # AWS: a failed sign-in names the user, but has no ARN and no key.
            kept = ("type", "principalId", "accountId", "userName")
            identity = {name: caller.identity[name] for name in kept if name in caller.identity}
            record["userIdentity"] = identity | {"accessKeyId": ""}
            record["errorMessage"] = "Failed authentication"
        record |= {
            "requestParameters": None,
            "responseElements": {"ConsoleLogin": "Failure" if failed else "Success"},
            "additionalEventData": {
                "LoginTo": f"https://console.aws.amazon.com/console/home?region={region}",
                "MobileVersion": "No",
                "MFAUsed": "Yes" if mfa else "No",
            },
            "eventID": self._uuid(),
            "readOnly": False,
            "eventType": "AwsConsoleSignIn",
        }
        return record | self._tail(f"{region}.signin.aws.amazon.com")

    def _head(self, caller: Caller, source: str, name: str, region: str) -> dict[str, Any]:
        return {
            "eventVersion": EVENT_VERSION,
            "userIdentity": dict(caller.identity),
            "eventTime": _iso(datetime.now(UTC)),
            "eventSource": source,
            "eventName": name,
            "awsRegion": region,
            "sourceIPAddress": caller.address,
            "userAgent": caller.agent,
        }

    def _tail(self, host: str) -> dict[str, Any]:
        return {
            "managementEvent": True,
            "recipientAccountId": self._account,
            "eventCategory": "Management",
            "tlsDetails": {
                "tlsVersion": "TLSv1.3",
                "cipherSuite": "TLS_AES_128_GCM_SHA256",
                "clientProvidedHostHeader": host,
            },
        }

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _stem(name: str) -> str:
    """The 16 characters after an id's prefix: always the same for a name, never a real one."""
    letters = "".join(letter for letter in name.upper() if letter.isalpha())[:9]
    return f"{letters:X<9}EXAMPLE"
