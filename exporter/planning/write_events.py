"""Management events whose CloudTrail records never have ``readOnly`` true.

AWS: read-only events "read your resources, but don't make changes". A name is here if each service
with such an action has it at the access levels Write, Permissions management or Tagging (Service
Authorization Reference) and it can only be a change. The levels alone do not decide: AssumeRole,
Decrypt and GenerateDataKey are Write, and their records have ``readOnly`` true; GetFederationToken
is Read, and false. A name that is not here says nothing.
"""

from __future__ import annotations

import re
from typing import Final

_BEGINNINGS: Final = re.compile(
    "Delete|Deregister|Detach|Disable|Disassociate|Revoke|Terminate"
    # Lambda's names end with the version of its API, as in AddPermission20150331v2.
    "|AddPermission|CreateFunctionUrlConfig|UpdateFunctionUrlConfig"
)
"""How names begin that can only be of a change: none of the 2,801 actions that begin so is Read or
List in the Service Authorization Reference (2026-04)."""

_NAMES: Final = frozenset(
    """
    ConsoleLogin

    AddClientIDToOpenIDConnectProvider AddRoleToInstanceProfile AddUserToGroup AttachGroupPolicy
    AttachRolePolicy AttachUserPolicy CreateAccessKey CreateInstanceProfile CreateLoginProfile
    CreateOpenIDConnectProvider CreatePolicy CreatePolicyVersion CreateRole CreateSAMLProvider
    CreateServiceLinkedRole CreateUser CreateVirtualMFADevice DeactivateMFADevice EnableMFADevice
    PutGroupPolicy PutRolePermissionsBoundary PutRolePolicy PutUserPermissionsBoundary PutUserPolicy
    RemoveRoleFromInstanceProfile RemoveUserFromGroup ResyncMFADevice SetDefaultPolicyVersion
    UpdateAccessKey UpdateAccountPasswordPolicy UpdateAssumeRolePolicy UpdateLoginProfile
    UpdateOpenIDConnectProviderThumbprint UpdateSAMLProvider UpdateUser UploadServerCertificate
    UploadSSHPublicKey CreateProfile CreateTrustAnchor EnableTrustAnchor UpdateProfile
    UpdateTrustAnchor

    AcceptHandshake AttachPolicy CloseAccount CreateAccount CreateOrganization
    CreateOrganizationalUnit DeclineHandshake EnablePolicyType InviteAccountToOrganization
    LeaveOrganization MoveAccount RemoveAccountFromOrganization UpdateOrganizationalUnit
    UpdatePolicy

    CreateTrail PutEventSelectors PutInsightSelectors StartLogging StopEventDataStoreIngestion
    StopLogging UpdateEventDataStore UpdateTrail
    PutConfigurationRecorder PutDeliveryChannel PutRetentionConfiguration
    StartConfigurationRecorder StopConfigurationRecorder
    BatchDisableStandards CreateFilter StopMonitoringMembers UpdateDetector
    PutCompositeAlarm PutMetricAlarm SetAlarmState
    CancelKeyDeletion CreateGrant CreateKey PutKeyPolicy ScheduleKeyDeletion

    CreateBucket PutAccountPublicAccessBlock PutBucketAcl PutBucketCors PutBucketEncryption
    PutBucketLifecycle PutBucketLogging PutBucketPolicy PutBucketPublicAccessBlock
    PutBucketReplication PutBucketVersioning PutBucketWebsite

    AcceptVpcPeeringConnection AllocateAddress AssociateAddress AssociateIamInstanceProfile
    AssociateRouteTable AttachClassicLinkVpc AttachInternetGateway AttachVolume
    AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CopyImage CopySnapshot
    CreateCustomerGateway CreateFlowLogs CreateImage CreateInternetGateway CreateKeyPair
    CreateNatGateway CreateNetworkAcl CreateNetworkAclEntry CreateRoute CreateRouteTable
    CreateSecurityGroup CreateSnapshot CreateSubnet CreateTags CreateTransitGateway CreateVolume
    CreateVpc CreateVpcEndpoint CreateVpcPeeringConnection EnableSerialConsoleAccess
    EnableVpcClassicLink ImportKeyPair ModifyImageAttribute ModifyInstanceAttribute
    ModifySecurityGroupRules ModifySnapshotAttribute ModifySubnetAttribute ModifyVpcAttribute
    ModifyVpcEndpoint RebootInstances RejectVpcPeeringConnection ReleaseAddress
    ReplaceIamInstanceProfileAssociation ReplaceNetworkAclAssociation ReplaceNetworkAclEntry
    ReplaceRoute ReplaceRouteTableAssociation RunInstances SendSSHPublicKey
    SendSerialConsoleSSHPublicKey StartInstances StopInstances
    CreateDBInstance CreateDBSnapshot ModifyDBClusterSnapshotAttribute ModifyDBInstance
    ModifyDBSnapshotAttribute
    SendCommand StartSession ResumeSession
    """.split()  # noqa: SIM905 (a list would be three times as long)
)


def is_write(name: str) -> bool:
    """Whether no record with this event name is read-only.

    A name that ends with ``*`` stands for all that begin so.
    """
    return name in _NAMES or _BEGINNINGS.match(name) is not None
