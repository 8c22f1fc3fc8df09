"""What the people of a busy account do on a quiet day."""

from __future__ import annotations

from typing import Final

from tests.support.attacks.actors import (
    ACCOUNT,
    call,
    console_user,
    person,
    role,
    service,
    sign_in,
    template,
)
from tests.support.attacks.quiet_day import Routine

_WORK: Final = (6.0, 18.0)
_PEOPLE: Final = (
    "maya",
    "jonas",
    "priya",
    "tomas",
    "aiko",
    "lena",
    "omar",
    "sofia",
    "noah",
    "ines",
    "karim",
    "eva",
)
_DENIED: Final = ("AccessDenied", "is not authorized to perform this action")
_READS: Final = (
    "ec2:DescribeInstances",
    "ec2:DescribeSecurityGroups",
    "ecs:DescribeServices",
    "lambda:ListFunctions20150331",
    "logs:FilterLogEvents",
    "logs:StartQuery",
    "rds:DescribeDBInstances",
    "s3:ListBuckets",
    "cloudwatch:DescribeAlarms",
    "iam:ListRoles",
    "iam:ListUsers",
    "iam:GetAccountSummary",
    "iam:ListAttachedRolePolicies",
    "cloudtrail:LookupEvents",
    "secretsmanager:ListSecrets",
    "ssm:DescribeParameters",
    "sts:GetCallerIdentity",
    "organizations:DescribeOrganization",
)
_BUCKET_PAGE: Final = (
    "s3:GetBucketAcl",
    "s3:GetBucketPolicy",
    "s3:GetBucketPolicyStatus",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketVersioning",
    "s3:GetBucketLogging",
    "s3:GetBucketReplication",
)


def _verification(name: str, result: str) -> str:
    """The check of a password in Identity Center."""
    return template(
        {
            "eventVersion": "1.08",
            "userIdentity": {
                "type": "Unknown",
                "principalId": ACCOUNT,
                "arn": "",
                "accountId": ACCOUNT,
                "accessKeyId": "",
                "userName": f"{name}@example.com",
            },
            "eventTime": "",
            "eventSource": "signin.amazonaws.com",
            "eventName": "CredentialVerification",
            "awsRegion": "eu-west-1",
            "sourceIPAddress": "192.0.2.10",
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "requestParameters": None,
            "responseElements": None,
            "additionalEventData": {
                "AuthWorkflowID": "01234567-89ab-cdef-0123-456789abcdef",
                "UserName": f"{name}@example.com",
                "LoginTo": "https://d-1234567890.awsapps.com/start",
                "CredentialType": "PASSWORD",
            },
            "requestID": "",
            "eventID": "",
            "readOnly": False,
            "eventType": "AwsServiceEvent",
            "managementEvent": True,
            "recipientAccountId": ACCOUNT,
            "serviceEventDetails": {"CredentialVerification": result},
            "eventCategory": "Management",
        },
        None,
    )


def _enters(name: str) -> list[str]:
    caller = person(name, "Developer")
    return [
        _verification(name, "Success"),
        call(
            role("AWSServiceRoleForSSO", "sso", "sso.amazonaws.com"),
            "sts:AssumeRoleWithSAML",
            read_only=True,
            request={
                "roleArn": str(caller.identity["sessionContext"]["sessionIssuer"]["arn"]),
                "roleSessionName": f"{name}@example.com",
            },
        ),
        sign_in(caller, mfa=False),
    ]


PEOPLE: Final = [
    *(Routine(f"{name} signs in", 2, _enters(name), hours=_WORK) for name in _PEOPLE),
    *(
        Routine(
            f"{name} looks around",
            30,
            [
                call(person(name, "Developer"), action, read_only=True)
                for action in _READS[n % 3 :: 3]
            ],
            hours=_WORK,
            pause=3,
        )
        for n, name in enumerate(_PEOPLE)
    ),
    *(
        Routine(
            f"{name} looks at buckets",
            3,
            [
                call(person(name, "Developer"), action, read_only=True)
                for action in _BUCKET_PAGE * 4
            ],
            hours=_WORK,
            pause=0.3,
        )
        for name in _PEOPLE[:4]
    ),
    *(
        Routine(
            f"{name} may not",
            3,
            [
                call(person(name, "Developer"), action, read_only=True, error=_DENIED)
                for action in ("ce:GetCostAndUsage", "support:DescribeSeverityLevels")
            ],
            hours=_WORK,
        )
        for name in _PEOPLE
    ),
    *(
        Routine(f"{name} mistypes the password", 2, [_verification(name, "Failure")], hours=_WORK)
        for name in _PEOPLE[:3]
    ),
    Routine(
        "sessions on instances",
        6,
        [
            call(
                person("jonas", "Developer"),
                "ssm:StartSession",
                request={
                    "target": "i-0123456789abcdef0",
                    "documentName": "SSM-SessionManagerRunShell",
                },
                response={"sessionId": "jonas@example.com-@HEX@"},
            ),
            call(
                person("jonas", "Developer"),
                "ssm:TerminateSession",
                request={"sessionId": "jonas@example.com-@HEX@"},
            ),
        ],
        hours=_WORK,
        pause=600,
    ),
    Routine(
        "secrets read by hand",
        4,
        [
            call(
                person("priya", "Developer"),
                "secretsmanager:GetSecretValue",
                read_only=True,
                request={"secretId": "shop/@NAME@"},
            )
        ],
        hours=_WORK,
    ),
    Routine(
        "the role for emergencies",
        1,
        [
            call(
                console_user("oncall"),
                "sts:AssumeRole",
                read_only=True,
                request={
                    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/break-glass",
                    "roleSessionName": "oncall",
                    "serialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/oncall",
                    "tokenCode": "***",
                },
            ),
            *(
                call(role("break-glass", "oncall"), action, read_only=read, request=request)
                for action, read, request in (
                    ("ecs:DescribeServices", True, None),
                    (
                        "ecs:UpdateService",
                        False,
                        {"service": "shop-01", "forceNewDeployment": True},
                    ),
                    ("rds:RebootDBInstance", False, {"dBInstanceIdentifier": "shop-01"}),
                )
            ),
        ],
        hours=(20, 23),
    ),
    Routine(
        "users provisioned by SCIM",
        4,
        [
            call(
                service("identitystore-scim.amazonaws.com"),
                action,
                request={"identityStoreId": "d-1234567890", "userName": "new-@NAME@"},
            )
            for action in (
                "sso-directory:CreateUser",
                "sso-directory:UpdateUser",
                "sso-directory:AddMemberToGroup",
            )
        ],
        hours=_WORK,
    ),
    Routine(
        "the monthly rotation of a key",
        1,
        [
            call(
                role("key-rotation", "monthly", "10.0.9.40"),
                action,
                request={"userName": "backup-on-premises", **more},
                response=response,
            )
            for action, more, response in (
                (
                    "iam:CreateAccessKey",
                    {},
                    {
                        "accessKey": {
                            "userName": "backup-on-premises",
                            "accessKeyId": "AKIANEWKEYEXAMPLE000",
                            "status": "Active",
                        }
                    },
                ),
                (
                    "iam:UpdateAccessKey",
                    {"status": "Inactive", "accessKeyId": "AKIAOLDKEYEXAMPLE000"},
                    None,
                ),
                ("iam:DeleteAccessKey", {"accessKeyId": "AKIAOLDKEYEXAMPLE000"}, None),
            )
        ],
        hours=(3, 4),
        first_days=False,
    ),
]
