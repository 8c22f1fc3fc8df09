# A queue that names the new objects of a trail's bucket, for the source trail_bucket. The bucket must send its events to
# EventBridge (trail.tf's does):
#
#   aws s3api put-bucket-notification-configuration --bucket example-trail \
#     --notification-configuration '{"EventBridgeConfiguration": {}}'     # replaces those that it has
#   terraform apply -var bucket=example-trail
#
#   sources:
#     - name: trail
#       type: trail_bucket
#       queue_url: <output queue_url>
#       buckets: [example-trail]

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
  description = "The trail's bucket, in this account and region."
  type        = string
}

variable "name" {
  description = "Name of the rule and the queue."
  type        = string
  default     = "trail"
}

data "aws_caller_identity" "this" {}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "objects" {
  name                      = var.name
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 5
  })
}

resource "aws_sqs_queue_policy" "objects" {
  queue_url = aws_sqs_queue.objects.url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EventsOfTheRule"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.objects.arn
      Condition = {
        ArnEquals    = { "aws:SourceArn" = aws_cloudwatch_event_rule.objects.arn }
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id }
      }
    }]
  })
}

resource "aws_cloudwatch_event_rule" "objects" {
  name        = var.name
  description = "New objects of the trail in ${var.bucket}"
  event_pattern = jsonencode({
    source        = ["aws.s3"]
    "detail-type" = ["Object Created"]
    detail = {
      bucket = { name = [var.bucket] }
      object = { key = [
        { wildcard = "AWSLogs/*/CloudTrail/*.json.gz" },
        { wildcard = "AWSLogs/*/CloudTrail-NetworkActivity/*.json.gz" },
      ] }
    }
  })
}

resource "aws_cloudwatch_event_target" "objects" {
  rule = aws_cloudwatch_event_rule.objects.name
  arn  = aws_sqs_queue.objects.arn
}

output "queue_url" {
  value = aws_sqs_queue.objects.url
}
