"""Removes the models of services that the exporter never calls from an installed botocore.

This is for the image: they are four fifths of botocore and a third of everything that the image
adds to its base. The rest is enough for the exporter, and for all of botocore's credential
providers.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import botocore

SERVICES = frozenset(
    {"account", "cloudtrail", "iam", "logs", "organizations", "s3", "sns", "sqs", "sts"}
)
"""Services that the exporter reads, now or later."""
CREDENTIALS = frozenset({"signin", "sso", "sso-oidc", "sts"})
"""Services that botocore's credential providers call."""


def main() -> None:
    """Remove the models; files (endpoints, partitions, defaults) stay."""
    data = Path(botocore.__file__).parent / "data"
    for service in data.iterdir():
        if service.is_dir() and service.name not in SERVICES | CREDENTIALS:
            shutil.rmtree(service)


if __name__ == "__main__":
    main()
