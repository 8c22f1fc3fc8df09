"""100 accounts of an organization in 17 regions: at most 15 s of CPU to start, and 300 MB.

    python -m bench.accounts [--accounts 100] [--seconds 60]

The real exporter finds the accounts of an organization in the embedded AWS, assumes a role in
each, and reads the event history of every enabled region. The start ends when each of the 1,700
partitions was read once; after it, the CPU time of a minute is measured. The exit code is 1 if a
bound is broken.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from pathlib import Path

import yaml
from moto.backends import get_backend

from bench.measuring import table
from metric_filter_demo.aws import DEFAULT_ACCOUNT, EmbeddedAws
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

CPU_SECONDS = 15.0
MEGABYTES = 300.0
REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
    *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
    *("ap-south-1", "ap-southeast-1", "ap-southeast-2"),
)
CONFIGURATION = {
    "sources": [
        {
            **{"name": "history", "type": "event_history", "regions": "all"},
            "organization": {"role_name": "reader", "exclude": [DEFAULT_ACCOUNT]},
        }
    ],
    "rules": [{"name": "logins", "pattern": "{ $.eventName = ConsoleLogin }"}],
}


def join(aws: EmbeddedAws, accounts: int) -> None:
    """Make an organization with so many accounts, each with a role and all regions."""
    organizations = get_backend("organizations")[DEFAULT_ACCOUNT]["aws"]
    organizations.create_organization("us-east-1", FeatureSet="ALL")
    for number in range(accounts):
        made = organizations.create_account(AccountName=f"a{number}", Email=f"{number}@aws.test")
        account = made["CreateAccountStatus"]["AccountId"]
        aws.accounts.role_create(f"arn:aws:iam::{account}:role/reader")
        aws.accounts.enable_regions(account, REGIONS)


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_megabytes(pid: int) -> float:
    """The largest resident set of a process so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) * 1024 / 1e6


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    partitions = options.accounts * len(REGIONS)
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedAws(quotas={"LookupEvents": math.inf}) as aws,
    ):
        join(aws, options.accounts)
        configuration = Path(folder) / "exporter.yaml"
        configuration.write_text(yaml.safe_dump(CONFIGURATION))
        began = time.monotonic()
        exporter = Exporter(configuration, Path(folder) / "data", environment=aws.environment())
        with exporter:
            wait_for(
                "every partition to be read",
                lambda: aws.calls.count("LookupEvents") >= partitions,
                timeout=600,
            )
            took = time.monotonic() - began
            start, calls = cpu_seconds(exporter.pid), aws.calls.count("LookupEvents")
            time.sleep(options.seconds)
            minute = (cpu_seconds(exporter.pid) - start) / options.seconds * 60
            polled = (aws.calls.count("LookupEvents") - calls) / options.seconds * 60
            peak = peak_megabytes(exporter.pid)
            roles = aws.calls.count("AssumeRole")
            exporter.terminate()
    head = ("partitions", "roles", "CPU s to start (15)", "s", "MB (300)", "calls/min", "CPU s/min")
    rows = [
        (
            *(f"{partitions:,}", f"{roles:,}", f"{start:.1f}", f"{took:.0f}"),
            *(f"{peak:.0f}", f"{polled:.0f}", f"{minute:.1f}"),
        )
    ]
    print(table(head, rows))
    return int(start > CPU_SECONDS or peak > MEGABYTES or roles != options.accounts)


if __name__ == "__main__":
    sys.exit(main())
