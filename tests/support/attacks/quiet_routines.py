"""What a busy account does on a quiet day: deployments, scaling, workloads and AWS's services."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tests.support.attacks.actors import (
    ACCOUNT,
    FOREIGN,
    call,
    foreign,
    instance,
    on_behalf,
    role,
    service,
    service_role,
    user,
    web_identity,
)
from tests.support.attacks.quiet_day import Routine

_RUNNER: Final = "203.0.113.20"
_NAT: Final = "203.0.113.40"
_WORK: Final = (6.0, 18.0)
_TERRAFORM: Final = role(
    "ci-terraform",
    "GitHubActions",
    _RUNNER,
    agent="APN/1.0 HashiCorp/1.0 Terraform/1.12.1 aws-sdk-go-v2/1.36.3",
)
_CDK: Final = role("cdk-hnb659fds-deploy-role", "aws-cdk-ci", _RUNNER)
_CFN: Final = on_behalf(
    role("cdk-hnb659fds-cfn-exec-role", "AWSCloudFormation"), "cloudformation.amazonaws.com"
)
_DEPLOY: Final = role("ci-deploy", "GitHubActions", _RUNNER)
_PIPELINE: Final = role("codepipeline-release", "1764201600000", "codepipeline.amazonaws.com")
_BUILD: Final = role("codebuild-release", "AWSCodeBuild-@HEX@", "10.0.12.7")
_KARPENTER: Final = role("karpenter-controller", "1764201600000000000", _NAT)
_NODE: Final = instance("eks-node", "i-@HEX@", "10.0.3.14")
_NODE_BY_NAT: Final = instance("eks-node", "i-0123456789abcde@NAME@", _NAT)
_NODE_BY_ENDPOINT: Final = instance("eks-node", "i-0123456789abcde@NAME@", "10.0.3.14")
_SCALING: Final = service_role("AWSServiceRoleForAutoScaling", "autoscaling.amazonaws.com")
_EKS: Final = service_role("AWSServiceRoleForAmazonEKS", "eks.amazonaws.com")
_ECS: Final = service_role("AWSServiceRoleForECS", "ecs.amazonaws.com")
_DLM: Final = role(
    "AWSDataLifecycleManagerDefaultRole", "AWSDataLifecycleManager", "dlm.amazonaws.com"
)
_BACKUP: Final = on_behalf(
    role("AWSBackupDefaultServiceRole", "AWSBackup-AWSBackupDefaultServiceRole"),
    "backup.amazonaws.com",
)
_APP: Final = role("shop-task", "0123456789abcdef@NAME@", "10.0.7.1@NAME@")
_WORKER: Final = role("orders-function", "orders", "10.0.9.3")
_ROTATION: Final = role("secret-rotation", "rotate-@NAME@", "10.0.9.8")
_DNS: Final = role("external-dns", "1764201600000000001", _NAT)
_PATCHING: Final = role("ssm-maintenance-window", "SSM-MaintenanceWindow", "ssm.amazonaws.com")
_MONITOR: Final = role("datadog-integration", "DatadogAWSIntegration", "198.51.100.20")


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


_TRUST_LAMBDA: Final = _policy(
    {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
)
_TLS_ONLY: Final = {
    "Sid": "AllowSSLRequestsOnly",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::shop-@NAME@", "arn:aws:s3:::shop-@NAME@/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
_CLOUDFRONT: Final = {
    "Effect": "Allow",
    "Principal": {"Service": "cloudfront.amazonaws.com"},
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::shop-@NAME@/*",
    "Condition": {
        "StringEquals": {"AWS:SourceArn": f"arn:aws:cloudfront::{ACCOUNT}:distribution/E2EXAMPLE"}
    },
}
_ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/shop-@NAME@"
_DENIED: Final = "is not authorized to perform this action"


def _ingress(port: int, *, cidr: str) -> dict[str, Any]:
    item = {
        "ipProtocol": "tcp",
        "fromPort": port,
        "toPort": port,
        "groups": {},
        "ipRanges": {"items": [{"cidrIp": cidr}]},
        "ipv6Ranges": {},
        "prefixListIds": {},
    }
    return {"groupId": "sg-@HEX@", "ipPermissions": {"items": [item]}}


def _new_role(caller: Any, path: str = "") -> list[str]:
    managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    inline = _policy(
        {"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": "arn:aws:sqs:*:*:orders"}
    )
    return [
        call(
            caller,
            "iam:CreateRole",
            request={
                "roleName": f"{path}shop-@NAME@",
                "assumeRolePolicyDocument": _TRUST_LAMBDA,
                "tags": [{"key": "team", "value": "shop"}],
            },
            response={"role": {"roleName": "shop-@NAME@", "arn": _ROLE, "roleId": "AROASHOP"}},
        ),
        call(
            caller,
            "iam:AttachRolePolicy",
            request={"roleName": "shop-@NAME@", "policyArn": managed},
        ),
        call(
            caller,
            "iam:PutRolePolicy",
            request={
                "roleName": "shop-@NAME@",
                "policyName": "default",
                "policyDocument": inline,
            },
        ),
    ]


DEPLOYMENTS: Final = [
    Routine(
        "a stack deployed by the CDK",
        12,
        [
            call(
                _CDK,
                "cloudformation:CreateChangeSet",
                request={
                    "stackName": "shop-@NAME@",
                    "changeSetName": "cdk-deploy-change-set",
                    "capabilities": ["CAPABILITY_NAMED_IAM"],
                    "changeSetType": "UPDATE",
                },
            ),
            call(
                _CDK,
                "cloudformation:ExecuteChangeSet",
                request={"stackName": "shop-@NAME@", "changeSetName": "cdk-deploy-change-set"},
            ),
            *_new_role(_CFN),
            call(
                _CFN,
                "lambda:CreateFunction20150331",
                request={
                    "functionName": "shop-@NAME@",
                    "runtime": "python3.13",
                    "role": _ROLE,
                    "handler": "app.handler",
                    "code": {"s3Bucket": "cdk-assets", "s3Key": "a.zip"},
                    "publish": False,
                },
            ),
            call(
                _CFN,
                "lambda:AddPermission20150331v2",
                request={
                    "functionName": "shop-@NAME@",
                    "action": "lambda:InvokeFunction",
                    "principal": "events.amazonaws.com",
                    "statementId": "AllowRule",
                    "sourceArn": f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/nightly",
                },
            ),
            call(_CFN, "logs:CreateLogGroup", request={"logGroupName": "/aws/lambda/shop-@NAME@"}),
            call(
                _CFN,
                "logs:PutRetentionPolicy",
                request={"logGroupName": "/aws/lambda/shop-@NAME@", "retentionInDays": 30},
            ),
            call(
                _CFN,
                "events:PutRule",
                request={
                    "name": "nightly-@NAME@",
                    "scheduleExpression": "rate(1 day)",
                    "state": "ENABLED",
                },
            ),
            call(
                _CFN,
                "events:PutTargets",
                request={
                    "rule": "nightly-@NAME@",
                    "targets": [
                        {
                            "id": "Target0",
                            "arn": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:shop-@NAME@",
                        }
                    ],
                },
            ),
        ],
        hours=_WORK,
    ),
    Routine(
        "a function updated by CI",
        40,
        [
            call(
                _DEPLOY,
                "lambda:UpdateFunctionCode20150331v2",
                request={
                    "functionName": "shop-@NAME@",
                    "s3Bucket": "releases",
                    "s3Key": "shop-@NAME@.zip",
                    "publish": True,
                    "dryRun": False,
                },
            ),
            call(
                _DEPLOY,
                "lambda:UpdateFunctionConfiguration20150331v2",
                request={"functionName": "shop-@NAME@", "memorySize": 512},
            ),
            call(_DEPLOY, "lambda:PublishVersion20150331", request={"functionName": "shop-@NAME@"}),
        ],
        hours=_WORK,
    ),
    Routine(
        "a service of ECS deployed",
        30,
        [
            call(
                _DEPLOY,
                "ecs:RegisterTaskDefinition",
                request={
                    "family": "shop-@NAME@",
                    "taskRoleArn": f"arn:aws:iam::{ACCOUNT}:role/shop-task",
                    "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/shop-execution",
                    "networkMode": "awsvpc",
                    "containerDefinitions": [
                        {
                            "name": "app",
                            "image": f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/shop:1",
                            "essential": True,
                        }
                    ],
                },
            ),
            call(
                _DEPLOY,
                "ecs:UpdateService",
                request={"cluster": "shop", "service": "shop-@NAME@", "desiredCount": 3},
            ),
            call(
                _ECS,
                "elasticloadbalancing:RegisterTargets",
                request={"targetGroupArn": "tg", "targets": [{"id": "10.0.7.8", "port": 8080}]},
            ),
        ],
        hours=_WORK,
    ),
    Routine(
        "a plan of Terraform",
        30,
        [
            call(_TERRAFORM, action, read_only=True, request=request)
            for action, request in (
                ("sts:GetCallerIdentity", None),
                ("iam:GetRole", {"roleName": "shop-@NAME@"}),
                ("iam:ListRolePolicies", {"roleName": "shop-@NAME@"}),
                ("iam:ListAttachedRolePolicies", {"roleName": "shop-@NAME@"}),
                ("iam:GetPolicy", {"policyArn": f"arn:aws:iam::{ACCOUNT}:policy/shop"}),
                ("s3:GetBucketPolicy", {"bucketName": "shop-@NAME@"}),
                ("s3:GetBucketAcl", {"bucketName": "shop-@NAME@"}),
                ("s3:GetBucketEncryption", {"bucketName": "shop-@NAME@"}),
                ("ec2:DescribeVpcs", {"vpcSet": {}}),
                ("ec2:DescribeSecurityGroups", {"securityGroupSet": {}}),
                ("rds:DescribeDBInstances", {"dBInstanceIdentifier": "shop"}),
                ("kms:GetKeyPolicy", {"keyId": "key", "policyName": "default"}),
                ("route53:GetHostedZone", {"id": "Z0EXAMPLE"}),
                ("lambda:GetFunction20150331v2", {"functionName": "shop-@NAME@"}),
                ("sqs:GetQueueAttributes", {"queueUrl": "orders"}),
                ("sns:GetTopicAttributes", {"topicArn": "orders"}),
            )
        ],
        hours=_WORK,
        pause=0.5,
    ),
    Routine(
        "Terraform applied: network and load balancer",
        4,
        [
            call(
                _TERRAFORM,
                "ec2:CreateSecurityGroup",
                request={
                    "groupName": "shop-@NAME@",
                    "groupDescription": "load balancer",
                    "vpcId": "vpc-0a",
                },
                response={"_return": True, "groupId": "sg-@HEX@"},
            ),
            call(
                _TERRAFORM,
                "ec2:AuthorizeSecurityGroupIngress",
                request=_ingress(443, cidr="0.0.0.0/0"),
                response={"_return": True},
            ),
            call(
                _TERRAFORM,
                "ec2:AuthorizeSecurityGroupIngress",
                request=_ingress(5432, cidr="10.0.0.0/16"),
                response={"_return": True},
            ),
            call(
                _TERRAFORM,
                "ec2:RevokeSecurityGroupIngress",
                request=_ingress(8080, cidr="10.0.0.0/16"),
                response={"_return": True},
            ),
            call(
                _TERRAFORM,
                "ec2:CreateRoute",
                request={
                    "routeTableId": "rtb-0a",
                    "destinationCidrBlock": "10.20.0.0/16",
                    "transitGatewayId": "tgw-0a",
                },
                response={"_return": True},
            ),
            call(
                _TERRAFORM,
                "elasticloadbalancing:CreateListener",
                request={
                    "loadBalancerArn": "alb",
                    "protocol": "HTTPS",
                    "port": 443,
                    "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
                    "defaultActions": [{"type": "forward", "targetGroupArn": "tg"}],
                },
            ),
            call(
                _TERRAFORM,
                "route53:ChangeResourceRecordSets",
                request={
                    "hostedZoneId": "Z0EXAMPLE",
                    "changeBatch": {
                        "changes": [
                            {
                                "action": "UPSERT",
                                "resourceRecordSet": {"name": "shop.example.com.", "type": "A"},
                            }
                        ]
                    },
                },
            ),
        ],
        hours=_WORK,
    ),
    Routine(
        "Terraform applied: buckets, keys, queues, database",
        4,
        [
            call(
                _TERRAFORM,
                "s3:CreateBucket",
                request={
                    "bucketName": "shop-@NAME@",
                    "Host": "shop-@NAME@.s3.eu-west-1.amazonaws.com",
                    "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"},
                },
            ),
            call(
                _TERRAFORM,
                "s3:PutBucketPublicAccessBlock",
                request={
                    "bucketName": "shop-@NAME@",
                    "publicAccessBlock": "",
                    "PublicAccessBlockConfiguration": {
                        "BlockPublicAcls": True,
                        "BlockPublicPolicy": True,
                        "IgnorePublicAcls": True,
                        "RestrictPublicBuckets": True,
                    },
                },
            ),
            call(
                _TERRAFORM,
                "s3:PutBucketPolicy",
                request={
                    "bucketName": "shop-@NAME@",
                    "policy": "",
                    "bucketPolicy": {
                        "Version": "2012-10-17",
                        "Statement": [_TLS_ONLY, _CLOUDFRONT],
                    },
                },
            ),
            call(
                _TERRAFORM,
                "s3:PutBucketVersioning",
                request={
                    "bucketName": "shop-@NAME@",
                    "versioning": "",
                    "VersioningConfiguration": {"Status": "Enabled"},
                },
            ),
            call(
                _TERRAFORM,
                "s3:PutBucketLifecycle",
                request={
                    "bucketName": "shop-@NAME@",
                    "lifecycle": "",
                    "LifecycleConfiguration": {
                        "Rule": {
                            "ID": "noncurrent",
                            "Status": "Enabled",
                            "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
                        }
                    },
                },
            ),
            call(
                _TERRAFORM,
                "s3:PutBucketEncryption",
                request={
                    "bucketName": "shop-@NAME@",
                    "encryption": "",
                    "ServerSideEncryptionConfiguration": {
                        "Rule": {
                            "ApplyServerSideEncryptionByDefault": {
                                "SSEAlgorithm": "aws:kms",
                                "KMSMasterKeyID": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/data",
                            },
                            "BucketKeyEnabled": True,
                        }
                    },
                },
            ),
            call(
                _TERRAFORM,
                "kms:CreateKey",
                request={
                    "policy": _policy(
                        {
                            "Effect": "Allow",
                            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                            "Action": "kms:*",
                            "Resource": "*",
                        }
                    ),
                    "keyUsage": "ENCRYPT_DECRYPT",
                    "description": "shop-@NAME@",
                },
            ),
            call(_TERRAFORM, "kms:EnableKeyRotation", request={"keyId": "key-@HEX@"}),
            call(
                _TERRAFORM,
                "sqs:SetQueueAttributes",
                request={
                    "queueUrl": f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/orders-@NAME@",
                    "attributes": {
                        "Policy": _policy(
                            {
                                "Effect": "Allow",
                                "Principal": {"Service": "sns.amazonaws.com"},
                                "Action": "sqs:SendMessage",
                                "Resource": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:orders-@NAME@",
                                "Condition": {
                                    "ArnEquals": {
                                        "aws:SourceArn": f"arn:aws:sns:eu-west-1:{ACCOUNT}:orders"
                                    }
                                },
                            }
                        )
                    },
                },
            ),
            call(
                _TERRAFORM,
                "sns:SetTopicAttributes",
                request={
                    "topicArn": f"arn:aws:sns:eu-west-1:{ACCOUNT}:orders-@NAME@",
                    "attributeName": "Policy",
                    "attributeValue": _policy(
                        {
                            "Sid": "__default_statement_ID",
                            "Effect": "Allow",
                            "Principal": {"AWS": "*"},
                            "Action": ["SNS:Publish", "SNS:Subscribe"],
                            "Resource": f"arn:aws:sns:eu-west-1:{ACCOUNT}:orders-@NAME@",
                            "Condition": {"StringEquals": {"AWS:SourceOwner": ACCOUNT}},
                        }
                    ),
                },
            ),
            call(
                _TERRAFORM,
                "rds:ModifyDBInstance",
                request={
                    "dBInstanceIdentifier": "shop-@NAME@",
                    "dBInstanceClass": "db.r7g.large",
                    "applyImmediately": False,
                    "allowMajorVersionUpgrade": False,
                },
                response={
                    "dBInstanceIdentifier": "shop-@NAME@",
                    "publiclyAccessible": False,
                    "storageEncrypted": True,
                },
            ),
            call(
                _TERRAFORM,
                "secretsmanager:CreateSecret",
                request={"name": "shop/@NAME@", "clientRequestToken": "token"},
            ),
            call(
                _TERRAFORM,
                "ssm:PutParameter",
                request={
                    "name": "/shop/@NAME@/url",
                    "value": "HIDDEN_DUE_TO_SECURITY_REASONS",
                    "type": "String",
                    "overwrite": True,
                },
            ),
        ],
        hours=_WORK,
    ),
    Routine(
        "policies and roles by Terraform",
        5,
        [
            *_new_role(_TERRAFORM),
            call(
                _TERRAFORM,
                "iam:CreatePolicyVersion",
                request={
                    "policyArn": f"arn:aws:iam::{ACCOUNT}:policy/shop-@NAME@",
                    "policyDocument": _policy(
                        {
                            "Effect": "Allow",
                            "Action": ["s3:GetObject"],
                            "Resource": "arn:aws:s3:::shop-@NAME@/*",
                        }
                    ),
                    "setAsDefault": True,
                },
            ),
            call(
                _TERRAFORM,
                "iam:AttachRolePolicy",
                request={
                    "roleName": "shop-@NAME@",
                    "policyArn": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
                },
            ),
            call(
                _TERRAFORM,
                "iam:DetachRolePolicy",
                request={
                    "roleName": "shop-@NAME@",
                    "policyArn": f"arn:aws:iam::{ACCOUNT}:policy/shop-old",
                },
            ),
            call(
                _TERRAFORM,
                "iam:CreateInstanceProfile",
                request={"instanceProfileName": "shop-@NAME@"},
            ),
            call(
                _TERRAFORM,
                "iam:AddRoleToInstanceProfile",
                request={"instanceProfileName": "shop-@NAME@", "roleName": "shop-@NAME@"},
            ),
            call(
                _TERRAFORM,
                "iam:UpdateAssumeRolePolicy",
                request={"roleName": "shop-@NAME@", "policyDocument": _TRUST_LAMBDA},
            ),
        ],
        hours=_WORK,
    ),
    Routine(
        "a preview environment deleted",
        6,
        [
            call(
                _CDK,
                "cloudformation:DeleteStack",
                request={"stackName": "preview-@NAME@", "clientRequestToken": "token"},
            ),
            call(_CFN, "logs:DeleteLogGroup", request={"logGroupName": "/preview/@NAME@"}),
            call(_CFN, "lambda:DeleteFunction20150331", request={"functionName": "preview-@NAME@"}),
            call(_CFN, "dynamodb:DeleteTable", request={"tableName": "preview-@NAME@"}),
            call(_CFN, "s3:DeleteBucket", request={"bucketName": "preview-@NAME@"}),
            call(_CFN, "sqs:DeleteQueue", request={"queueUrl": "preview-@NAME@"}),
            call(
                _CFN,
                "events:RemoveTargets",
                request={"rule": "preview-@NAME@", "ids": ["Target0"]},
            ),
            call(_CFN, "events:DeleteRule", request={"name": "preview-@NAME@"}),
            call(
                _CFN,
                "iam:DeleteRolePolicy",
                request={"roleName": "preview-@NAME@", "policyName": "default"},
            ),
            call(_CFN, "iam:DeleteRole", request={"roleName": "preview-@NAME@"}),
            call(
                _CFN,
                "rds:DeleteDBInstance",
                request={"dBInstanceIdentifier": "preview-@NAME@", "skipFinalSnapshot": True},
            ),
            call(
                _CFN,
                "kms:ScheduleKeyDeletion",
                request={"keyId": "preview-@HEX@", "pendingWindowInDays": 30},
            ),
        ],
        hours=_WORK,
    ),
    Routine(
        "an image pushed by CI",
        50,
        [
            call(_DEPLOY, "ecr:GetAuthorizationToken", read_only=True),
            call(_DEPLOY, "ecr:InitiateLayerUpload", request={"repositoryName": "shop-@NAME@"}),
            call(_DEPLOY, "ecr:CompleteLayerUpload", request={"repositoryName": "shop-@NAME@"}),
            call(
                _DEPLOY,
                "ecr:PutImage",
                request={"repositoryName": "shop-@NAME@", "imageTag": "build-@HEX@"},
            ),
        ],
        hours=_WORK,
    ),
    Routine(
        "a pipeline's release",
        15,
        [
            call(
                service("events.amazonaws.com"),
                "codepipeline:StartPipelineExecution",
                request={"name": "release"},
            ),
            call(_PIPELINE, "codebuild:StartBuild", request={"projectName": "release"}),
            call(_BUILD, "logs:CreateLogStream", request={"logGroupName": "/aws/codebuild"}),
            call(_BUILD, "ecr:GetAuthorizationToken", read_only=True),
            call(
                _PIPELINE,
                "cloudformation:UpdateStack",
                request={"stackName": "release", "capabilities": ["CAPABILITY_IAM"]},
            ),
        ],
        hours=_WORK,
    ),
    Routine(
        "CI takes its role",
        120,
        [
            call(
                web_identity(
                    "token.actions.githubusercontent.com",
                    "repo:example/shop:ref:refs/heads/main",
                    _RUNNER,
                ),
                "sts:AssumeRoleWithWebIdentity",
                read_only=True,
                request={
                    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/ci-deploy",
                    "roleSessionName": "GitHubActions",
                },
            )
        ],
        hours=_WORK,
    ),
]

SCALING: Final = [
    Routine(
        "Karpenter starts a node",
        60,
        [
            call(_KARPENTER, "ec2:DescribeInstanceTypes", read_only=True),
            call(
                _KARPENTER,
                "ssm:GetParameter",
                read_only=True,
                request={"name": "/aws/service/eks/optimized-ami/1.33/recommended/image_id"},
            ),
            call(
                _KARPENTER,
                "ec2:CreateLaunchTemplate",
                request={
                    "CreateLaunchTemplateRequest": {
                        "LaunchTemplateName": "karpenter.k8s.aws/@HEX@",
                        "LaunchTemplateData": {
                            "ImageId": "ami-0a",
                            "UserData": "<sensitiveDataRemoved>",
                            "IamInstanceProfile": {"Name": "eks-node"},
                            "MetadataOptions": {"HttpTokens": "required"},
                        },
                    }
                },
            ),
            call(
                _KARPENTER,
                "ec2:CreateFleet",
                request={
                    "CreateFleetRequest": {
                        "Type": "instant",
                        "TargetCapacitySpecification": {
                            "TotalTargetCapacity": 1,
                            "DefaultTargetCapacityType": "spot",
                        },
                    }
                },
            ),
            call(
                _KARPENTER,
                "ec2:RunInstances",
                request={
                    "instancesSet": {
                        "items": [{"imageId": "ami-0a", "minCount": 1, "maxCount": 1}]
                    },
                    "instanceType": "m7g.xlarge",
                    "userData": "<sensitiveDataRemoved>",
                    "iamInstanceProfile": {"name": "eks-node"},
                },
                response={"instancesSet": {"items": [{"instanceId": "i-@HEX@"}]}},
            ),
            call(
                _KARPENTER,
                "ec2:CreateTags",
                request={"resourcesSet": {"items": [{"resourceId": "i-@HEX@"}]}},
            ),
            call(_NODE, "ec2:DescribeInstances", read_only=True),
            call(_NODE, "ecr:GetAuthorizationToken", read_only=True),
            call(_NODE, "ec2:AssignPrivateIpAddresses", request={"networkInterfaceId": "eni-0a"}),
        ],
    ),
    Routine(
        "Karpenter ends a node",
        60,
        [
            call(
                _KARPENTER,
                "ec2:TerminateInstances",
                request={"instancesSet": {"items": [{"instanceId": "i-@HEX@"}]}},
            ),
            call(
                _KARPENTER,
                "ec2:DeleteLaunchTemplate",
                request={
                    "DeleteLaunchTemplateRequest": {"LaunchTemplateName": "karpenter.k8s.aws/@HEX@"}
                },
            ),
        ],
    ),
    Routine(
        "an instance profile of Karpenter",
        2,
        [
            call(
                _KARPENTER,
                "iam:CreateInstanceProfile",
                request={"instanceProfileName": "karpenter_@NAME@"},
            ),
            call(
                _KARPENTER,
                "iam:AddRoleToInstanceProfile",
                request={"instanceProfileName": "karpenter_@NAME@", "roleName": "eks-node"},
            ),
        ],
    ),
    Routine(
        "a group of instances scales",
        40,
        [
            call(
                _SCALING,
                "ec2:RunInstances",
                request={
                    "instancesSet": {
                        "items": [{"imageId": "ami-0a", "minCount": 1, "maxCount": 1}]
                    },
                    "launchTemplate": {"launchTemplateId": "lt-0a", "version": "12"},
                },
            ),
            call(
                _SCALING,
                "ec2:TerminateInstances",
                request={"instancesSet": {"items": [{"instanceId": "i-@HEX@"}]}},
            ),
        ],
    ),
    Routine(
        "EKS looks after its networks",
        100,
        [
            call(_EKS, "ec2:DescribeSecurityGroups", read_only=True),
            call(_EKS, "ec2:CreateNetworkInterface", request={"subnetId": "subnet-0a"}),
        ],
    ),
    Routine(
        "load balancers of Kubernetes",
        10,
        [
            call(
                role("aws-load-balancer-controller", "1764201600000000002", _NAT),
                "ec2:AuthorizeSecurityGroupIngress",
                request=_ingress(8080, cidr="10.0.0.0/16"),
                response={"_return": True},
            ),
            call(
                role("aws-load-balancer-controller", "1764201600000000002", _NAT),
                "elasticloadbalancing:ModifyTargetGroupAttributes",
                request={"targetGroupArn": "tg", "attributes": []},
            ),
        ],
        hours=_WORK,
    ),
    Routine(
        "names of Kubernetes",
        24,
        [
            call(
                _DNS,
                "route53:ChangeResourceRecordSets",
                request={
                    "hostedZoneId": "Z0EXAMPLE",
                    "changeBatch": {"changes": [{"action": "UPSERT"}]},
                },
            )
        ],
    ),
    Routine(
        "instances look around, by NAT and by an endpoint",
        100,
        [
            call(_NODE_BY_NAT, "sts:GetCallerIdentity", read_only=True),
            call(_NODE_BY_ENDPOINT, "ec2:DescribeInstances", read_only=True),
            call(_NODE_BY_ENDPOINT, "sts:GetCallerIdentity", read_only=True),
        ],
    ),
]

BACKUPS: Final = [
    Routine(
        "snapshots of the Data Lifecycle Manager",
        40,
        [
            call(
                _DLM,
                "ec2:CreateSnapshot",
                request={"volumeId": "vol-@HEX@", "description": "Created for policy: policy-0a"},
                response={"snapshotId": "snap-@HEX@", "encrypted": True},
            ),
            call(_DLM, "ec2:DeleteSnapshot", request={"snapshotId": "snap-0@NAME@"}),
        ],
        hours=(1, 3),
    ),
    Routine(
        "recovery points of AWS Backup",
        30,
        [
            call(
                service("backup.amazonaws.com"),
                "backup:StartBackupJob",
                request={"backupVaultName": "daily"},
            ),
            call(
                _BACKUP,
                "rds:CreateDBSnapshot",
                request={
                    "dBInstanceIdentifier": "shop-@NAME@",
                    "dBSnapshotIdentifier": "awsbackup:job-@HEX@",
                },
            ),
            call(
                _BACKUP,
                "rds:DeleteDBSnapshot",
                request={"dBSnapshotIdentifier": "awsbackup:job-0@NAME@"},
            ),
            call(_BACKUP, "ec2:DeleteSnapshot", request={"snapshotId": "snap-1@NAME@"}),
            call(
                service("backup.amazonaws.com"),
                "backup:DeleteRecoveryPoint",
                request={"backupVaultName": "daily"},
            ),
            call(
                service("backup.amazonaws.com"),
                "backup:StartCopyJob",
                request={
                    "sourceBackupVaultName": "daily",
                    "destinationBackupVaultArn": (
                        f"arn:aws:backup:eu-central-1:{ACCOUNT}:backup-vault:far"
                    ),
                },
            ),
        ],
        hours=(2, 5),
    ),
    Routine(
        "old images deleted",
        5,
        [
            call(
                role("image-clean-up", "clean-up", "10.0.9.9"),
                "ec2:DeregisterImage",
                request={"imageId": "ami-@HEX@"},
            ),
            call(
                role("image-clean-up", "clean-up", "10.0.9.9"),
                "ec2:DeleteSnapshot",
                request={"snapshotId": "snap-@HEX@"},
            ),
            call(
                role("image-clean-up", "clean-up", "10.0.9.9"),
                "ecr:BatchDeleteImage",
                request={"repositoryName": "shop-@NAME@"},
            ),
        ],
        hours=(4, 5),
    ),
]

WORKLOADS: Final = [
    Routine(
        "a secret read by a service",
        1200,
        [
            call(
                _APP,
                "secretsmanager:GetSecretValue",
                read_only=True,
                request={"secretId": "shop/@NAME@"},
            ),
            call(
                on_behalf(_APP, "secretsmanager.amazonaws.com"),
                "kms:Decrypt",
                read_only=True,
                request={"encryptionAlgorithm": "SYMMETRIC_DEFAULT"},
            ),
        ],
        pause=0,
    ),
    Routine(
        "parameters read by tasks",
        900,
        [
            call(
                role("shop-execution", "0123456789abcdef@NAME@", "10.0.7.2"),
                "ssm:GetParameters",
                read_only=True,
                request={"names": ["/shop/@NAME@/url"], "withDecryption": True},
            )
        ],
    ),
    Routine(
        "keys used",
        3000,
        [
            call(
                _WORKER,
                "kms:GenerateDataKey",
                read_only=True,
                request={
                    "keySpec": "AES_256",
                    "keyId": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/data",
                },
            ),
        ],
    ),
    Routine(
        "objects read and written",
        2500,
        [
            call(
                _APP,
                "s3:PutObject",
                request={
                    "bucketName": "shop-uploads",
                    "key": "@HEX@.jpg",
                    "Host": "shop-uploads.s3.eu-west-1.amazonaws.com",
                },
                extra={"managementEvent": False, "eventCategory": "Data"},
            ),
            call(
                _APP,
                "s3:GetObject",
                read_only=True,
                request={"bucketName": "shop-uploads", "key": "@HEX@.jpg"},
                extra={"managementEvent": False, "eventCategory": "Data"},
            ),
        ],
    ),
    Routine(
        "temporary objects deleted",
        300,
        [
            call(
                _APP,
                "s3:DeleteObject",
                request={"bucketName": "shop-temporary", "key": "@HEX@"},
                extra={"managementEvent": False, "eventCategory": "Data"},
            )
        ],
    ),
    Routine(
        "a secret rotated",
        6,
        [
            call(
                service("secretsmanager.amazonaws.com"),
                "secretsmanager:RotateSecret",
                request={"secretId": "shop/@NAME@"},
            ),
            call(
                _ROTATION,
                "secretsmanager:GetSecretValue",
                read_only=True,
                request={"secretId": "shop/@NAME@", "versionStage": "AWSCURRENT"},
            ),
            call(_ROTATION, "secretsmanager:GetRandomPassword", read_only=True),
            call(
                _ROTATION,
                "secretsmanager:PutSecretValue",
                request={"secretId": "shop/@NAME@", "versionStages": ["AWSPENDING"]},
            ),
            call(
                _ROTATION,
                "secretsmanager:UpdateSecretVersionStage",
                request={"secretId": "shop/@NAME@", "versionStage": "AWSCURRENT"},
            ),
        ],
    ),
    Routine(
        "services take roles",
        2500,
        [
            call(
                service("ecs-tasks.amazonaws.com"),
                "sts:AssumeRole",
                read_only=True,
                request={
                    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/shop-task",
                    "roleSessionName": "@HEX@",
                },
            ),
            call(
                service("lambda.amazonaws.com"),
                "sts:AssumeRole",
                read_only=True,
                request={
                    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/orders-function",
                    "roleSessionName": "orders",
                },
            ),
        ],
    ),
    Routine(
        "pods take roles",
        600,
        [
            call(
                web_identity(
                    "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF",
                    "system:serviceaccount:shop:web-@NAME@",
                    _NAT,
                ),
                "sts:AssumeRoleWithWebIdentity",
                read_only=True,
                request={
                    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/shop-task",
                    "roleSessionName": "@HEX@",
                },
            )
        ],
    ),
    Routine(
        "a role that may not be taken",
        10,
        [
            call(
                role("shop-task", "0123456789abcdef", "10.0.7.3"),
                "sts:AssumeRole",
                read_only=True,
                error=("AccessDenied", _DENIED),
                request={
                    "roleArn": "arn:aws:iam::777788889999:role/reports",
                    "roleSessionName": "a",
                },
            )
        ],
    ),
    Routine(
        "calls that AWS throttles",
        200,
        [
            call(
                _KARPENTER,
                "ec2:DescribeInstances",
                read_only=True,
                error=("Client.RequestLimitExceeded", "Request limit exceeded."),
            ),
            call(
                _DNS,
                "route53:ListResourceRecordSets",
                read_only=True,
                error=("ThrottlingException", "Rate exceeded"),
            ),
        ],
    ),
    Routine(
        "a model invoked by a service",
        500,
        [
            call(
                _WORKER,
                "bedrock:InvokeModel",
                read_only=True,
                request={"modelId": "anthropic.claude-3-5-sonnet-20240620-v1:0"},
            )
        ],
    ),
    Routine(
        "patches by Systems Manager",
        12,
        [
            call(
                _PATCHING,
                "ssm:SendCommand",
                request={
                    "documentName": "AWS-RunPatchBaseline",
                    "parameters": "HIDDEN_DUE_TO_SECURITY_REASONS",
                    "targets": [{"key": "tag:Patch", "values": ["weekly"]}],
                },
            )
        ],
        hours=(2, 4),
    ),
    Routine(
        "the agents of Systems Manager",
        1200,
        [
            call(
                instance("web-instance", "i-0abcdef012345678@NAME@", "10.0.4.1@NAME@"),
                "ssm:UpdateInstanceInformation",
                request={"agentName": "amazon-ssm-agent"},
            )
        ],
        names=12,
    ),
    # The account's own: an application on premises with a key of its own.
    Routine(
        "an application with an access key",
        400,
        [
            call(
                user("backup-on-premises", "203.0.113.99"),
                "s3:PutObject",
                request={"bucketName": "on-premises", "key": "@HEX@"},
                extra={"managementEvent": False, "eventCategory": "Data"},
            )
        ],
    ),
]

MONITORING: Final = [
    Routine(
        "a monitoring service of another account",
        24,
        [
            call(
                foreign("198.51.100.20", FOREIGN),
                "sts:AssumeRole",
                read_only=True,
                request={
                    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/datadog-integration",
                    "roleSessionName": "DatadogAWSIntegration",
                    "externalId": "0123456789abcdef",
                },
            ),
            *(
                call(_MONITOR, action, read_only=True)
                for action in (
                    "ec2:DescribeInstances",
                    "ec2:DescribeVolumes",
                    "rds:DescribeDBInstances",
                    "elasticloadbalancing:DescribeLoadBalancers",
                    "sqs:ListQueues",
                    "lambda:ListFunctions20150331",
                    "s3:ListBuckets",
                    "iam:ListRoles",
                    "organizations:DescribeOrganization",
                    "tagging:GetResources",
                )
            ),
            *(
                call(_MONITOR, action, read_only=True, error=("AccessDenied", _DENIED))
                for action in ("support:DescribeTrustedAdvisorChecks", "budgets:ViewBudget")
            ),
        ],
    ),
    *(
        Routine(
            f"{name} looks around",
            times,
            [
                call(service_role(f"AWSServiceRoleFor{name}", of), a, read_only=True)
                for a in actions
            ],
            pause=1,
        )
        for name, of, times, actions in (
            (
                "Config",
                "config.amazonaws.com",
                150,
                (
                    "ec2:DescribeSecurityGroups",
                    "s3:GetBucketPolicy",
                    "iam:GetRole",
                    "iam:ListUsers",
                ),
            ),
            ("AmazonGuardDuty", "guardduty.amazonaws.com", 60, ("ec2:DescribeInstances",)),
            (
                "SecurityHub",
                "securityhub.amazonaws.com",
                60,
                (
                    "config:DescribeConfigRules",
                    "cloudtrail:DescribeTrails",
                    "iam:GetAccountSummary",
                ),
            ),
            (
                "AmazonMacie",
                "macie.amazonaws.com",
                40,
                ("s3:ListBuckets", "s3:GetBucketAcl", "s3:GetBucketPolicy"),
            ),
            ("AmazonInspector2", "inspector2.amazonaws.com", 60, ("ec2:DescribeInstances",)),
            (
                "AccessAnalyzer",
                "access-analyzer.amazonaws.com",
                60,
                ("s3:GetBucketPolicy", "kms:GetKeyPolicy", "iam:GetRole", "sqs:GetQueueAttributes"),
            ),
            (
                "TrustedAdvisor",
                "trustedadvisor.amazonaws.com",
                24,
                (
                    "ec2:DescribeSecurityGroups",
                    "iam:GenerateCredentialReport",
                    "rds:DescribeDBInstances",
                ),
            ),
            ("CloudTrail", "cloudtrail.amazonaws.com", 24, ("organizations:ListAccounts",)),
        )
    ),
    Routine(
        "Config evaluates",
        50,
        [
            call(
                service_role("AWSServiceRoleForConfig", "config.amazonaws.com"),
                "config:PutEvaluations",
                request={"testMode": False},
            )
        ],
    ),
    Routine(
        "malware scans of GuardDuty",
        4,
        [
            call(
                service_role(
                    "AWSServiceRoleForAmazonGuardDutyMalwareProtection",
                    "malware-protection.guardduty.amazonaws.com",
                ),
                action,
                request=request,
            )
            for action, request in (
                ("ec2:CreateSnapshot", {"volumeId": "vol-@HEX@"}),
                (
                    "ec2:ModifySnapshotAttribute",
                    {
                        "snapshotId": "snap-@HEX@",
                        "createVolumePermission": {"add": {"items": [{"userId": "339712785030"}]}},
                        "attributeType": "CREATE_VOLUME_PERMISSION",
                    },
                ),
                ("ec2:DeleteSnapshot", {"snapshotId": "snap-@HEX@"}),
            )
        ],
    ),
    Routine(
        "grants by services",
        60,
        [
            call(
                on_behalf(_KARPENTER, "ec2.amazonaws.com"),
                "kms:CreateGrant",
                request={
                    "keyId": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/data",
                    "granteePrincipal": f"arn:aws:iam::{ACCOUNT}:role/eks-node",
                    "operations": ["Decrypt", "GenerateDataKeyWithoutPlaintext"],
                    "constraints": {"encryptionContextSubset": {"aws:ebs:id": "vol-@HEX@"}},
                },
            )
        ],
    ),
    Routine(
        "the costs of the day",
        24,
        [
            call(
                role("finops-export", "costs", "10.0.9.30"),
                "ce:GetCostAndUsage",
                read_only=True,
                region="us-east-1",
            )
        ],
    ),
]
