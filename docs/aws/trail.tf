# A trail with its bucket and key, for the source trail_bucket. To list the bucket, nothing else is needed; for a
# queue of its new objects, see trail-queue.tf.
#
#   terraform apply -var bucket=example-trail -var organization_id=o-exampleorg1
#
#   sources:
#     - name: trail
#       type: trail_bucket
#       bucket: example-trail

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "bucket" {
  description = "Name of the bucket."
  type        = string
}

variable "name" {
  description = "Name of the trail, and of the key's alias."
  type        = string
  default     = "trail"
}

variable "organization_id" {
  description = "For an organization trail: the organization. Needs the management account."
  type        = string
  default     = ""
}

variable "data_events" {
  description = "Whether data events of S3 are recorded, except those of the trail's own bucket. They cost money."
  type        = bool
  default     = false
}

variable "reader_role_arn" {
  description = "The exporter's role, if it is in another account than the bucket."
  type        = string
  default     = ""
}

variable "keep_days" {
  description = "Days after which objects are deleted."
  type        = number
  default     = 365
}

data "aws_caller_identity" "this" {}
data "aws_region" "this" {}
data "aws_partition" "this" {}

locals {
  account    = data.aws_caller_identity.this.account_id
  partition  = data.aws_partition.this.partition
  bucket_arn = "arn:${local.partition}:s3:::${var.bucket}"
  trail_arn  = "arn:${local.partition}:cloudtrail:${data.aws_region.this.name}:${local.account}:trail/${var.name}"
  folders    = compact([local.account, var.organization_id])
  # For a reader in another account; in the bucket's account, the role's policy is enough.
  reader = var.reader_role_arn == "" ? [] : [var.reader_role_arn]
}

resource "aws_kms_key" "trail" {
  description         = "Objects of the trail ${var.name}"
  enable_key_rotation = true
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "Account"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "CloudTrailEncrypts"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = ["kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn } }
      }
      ], [for role in local.reader : {
        Sid       = "TheExporterDecrypts"
        Effect    = "Allow"
        Principal = { AWS = role }
        Action    = "kms:Decrypt"
        Resource  = "*"
    }])
  })
}

resource "aws_kms_alias" "trail" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.trail.key_id
}

resource "aws_s3_bucket" "trail" {
  bucket = var.bucket
}

resource "aws_s3_bucket_public_access_block" "trail" {
  bucket                  = aws_s3_bucket.trail.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "trail" {
  bucket = aws_s3_bucket.trail.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.trail.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "trail" {
  bucket = aws_s3_bucket.trail.id
  rule {
    id     = "expire"
    status = "Enabled"
    filter {}
    expiration {
      days = var.keep_days
    }
  }
}

# For trail-queue.tf.
resource "aws_s3_bucket_notification" "trail" {
  bucket      = aws_s3_bucket.trail.id
  eventbridge = true
}

resource "aws_s3_bucket_policy" "trail" {
  bucket = aws_s3_bucket.trail.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "CloudTrailLooks"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:GetBucketAcl"
        Resource  = local.bucket_arn
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn } }
      },
      {
        Sid       = "CloudTrailWrites"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = [for folder in local.folders : "${local.bucket_arn}/AWSLogs/${folder}/*"]
        Condition = { StringEquals = {
          "aws:SourceArn" = local.trail_arn
          "s3:x-amz-acl"  = "bucket-owner-full-control"
        } }
      }
      ], [for role in local.reader : {
        Sid       = "TheExporterReads"
        Effect    = "Allow"
        Principal = { AWS = role }
        Action    = "s3:GetObject"
        Resource  = "${local.bucket_arn}/AWSLogs/*"
      }], [for role in local.reader : {
        Sid       = "TheExporterLists"
        Effect    = "Allow"
        Principal = { AWS = role }
        Action    = "s3:ListBucket"
        Resource  = local.bucket_arn
    }])
  })
}

resource "aws_cloudtrail" "trail" {
  name                          = var.name
  s3_bucket_name                = aws_s3_bucket.trail.id
  kms_key_id                    = aws_kms_key.trail.arn
  is_multi_region_trail         = true
  is_organization_trail         = var.organization_id != ""
  include_global_service_events = true
  enable_log_file_validation    = true

  advanced_event_selector {
    name = "Management events"
    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
  }

  dynamic "advanced_event_selector" {
    for_each = var.data_events ? ["S3 objects, without those of the trail"] : []
    content {
      name = advanced_event_selector.value
      field_selector {
        field  = "eventCategory"
        equals = ["Data"]
      }
      field_selector {
        field  = "resources.type"
        equals = ["AWS::S3::Object"]
      }
      field_selector {
        field           = "resources.ARN"
        not_starts_with = ["${local.bucket_arn}/"]
      }
    }
  }

  depends_on = [aws_s3_bucket_policy.trail]
}

output "bucket" {
  value = aws_s3_bucket.trail.id
}

output "key_arn" {
  value = aws_kms_key.trail.arn
}
