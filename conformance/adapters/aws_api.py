"""Lets score.py ask an AWS API: CloudWatch Logs' TestMetricFilter, of an emulator or of AWS.

    python conformance/score.py --command \
        'python conformance/adapters/aws_api.py --endpoint-url http://127.0.0.1:4566'

Without ``--endpoint-url`` it asks AWS itself, with the environment's credentials: about 1,800
calls at AWS's five a second, about six minutes. An example of an adapter: it needs boto3 and
nothing of the exporter.
"""

from __future__ import annotations

import argparse
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def main() -> None:
    """Answer questions on standard input until it ends."""
    parser = argparse.ArgumentParser(description="An adapter for conformance/score.py.")
    parser.add_argument("--endpoint-url", help="where the emulator listens (default: AWS)")
    parser.add_argument("--region", default="us-east-1")
    options = parser.parse_args()
    # Throttled calls are retried, at the rate that the endpoint allows.
    config = Config(retries={"mode": "adaptive", "max_attempts": 10})
    logs = boto3.client(
        "logs", region_name=options.region, endpoint_url=options.endpoint_url, config=config
    )
    for line in sys.stdin:
        question = json.loads(line)
        try:
            matches = logs.test_metric_filter(
                filterPattern=question["pattern"], logEventMessages=[question["message"]]
            )["matches"]
        except ClientError as error:
            refused = error.response["Error"]["Code"] == "InvalidParameterException"
            answer: dict[str, object] = {"valid": False} if refused else {"error": str(error)}
        else:
            extract = matches[0].get("extractedValues", {}) if matches else {}
            answer = {"valid": True, "match": bool(matches), "extract": extract}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
