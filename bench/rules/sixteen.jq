# The rules of sixteen.yaml: the matches by rule, of documents {"Records": [...]}.
("DeleteGroupPolicy DeleteRolePolicy DeleteUserPolicy PutGroupPolicy PutRolePolicy PutUserPolicy CreatePolicy DeletePolicy CreatePolicyVersion DeletePolicyVersion AttachRolePolicy DetachRolePolicy AttachUserPolicy DetachUserPolicy AttachGroupPolicy DetachGroupPolicy" / " " | map({(.): 1}) | add) as $iam
| ("CreateTrail UpdateTrail DeleteTrail StartLogging StopLogging" / " " | map({(.): 1}) | add) as $trail
| ("PutBucketAcl PutBucketPolicy PutBucketCors PutBucketLifecycle PutBucketReplication DeleteBucketPolicy DeleteBucketCors DeleteBucketLifecycle DeleteBucketReplication" / " " | map({(.): 1}) | add) as $bucket
| ("StopConfigurationRecorder DeleteDeliveryChannel PutDeliveryChannel PutConfigurationRecorder" / " " | map({(.): 1}) | add) as $config
| ("AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress RevokeSecurityGroupEgress CreateSecurityGroup DeleteSecurityGroup ModifySecurityGroupRules" / " " | map({(.): 1}) | add) as $group
| ("CreateNetworkAcl CreateNetworkAclEntry DeleteNetworkAcl DeleteNetworkAclEntry ReplaceNetworkAclEntry ReplaceNetworkAclAssociation" / " " | map({(.): 1}) | add) as $nacl
| ("CreateCustomerGateway DeleteCustomerGateway AttachInternetGateway CreateInternetGateway DeleteInternetGateway DetachInternetGateway" / " " | map({(.): 1}) | add) as $gateway
| ("CreateRoute CreateRouteTable ReplaceRoute ReplaceRouteTableAssociation DeleteRouteTable DeleteRoute DisassociateRouteTable" / " " | map({(.): 1}) | add) as $route
| ("CreateVpc DeleteVpc ModifyVpcAttribute AcceptVpcPeeringConnection CreateVpcPeeringConnection DeleteVpcPeeringConnection RejectVpcPeeringConnection AttachClassicLinkVpc DetachClassicLinkVpc DisableVpcClassicLink EnableVpcClassicLink" / " " | map({(.): 1}) | add) as $vpc
| ("AcceptHandshake AttachPolicy CreateAccount CreateOrganizationalUnit CreatePolicy DeclineHandshake DeleteOrganization DeleteOrganizationalUnit DeletePolicy DetachPolicy DisablePolicyType EnablePolicyType InviteAccountToOrganization LeaveOrganization MoveAccount RemoveAccountFromOrganization UpdatePolicy UpdateOrganizationalUnit" / " " | map({(.): 1}) | add) as $organization
| reduce (inputs | .Records[]) as $r ({};
    ($r.eventName) as $name | ($r.eventSource) as $from | ($r.errorCode // "") as $error
    | if ($error | endswith("UnauthorizedOperation") or startswith("AccessDenied"))
        and $r.sourceIPAddress != "delivery.logs.amazonaws.com" and $name != "HeadBucket"
      then .unauthorized_api_calls += 1 else . end
    | if $name == "ConsoleLogin" and $r.additionalEventData.MFAUsed != null
        and $r.additionalEventData.MFAUsed != "Yes" and $r.userIdentity.type == "IAMUser"
        and $r.responseElements.ConsoleLogin == "Success"
      then .console_signin_without_mfa += 1 else . end
    | if $r.userIdentity.type == "Root" and ($r.userIdentity | has("invokedBy") | not)
        and $r.eventType != "AwsServiceEvent"
      then .root_usage += 1 else . end
    | if $from == "iam.amazonaws.com" and $iam[$name] then .iam_policy_changes += 1 else . end
    | if $trail[$name] then .cloudtrail_changes += 1 else . end
    | if $name == "ConsoleLogin" and $r.errorMessage == "Failed authentication"
      then .console_authentication_failures += 1 else . end
    | if $from == "kms.amazonaws.com" and ($name == "DisableKey" or $name == "ScheduleKeyDeletion")
      then .cmk_disabled += 1 else . end
    | if $from == "s3.amazonaws.com" and $bucket[$name]
      then .bucket_policy_changes += 1 else . end
    | if $from == "config.amazonaws.com" and $config[$name] then .config_changes += 1 else . end
    | if $group[$name] then .security_group_changes += 1 else . end
    | if $nacl[$name] then .nacl_changes += 1 else . end
    | if $gateway[$name] then .gateway_changes += 1 else . end
    | if $from == "ec2.amazonaws.com" and $route[$name] then .route_changes += 1 else . end
    | if $vpc[$name] then .vpc_changes += 1 else . end
    | if $from == "organizations.amazonaws.com" and $organization[$name]
      then .organization_changes += 1 else . end
    | if $from == "secretsmanager.amazonaws.com" and $name == "GetSecretValue"
        and ($r | has("errorCode") | not)
      then .secrets_read += 1 else . end)
