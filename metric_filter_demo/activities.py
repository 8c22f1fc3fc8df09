"""Activities of people, programs and intruders in the demo's account."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from metric_filter_demo.log_lines import CHECKOUT, THUMBNAILER, Line, LogLines
from metric_filter_demo.trail_records import GLOBAL_REGION, Caller, Callers, Records

REGIONS = ("us-east-1", "eu-west-1")
_PEOPLE = ("maya.okafor", "jonas.lind", "priya.raman", "tomas.silva")
_OFFICE = "192.0.2."
_ELSEWHERE = "198.51.100."
_BUCKETS = ("storefront-invoices", "storefront-uploads")
_READS = (
    "ec2:DescribeInstances",
    "ec2:DescribeSecurityGroups",
    "s3:ListBuckets",
    "lambda:ListFunctions20150331",
    "rds:DescribeDBInstances",
    "iam:ListRoles",
    "kms:ListKeys",
    "sts:GetCallerIdentity",
    "cloudtrail:DescribeTrails",
)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened: the records and log lines it leaves."""

    headline: str | None = None
    """One sentence, if a person should know of it."""
    records: Sequence[dict[str, Any]] = ()
    lines: Sequence[Line] = ()


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity that is repeated."""

    name: str
    first: float
    """Seconds after the start."""
    every: float
    """Seconds between two, on average."""
    act: Callable[[], Occurrence]


class Account:
    """The demo's account; ``activities`` happen in it. ``rng`` decides the details."""

    def __init__(self, rng: random.Random, account: str) -> None:
        self._rng = rng
        self._callers = Callers(rng, account)
        self._records = Records(rng, account)
        self._lines = LogLines(rng)

    def activities(self) -> list[Activity]:
        """All activities: the noise first, then those that security rules match."""
        lines = self._lines
        return [
            Activity("reads", 0, 0.6, self._read),
            Activity("objects", 0, 0.5, self._read_object),
            Activity("assumed roles", 0, 3, self._assume_role),
            Activity("service calls", 1, 5, self._service_call),
            Activity("instances started", 3, 20, self._run_instances),
            Activity("requests", 0, 0.15, lambda: Occurrence(lines=lines.request())),
            Activity("application lines", 0, 0.3, lambda: Occurrence(lines=lines.application())),
            Activity("application errors", 5, 12, lambda: Occurrence(lines=lines.complaint())),
            Activity("checkouts", 0, 0.5, lambda: self._invoke(CHECKOUT, "ok")),
            Activity("thumbnails", 0, 1.2, lambda: self._invoke(THUMBNAILER, "ok")),
            Activity("checkout errors", 4, 15, lambda: self._invoke(CHECKOUT, "error")),
            Activity("thumbnail timeouts", 9, 25, lambda: self._invoke(THUMBNAILER, "timeout")),
            Activity("sign-ins", 2, 15, self._sign_in),
            Activity("access denied", 3, 8, self._access_denied),
            Activity("failed sign-ins", 6, 45, self._failed_sign_ins),
            Activity("root sign-ins", 12, 75, self._root_sign_in),
            Activity("security groups", 16, 35, self._open_security_group),
            Activity("sign-ins without MFA", 20, 60, self._sign_in_without_mfa),
            Activity("IAM changes", 24, 40, self._change_iam),
            Activity("trail stopped", 45, 150, self._stop_logging),
        ]

    def _person(self) -> Caller:
        return self._callers.user(self._rng.choice(_PEOPLE), self._address(_OFFICE))

    def _deployer(self) -> Caller:
        return self._callers.role("storefront-deploy", "pipeline-42", self._address(_OFFICE))

    def _address(self, network: str) -> str:
        return f"{network}{self._rng.randint(1, 24)}"

    def _hexadecimal(self) -> str:
        return f"0{self._rng.getrandbits(64):016x}"

    def _read(self) -> Occurrence:
        caller = self._rng.choice((self._person, self._deployer))()
        action = self._rng.choice(_READS)
        region = GLOBAL_REGION if action.startswith("iam:") else self._rng.choice(REGIONS)
        return Occurrence(records=[self._records.call(caller, action, region, read_only=True)])

    def _read_object(self) -> Occurrence:
        """A data event: only the trail has it."""
        bucket = self._rng.choice(_BUCKETS)
        key = f"2026/{self._rng.randint(1, 9999):04}.pdf"
        record = self._records.call(
            self._deployer(),
            "s3:GetObject",
            REGIONS[0],
            read_only=True,
            request={"bucketName": bucket, "Host": f"{bucket}.s3.amazonaws.com", "key": key},
        )
        resource = {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/{key}"}
        data = {"managementEvent": False, "eventCategory": "Data", "resources": [resource]}
        return Occurrence(records=[record | data])

    def _assume_role(self) -> Occurrence:
        role = f"arn:aws:iam::{self._callers.account}:role/storefront-deploy"
        request = {"roleArn": role, "roleSessionName": "pipeline-42", "durationSeconds": 3600}
        record = self._records.call(
            self._person(), "sts:AssumeRole", GLOBAL_REGION, read_only=True, request=request
        )
        return Occurrence(records=[record])

    def _service_call(self) -> Occurrence:
        name = self._rng.choice(("lambda.amazonaws.com", "ecs-tasks.amazonaws.com"))
        role = f"arn:aws:iam::{self._callers.account}:role/storefront-run"
        record = self._records.call(
            self._callers.service(name),
            "sts:AssumeRole",
            self._rng.choice(REGIONS),
            read_only=True,
            request={"roleArn": role, "roleSessionName": "run"},
        )
        return Occurrence(records=[record])

    def _run_instances(self) -> Occurrence:
        instance = f"i-{self._hexadecimal()}"
        record = self._records.call(
            self._deployer(),
            "ec2:RunInstances",
            self._rng.choice(REGIONS),
            request={"instanceType": "t4g.small", "minCount": 1, "maxCount": 1},
            response={"instancesSet": {"items": [{"instanceId": instance}]}},
        )
        return Occurrence(records=[record])

    def _invoke(self, group: str, outcome: str) -> Occurrence:
        return Occurrence(lines=self._lines.invocation(group, outcome=outcome))

    def _sign_in(self) -> Occurrence:
        record = self._records.console_login(self._person(), GLOBAL_REGION, mfa=True)
        return Occurrence(records=[record])

    def _access_denied(self) -> Occurrence:
        caller = self._callers.role(
            "audit-reader", self._rng.choice(("nightly", "weekly")), self._address(_OFFICE)
        )
        action, code = self._rng.choice(
            (
                ("s3:GetBucketPolicy", "AccessDenied"),
                ("ec2:GetPasswordData", "Client.UnauthorizedOperation"),
                ("secretsmanager:GetSecretValue", "AccessDenied"),
            )
        )
        message = f"User: {caller.identity['arn']} is not authorized to perform: {action}"
        record = self._records.call(
            caller, action, self._rng.choice(REGIONS), read_only=True, error=(code, message)
        )
        return Occurrence(records=[record])

    def _failed_sign_ins(self) -> Occurrence:
        name, address = self._rng.choice(_PEOPLE), self._address(_ELSEWHERE)
        caller = self._callers.user(name, address)
        times = self._rng.randint(3, 5)
        records = [
            self._records.console_login(caller, GLOBAL_REGION, mfa=False, failed=True)
            for _ in range(times)
        ]
        return Occurrence(f"{times} failed console sign-ins as {name} from {address}", records)

    def _root_sign_in(self) -> Occurrence:
        caller = self._callers.root(self._address(_ELSEWHERE))
        record = self._records.console_login(caller, GLOBAL_REGION, mfa=False)
        return Occurrence(f"root signed in to the console from {caller.address}", [record])

    def _sign_in_without_mfa(self) -> Occurrence:
        name = self._rng.choice(_PEOPLE)
        caller = self._callers.user(name, self._address(_OFFICE), mfa=False)
        record = self._records.console_login(caller, GLOBAL_REGION, mfa=False)
        return Occurrence(f"{name} signed in to the console without MFA", [record])

    def _open_security_group(self) -> Occurrence:
        caller, group = self._person(), f"sg-{self._hexadecimal()}"
        region = self._rng.choice(REGIONS)
        permission = {
            "ipProtocol": "tcp",
            "fromPort": 22,
            "toPort": 22,
            "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]},
        }
        record = self._records.call(
            caller,
            "ec2:AuthorizeSecurityGroupIngress",
            region,
            request={"groupId": group, "ipPermissions": {"items": [permission]}},
            response={"_return": True},
        )
        name = caller.identity["userName"]
        return Occurrence(f"{name} opened port 22 of {group} to the world in {region}", [record])

    def _change_iam(self) -> Occurrence:
        caller, target = self._person(), self._rng.choice(_PEOPLE)
        action, request = self._rng.choice(
            (
                (
                    "iam:AttachUserPolicy",
                    {"userName": target, "policyArn": "arn:aws:iam::aws:policy/PowerUserAccess"},
                ),
                ("iam:PutUserPolicy", {"userName": target, "policyName": "temporary"}),
                ("iam:DeleteRolePolicy", {"roleName": "audit-reader", "policyName": "read"}),
            )
        )
        record = self._records.call(caller, action, GLOBAL_REGION, request=request)
        name = caller.identity["userName"]
        return Occurrence(f"{name} changed IAM policies ({action})", [record])

    def _stop_logging(self) -> Occurrence:
        caller = self._person()
        region = self._rng.choice(REGIONS)
        trail = f"arn:aws:cloudtrail:{region}:{self._callers.account}:trail/everything"
        record = self._records.call(
            caller, "cloudtrail:StopLogging", region, request={"name": trail}
        )
        return Occurrence(f"{caller.identity['userName']} stopped a trail in {region}", [record])
