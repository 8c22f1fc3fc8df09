"""The API calls of the corpus, and how often each occurs."""

from __future__ import annotations

import random
from dataclasses import dataclass

READS = ("Describe", "Get", "List", "BatchGet", "Search")


@dataclass(frozen=True, slots=True)
class Call:
    """A kind of CloudTrail event."""

    service: str
    """Without ``.amazonaws.com``."""
    name: str
    share: float = 0.0
    """Part of all events; for calls of TAIL it follows from their order."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Names of request parameters and kinds of their values."""
    error: tuple[str, str] | None = None
    """The code and message of the error that it always ends in."""
    root: bool = False
    """Whether the root user makes it."""

    @property
    def login(self) -> bool:
        """Whether it is a sign-in to the console."""
        return self.name == "ConsoleLogin"

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.name.startswith((*READS, "Assume", "Decrypt", "Generate"))


_ASSUME = (("roleArn", "role"), ("roleSessionName", "session"), ("durationSeconds", "number"))
_KEY = (("keyId", "arn"), ("encryptionAlgorithm", "name"), ("encryptionContext", "context"))
_FIND = (("filterSet", "filters"), ("maxResults", "number"))
_NAMED = (("name", "name"), ("clientToken", "session"))

FREQUENT = tuple(
    Call(service, name, share / 100, parameters)
    for service, name, share, parameters in (
        ("sts", "AssumeRole", 15, _ASSUME),
        ("kms", "Decrypt", 9, _KEY),
        ("secretsmanager", "GetSecretValue", 6.8, (("secretId", "arn"),)),
        ("s3", "GetBucketAcl", 5, (("bucketName", "name"), ("Host", "name"))),
        ("ec2", "DescribeInstances", 5, _FIND),
        ("kms", "GenerateDataKey", 4, _KEY),
        ("ssm", "UpdateInstanceInformation", 4, (("instanceId", "id"), ("agentName", "name"))),
        ("logs", "CreateLogStream", 3, (("logGroupName", "name"), ("logStreamName", "session"))),
        ("ec2", "DescribeNetworkInterfaces", 3, _FIND),
        ("sts", "GetCallerIdentity", 2.5, ()),
        ("ecr", "BatchGetImage", 2, (("repositoryName", "name"), ("registryId", "session"))),
        ("elasticloadbalancing", "DescribeTargetHealth", 2, (("targetGroupArn", "arn"),)),
        ("autoscaling", "DescribeAutoScalingGroups", 2, (("maxRecords", "number"),)),
        ("dynamodb", "DescribeTable", 2, (("tableName", "name"),)),
        ("monitoring", "DescribeAlarms", 1.5, (("maxRecords", "number"),)),
        ("lambda", "GetFunction20150331v2", 1.5, (("functionName", "arn"),)),
    )
)
"""The calls that programs repeat all day."""

TAIL_SHARE = 1 - sum(call.share for call in FREQUENT) - 0.02
"""The share of all calls of TAIL together."""

_RESOURCES = {
    "ec2": "Volumes Snapshots Images Subnets KeyPairs Addresses LaunchTemplates FlowLogs Fleets",
    "rds": "DBInstances DBClusters DBSnapshots OptionGroups EventSubscriptions",
    "ecs": "Clusters Services Tasks TaskDefinitions ContainerInstances",
    "eks": "Nodegroups Addons FargateProfiles AccessEntries",
    "lambda": "Aliases EventSourceMappings Layers CodeSigningConfigs",
    "elasticache": "CacheClusters ReplicationGroups Users",
    "glue": "Jobs Crawlers Databases Tables Triggers",
    "states": "StateMachines Executions Activities",
    "sqs": "Queues Messages",
    "sns": "Topics Subscriptions PlatformEndpoints",
    "route53": "HostedZones HealthChecks",
    "cloudfront": "Distributions Invalidations Functions",
    "acm": "Certificates",
    "backup": "BackupPlans BackupVaults RecoveryPoints",
    "athena": "WorkGroups NamedQueries QueryExecutions",
}
_VERBS = ("Describe", "List", "Create", "Update", "Delete")


def _tail() -> tuple[Call, ...]:
    """Names by service, resource and verb, in an order that is always the same."""
    calls = [
        Call(service, f"{verb}{resource}", parameters=_FIND if verb in READS else _NAMED)
        for service, resources in _RESOURCES.items()
        for resource in resources.split()
        for verb in _VERBS
    ]
    random.Random(7).shuffle(calls)
    return tuple(calls)


TAIL = _tail()
"""The calls that each occur rarely, the most frequent ones first."""

_DENIED = ("AccessDenied", "User is not authorized to perform this operation")
_FAILED = ("", "Failed authentication")


def _changes(service: str, share: float, names: str) -> tuple[Call, ...]:
    each = names.split()
    return tuple(Call(service, name, share / len(each), _NAMED) for name in each)


SECURITY = (
    Call("signin", "ConsoleLogin", 0.0020),
    Call("signin", "ConsoleLogin", 0.0008, error=_FAILED),
    Call("signin", "ConsoleLogin", 0.0002, root=True),
    Call("iam", "ListAccessKeys", 0.0005, (("userName", "user"),), root=True),
    Call("iam", "CreateUser", 0.0020, (("userName", "user"),), error=_DENIED),
    Call("iam", "CreateAccessKey", 0.0010, (("userName", "user"),)),
    *_changes("iam", 0.0035, "CreatePolicy DeletePolicy AttachRolePolicy DetachRolePolicy"),
    *_changes("ec2", 0.0035, "AuthorizeSecurityGroupIngress CreateSecurityGroup"),
    *_changes("cloudtrail", 0.0010, "CreateTrail UpdateTrail StopLogging"),
    *_changes("s3", 0.0015, "PutBucketPolicy PutBucketAcl DeleteBucketPolicy"),
    *_changes("kms", 0.0005, "DisableKey ScheduleKeyDeletion"),
    *_changes("config", 0.0005, "StopConfigurationRecorder"),
    *_changes("ec2", 0.0020, "CreateNetworkAclEntry CreateRoute DeleteRoute ModifyVpcAttribute"),
    *_changes("ec2", 0.0005, "AttachInternetGateway CreateVpc"),
    *_changes("organizations", 0.0005, "InviteAccountToOrganization DetachPolicy"),
)
"""The calls of interest to a security team: 2 % of all events."""
