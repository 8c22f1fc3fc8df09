"""Takes out of an installed botocore the models of services that the exporter never calls.

For the image: they are four fifths of botocore and a third of everything that the image adds to
its base. What is kept is enough for the exporter, and for each way to credentials that botocore
knows.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import botocore

SERVICES = frozenset({"cloudtrail", "logs", "organizations", "s3", "sns", "sqs", "sts"})
"""What the exporter reads from, or will."""
CREDENTIALS = frozenset({"signin", "sso", "sso-oidc", "sts"})
"""What botocore's own credential providers call."""


def main() -> None:
    """Remove the models; what is no folder (endpoints, partitions, defaults) stays."""
    data = Path(botocore.__file__).parent / "data"
    for service in data.iterdir():
        if service.is_dir() and service.name not in SERVICES | CREDENTIALS:
            shutil.rmtree(service)


if __name__ == "__main__":
    main()
