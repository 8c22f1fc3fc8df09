# The exporter's role, with the policy that `metric-filter-exporter iam-policy` prints:
#
#   metric-filter-exporter iam-policy --config.file config.yaml --account 123456789012 > policy.json
#   terraform apply -var runs_on=ec2
#   terraform apply -var runs_on=pod-identity
#   terraform apply -var runs_on=irsa -var oidc_provider_arn=arn:aws:iam::…:oidc-provider/…

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "runs_on" {
  description = "Who takes the role: irsa or pod-identity (a service account on EKS), or ec2."
  type        = string

  validation {
    condition     = contains(["irsa", "pod-identity", "ec2"], var.runs_on)
    error_message = "runs_on is irsa, pod-identity or ec2."
  }
}

variable "policy_file" {
  description = "What `metric-filter-exporter iam-policy` printed."
  type        = string
  default     = "policy.json"
}

variable "name" {
  description = "Name of the role, and of the instance profile."
  type        = string
  default     = "metric-filter-exporter"
}

variable "oidc_provider_arn" {
  description = "For irsa: the cluster's IAM OIDC provider."
  type        = string
  default     = ""
}

variable "namespace" {
  description = "For irsa: the service account's namespace."
  type        = string
  default     = "monitoring"
}

variable "service_account" {
  description = "For irsa: the service account's name."
  type        = string
  default     = "metric-filter-exporter"
}

locals {
  # arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC → oidc.eks…/id/ABC
  issuer = try(split("oidc-provider/", var.oidc_provider_arn)[1], "")

  trust = {
    irsa = {
      Effect    = "Allow"
      Principal = { Federated = var.oidc_provider_arn }
      Action    = ["sts:AssumeRoleWithWebIdentity"]
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = "system:serviceaccount:${var.namespace}:${var.service_account}"
        }
      }
    }
    pod-identity = {
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
    }
    ec2 = {
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }
  }
}

resource "aws_iam_role" "exporter" {
  name        = var.name
  description = "Reads event history and log groups for metric-filter-exporter"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.trust[var.runs_on]]
  })

  lifecycle {
    precondition {
      condition     = var.runs_on != "irsa" || local.issuer != ""
      error_message = "irsa needs oidc_provider_arn."
    }
  }
}

resource "aws_iam_role_policy" "read" {
  name   = "read"
  role   = aws_iam_role.exporter.id
  policy = file(var.policy_file)
}

resource "aws_iam_instance_profile" "exporter" {
  count = var.runs_on == "ec2" ? 1 : 0
  name  = var.name
  role  = aws_iam_role.exporter.name
}

output "role_arn" {
  description = "For irsa: the annotation eks.amazonaws.com/role-arn of the service account."
  value       = aws_iam_role.exporter.arn
}
