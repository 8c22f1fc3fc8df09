"""CloudTrail records as a busy organization has them, made from a seed: none is real.

The proportions are those of real trails: few calls make up most events, six of ten callers are
assumed roles, ids, sessions and addresses are fresh, and 2 % of the events are of interest to a
security team. A record has 1.4 kB and files compress to a sixth.
"""

from __future__ import annotations

import gzip
import json
import random
import string
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

from bench.calls import FREQUENT, SECURITY, TAIL, TAIL_SHARE, Call

CACHE = Path(tempfile.gettempdir(), "metric-filter-exporter-bench")
VERSION = 2
"""Part of the folders' names: raise it if the same seed makes other records."""
ACCOUNTS = ("111122223333", "444455556666", "777788889999")
REGIONS = ("us-east-1", "eu-west-1", "eu-central-1", "ap-southeast-2")
TEAMS = ("checkout", "search", "billing", "identity", "data", "media", "mail", "platform")
ROLES = tuple(f"{team}-{use}" for team in TEAMS for use in ("api", "worker", "deploy", "batch"))
USERS = tuple(f"{name}.{team}" for team in TEAMS for name in ("ana", "ben", "chloe", "dev"))
AGENTS = (
    "aws-sdk-go-v2/1.36.3 ua/2.1 os/linux lang/go#1.24.2 md/GOOS#linux md/GOARCH#arm64",
    "Boto3/1.38.23 md/Botocore#1.38.23 ua/2.1 os/linux#6.1.134 md/arch#x86_64 lang/python#3.12.9",
    "aws-cli/2.27.31 md/awscrt#0.26.1 ua/2.1 os/linux#6.8.0 md/arch#x86_64 lang/python#3.13.3",
    "aws-sdk-java/2.31.30 md/io#sync md/http#Apache ua/2.1 os/Linux#5.10.236 lang/java#21.0.7",
    "APN/1.0 HashiCorp/1.0 Terraform/1.11.4 terraform-provider-aws/5.97.0 aws-sdk-go-v2/1.36.3",
    "aws-sdk-js/3.799.0 ua/2.1 os/linux#5.10.236 lang/js md/nodejs#20.19.0 api/dynamodb#3.799.0",
    "amazon-ssm-agent/3.3.2299.0 aws-sdk-go/1.55.5 (go1.22.12; linux; arm64)",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
)
_BEGIN = datetime(2026, 11, 20, tzinfo=UTC)
_UNRESERVED = string.ascii_uppercase + "234567"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Files of the same records in several shapes."""

    events: int
    trails: Path
    """A folder of gzip files ``*.json.gz``, each ``{"Records": [...]}`` as CloudTrail writes it,
    and ``records.jsonl.gz`` with the same records, one a line."""
    one: Path
    """A folder like ``trails`` with a single record, to measure the cost of a start."""


class Trail:
    """Makes records; the seed decides everything in them."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        rarer = [1 / (place + 30) for place in range(len(TAIL))]
        shares = [call.share for call in FREQUENT]
        shares += [TAIL_SHARE * weight / sum(rarer) for weight in rarer]
        shares += [call.share for call in SECURITY]
        self._calls = (*FREQUENT, *TAIL, *SECURITY)
        self._shares = list(accumulate(shares))
        self._sessions: list[tuple[str, dict[str, Any]]] = []
        self._number = 0

    def records(self) -> Iterator[dict[str, Any]]:
        """Records without end, in the order of their event times."""
        while True:
            yield self._record()

    def _record(self) -> dict[str, Any]:
        rng, self._number = self._rng, self._number + 1
        (call,) = rng.choices(self._calls, cum_weights=self._shares)
        account = rng.choices(ACCOUNTS, (6, 3, 1))[0]
        region = rng.choices(REGIONS, (5, 3, 1, 1))[0]
        identity, address, agent = self._caller(account, call)
        moment = _BEGIN + timedelta(seconds=self._number // 40)
        record: dict[str, Any] = {
            "eventVersion": "1.11",
            "userIdentity": identity,
            "eventTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": f"{call.service}.amazonaws.com",
            "eventName": call.name,
            "awsRegion": region,
            "sourceIPAddress": address,
            "userAgent": agent,
        }
        error = call.error or self._error()
        if error:
            record["errorCode"], record["errorMessage"] = error
        record["requestParameters"] = None if call.login else self._request(call, account, region)
        record["responseElements"] = None
        if call.login:
            record["responseElements"] = {"ConsoleLogin": "Failure" if error else "Success"}
            record["additionalEventData"] = {
                "LoginTo": f"https://console.aws.amazon.com/console/home?region={region}",
                "MobileVersion": "No",
                "MFAUsed": rng.choice(("Yes", "No")),
            }
        elif not call.reads and not error:
            record["responseElements"] = self._response(account, region)
        if not call.login:
            record["requestID"] = self._uuid()
        record |= {"eventID": self._uuid(), "readOnly": call.reads}
        if rng.random() < 0.6:
            record["resources"] = self._resources(account, region)
        if call.service in {"s3", "kms", "sts"} and not call.login:
            record["additionalEventData"] = {"x-amz-id-2": self._key(60), "bytesTransferredIn": 0}
        record |= {
            "eventType": "AwsConsoleSignIn" if call.login else "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": account,
            "eventCategory": "Management",
        }
        if identity["type"] != "AWSService":
            record["tlsDetails"] = {
                "tlsVersion": "TLSv1.3",
                "cipherSuite": "TLS_AES_128_GCM_SHA256",
                "clientProvidedHostHeader": f"{call.service}.{region}.amazonaws.com",
            }
        return record

    def _error(self) -> tuple[str, str] | None:
        chance = self._rng.random()
        if chance < 0.006:
            return "AccessDenied", f"not authorized to perform this operation ({self._hex(8)})"
        if chance < 0.009:
            return "Client.UnauthorizedOperation", "You are not authorized to perform this."
        if chance < 0.025:
            return "ThrottlingException", "Rate exceeded"
        return None

    def _caller(self, account: str, call: Call) -> tuple[dict[str, Any], str, str]:
        rng = self._rng
        agent = rng.choices(AGENTS, (9, 8, 6, 5, 3, 3, 2, 1))[0]
        if call.root:
            arn = f"arn:aws:iam::{account}:root"
            root = {"type": "Root", "principalId": account, "arn": arn, "accountId": account}
            return {**root, "accessKeyId": ""}, self._address(), AGENTS[-1]
        kind = rng.random()
        if call.login or kind < 0.2:
            user = rng.choice(USERS)
            return self._user(account, user), self._address(), agent
        if kind < 0.8:
            identity, address = self._session(account)
            return identity, address, agent
        service = f"{rng.choice(('lambda', 'ec2', 'ecs-tasks', 'config', 'autoscaling'))}"
        name = f"{service}.amazonaws.com"
        return {"type": "AWSService", "invokedBy": name}, name, name

    def _user(self, account: str, user: str) -> dict[str, Any]:
        return {
            "type": "IAMUser",
            "principalId": f"AIDA{self._key(17)}",
            "arn": f"arn:aws:iam::{account}:user/{user}",
            "accountId": account,
            "accessKeyId": f"AKIA{self._key(16)}",
            "userName": user,
        }

    def _session(self, account: str) -> tuple[dict[str, Any], str]:
        """A session of a role: half of the events are of a session that was seen before."""
        rng, known = self._rng, self._sessions
        if known and rng.random() < 0.5:
            address, identity = rng.choice(known[-64:])
            return identity, address
        role = rng.choice(ROLES)
        principal, session = f"AROA{self._key(17)}", f"{rng.choice(TEAMS)}-{self._hex(12)}"
        began = _BEGIN + timedelta(seconds=self._number // 40 - rng.randint(0, 3600))
        identity = {
            "type": "AssumedRole",
            "principalId": f"{principal}:{session}",
            "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
            "accountId": account,
            "accessKeyId": f"ASIA{self._key(16)}",
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": principal,
                    "arn": f"arn:aws:iam::{account}:role/{role}",
                    "accountId": account,
                    "userName": role,
                },
                "attributes": {
                    "creationDate": began.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "mfaAuthenticated": "true" if rng.random() < 0.05 else "false",
                },
            },
        }
        address = self._address()
        self._sessions = [*known[-63:], (address, identity)]
        return identity, address

    def _request(self, call: Call, account: str, region: str) -> dict[str, Any] | None:
        rng, parameters = self._rng, call.parameters
        filled = {name: self._value(kind, account, region) for name, kind in parameters}
        if rng.random() < 0.6:
            filled["tagSpecificationSet"] = {
                "items": [
                    {"key": "team", "value": rng.choice(TEAMS)},
                    {"key": "stack", "value": f"{rng.choice(TEAMS)}-{rng.choice(REGIONS)}"},
                ]
            }
        return filled or None

    def _response(self, account: str, region: str) -> dict[str, Any]:
        return {
            "requestId": self._uuid(),
            "_return": True,
            "item": {
                "arn": self._value("arn", account, region),
                "state": self._rng.choice(("pending", "active", "updating")),
                "owner": account,
                "name": self._value("name", account, region),
            },
        }

    def _resources(self, account: str, region: str) -> list[dict[str, str]]:
        return [
            {"accountId": account, "type": kind, "ARN": self._value("arn", account, region)}
            for kind in self._rng.choices(
                ("AWS::KMS::Key", "AWS::S3::Object", "AWS::IAM::Role"), k=2
            )
        ]

    def _value(self, kind: str, account: str, region: str) -> Any:
        rng = self._rng
        makers: dict[str, Callable[[], Any]] = {
            "arn": lambda: f"arn:aws:{rng.choice(TEAMS)}:{region}:{account}:item/{self._hex(32)}",
            "role": lambda: f"arn:aws:iam::{account}:role/{rng.choice(ROLES)}",
            "id": lambda: f"i-0{self._hex(16)}",
            "name": lambda: f"{rng.choice(TEAMS)}-{rng.choice(('main', 'blue', 'green'))}",
            "session": lambda: f"{rng.choice(TEAMS)}-{self._hex(8)}",
            "number": lambda: rng.choice((1, 10, 50, 100, 1000)),
            "user": lambda: rng.choice(USERS),
            "filters": lambda: {"items": [{"name": "tag:team", "value": rng.choice(TEAMS)}]},
            "context": lambda: {"aws:lambda:FunctionArn": self._value("arn", account, region)},
        }
        return makers[kind]()

    def _address(self) -> str:
        rng = self._rng
        network = rng.choice(
            (f"10.4.{rng.randint(0, 255)}", f"172.18.{rng.randint(0, 255)}", "198.51.100")
        )
        return f"{network}.{rng.randint(1, 254)}"

    def _hex(self, digits: int) -> str:
        return f"{self._rng.getrandbits(4 * digits):0{digits}x}"

    def _key(self, characters: int) -> str:
        return "".join(self._rng.choices(_UNRESERVED, k=characters))

    def _uuid(self) -> str:
        digits = self._hex(32)
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def cloudtrail(events: int, *, in_file: int = 8000, seed: int = 1) -> Corpus:
    """A corpus of so many records, ``in_file`` to a trail file; made when it is first needed."""
    folder = CACHE / f"cloudtrail-{VERSION}-{seed}-{events}-{in_file}"
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=CACHE))
        records = [_compact(record) for record in islice(Trail(seed).records(), events)]
        _write(unfinished / "trails", records, in_file)
        _write(unfinished / "one", records[:1], in_file)
        unfinished.rename(folder)
    return Corpus(events, folder / "trails", folder / "one")


def _write(folder: Path, records: list[bytes], in_file: int) -> None:
    folder.mkdir()
    (folder / "records.jsonl.gz").write_bytes(gzip.compress(b"\n".join([*records, b""]), 6))
    for start in range(0, len(records), in_file):
        document = b'{"Records":[' + b",".join(records[start : start + in_file]) + b"]}"
        (folder / f"{start:08}.json.gz").write_bytes(gzip.compress(document, 6))


def _compact(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()
