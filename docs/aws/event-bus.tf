# A queue that an EventBridge rule feeds, for the source event_bus:
#
#   terraform apply -var state=ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS
#
#   sources:
#     - name: bus
#       type: event_bus
#       queue_url: <output queue_url>

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

variable "name" {
  description = "Name of the rule and the queue."
  type        = string
  default     = "metric-filter-exporter"
}

variable "state" {
  description = "State of the rule. ENABLED leaves out read-only management events."
  type        = string
  default     = "ENABLED"

  validation {
    condition     = contains(["ENABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"], var.state)
    error_message = "state is ENABLED or ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS."
  }
}

data "aws_caller_identity" "this" {}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "events" {
  name                      = var.name
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 5
  })
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EventsOfTheRule"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.events.arn
      Condition = {
        ArnEquals    = { "aws:SourceArn" = aws_cloudwatch_event_rule.events.arn }
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id }
      }
    }]
  })
}

resource "aws_cloudwatch_event_rule" "events" {
  name          = var.name
  description   = "Management events for the metric filter exporter"
  state         = var.state
  event_pattern = jsonencode({ "detail-type" = [{ suffix = "via CloudTrail" }] })
}

resource "aws_cloudwatch_event_target" "events" {
  rule = aws_cloudwatch_event_rule.events.name
  arn  = aws_sqs_queue.events.arn
}

output "queue_url" {
  value = aws_sqs_queue.events.url
}
