# The role of member-role.yaml in every account of an organization, also in those that join later. Apply it in the
# management account, or where StackSets are delegated to:
#
#   terraform apply -var exporter_role_arn=arn:aws:iam::…:role/metric-filter-exporter \
#     -var organization_id=o-… -var root_id=r-… -var external_id=…

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "exporter_role_arn" {
  description = "The role of the exporter."
  type        = string
}

variable "organization_id" {
  description = "The organization that the exporter's account is in."
  type        = string
}

variable "root_id" {
  description = "The root, or an organizational unit, whose accounts get the role."
  type        = string
}

variable "external_id" {
  description = "The external id that the exporter's source names."
  type        = string
  sensitive   = true
}

resource "aws_cloudformation_stack_set" "role" {
  name             = "metric-filter-exporter"
  description      = "Lets metric-filter-exporter read event history"
  template_body    = file("${path.module}/member-role.yaml")
  capabilities     = ["CAPABILITY_NAMED_IAM"]
  permission_model = "SERVICE_MANAGED"

  parameters = {
    ExporterRoleArn = var.exporter_role_arn
    OrganizationId  = var.organization_id
    ExternalId      = var.external_id
  }

  auto_deployment {
    enabled                          = true
    retain_stacks_on_account_removal = false
  }

  lifecycle {
    ignore_changes = [administration_role_arn]
  }
}

resource "aws_cloudformation_stack_set_instance" "role" {
  stack_set_name = aws_cloudformation_stack_set.role.name

  deployment_targets {
    organizational_unit_ids = [var.root_id]
  }
}
