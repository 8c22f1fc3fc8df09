"""An account with many management events a second, by the real exporter and AWS's real quota.

    python -m bench.busy_account [--rate 60] [--seconds 300] [--lookback 600]

The embedded AWS shows each event after CloudTrail's delay, and allows two calls a second. The
rules are the CIS pack. The lookback is shorter than the default, so that a run takes minutes. The
exit code is 1 if a count is not exact, if AWS throttles after the first minute, or if fresh events
are read later than two intervals.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import yaml

from bench.measuring import table
from bench.simulated_trail import ACCOUNT, REGION, Trail
from exporter.configuration import check
from metric_filter_demo.aws import EmbeddedAws
from tests.support.expositions import Exposition
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

_INTERVAL = 60.0
_MATCHES = "metric_filter_exporter_matches_total"
_READ_UP_TO = "metric_filter_exporter_partition_read_up_to_timestamp_seconds"


def patterns(configuration: Path) -> Mapping[str, str]:
    """The patterns of the rules by name."""
    checked = check([configuration]).configuration
    if checked is None:
        raise RuntimeError("the configuration is wrong")
    return {rule.name: rule.pattern for rule in checked.rules}


def counted(page: Exposition, rules: Mapping[str, str]) -> Counter[str]:
    """Matches by rule."""
    found = {rule: page.value(_MATCHES, rule=rule) or 0 for rule in rules}
    return +Counter({rule: round(matches) for rule, matches in found.items()})


def feed(aws: EmbeddedAws, trail: Trail, sent: int) -> int:
    """Record the events whose time has come; returns how many were by now."""
    now = time.time()
    while sent < len(trail.times) and trail.times[sent] <= now:
        record = json.loads(trail.record(sent).message)
        aws.record(ACCOUNT, REGION, record, visible_in=trail.visible[sent] - now)
        sent += 1
    return sent


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=60)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--lookback", type=float, default=600)
    options = parser.parse_args()
    source = {
        **{"name": "history", "type": "event_history", "regions": [REGION]},
        "lookback": f"{options.lookback:.0f}s",
    }
    with tempfile.TemporaryDirectory() as folder, EmbeddedAws() as aws:
        configuration = Path(folder) / "exporter.yaml"
        packs = {"sources": [source], "rule_packs": ["cis-aws-foundations"]}
        configuration.write_text(yaml.safe_dump(packs))
        rules = patterns(configuration)
        exporter = Exporter(configuration, Path(folder) / "data", environment=aws.environment())
        with exporter:
            exporter.wait_until_ready()
            trail = Trail(
                *(options.rate, time.time() + 2, options.seconds),
                latest=options.lookback - 2 * _INTERVAL,
            )
            expected = trail.expected(rules)
            began, sent, throttled = time.monotonic(), 0, 0
            behind: list[float] = []
            calls = -aws.calls.count("LookupEvents", outcome="ok")
            while time.monotonic() < began + options.seconds + 3:
                sent = feed(aws, trail, sent)
                now = time.monotonic() - began
                if now < 60:
                    throttled = aws.calls.count("LookupEvents", outcome="ThrottlingException")
                elif now >= 60 + 5 * len(behind):
                    read = exporter.scrape().value(_READ_UP_TO)
                    behind.append(time.time() - (read or 0))
                time.sleep(0.05)
            calls += aws.calls.count("LookupEvents", outcome="ok")
            with contextlib.suppress(AssertionError):  # the table says so
                wait_for(
                    "every event to be counted",
                    lambda: counted(exporter.scrape(), rules) == expected,
                    timeout=options.lookback * 1.5 + 120,
                )
            throttled = aws.calls.count("LookupEvents", outcome="ThrottlingException") - throttled
            found = counted(exporter.scrape(), rules)
            exporter.terminate()
    exact = found == expected
    head = (
        *("events/s", "lookback, s", "calls/s", "throttled", "freshness, s: median", "worst"),
        "counts",
    )
    row = (
        *(f"{options.rate:g}", f"{options.lookback:g}", f"{calls / options.seconds:.2f}"),
        *(throttled, f"{statistics.median(behind):.0f}", f"{max(behind):.0f}"),
        "exact" if exact else f"{found.total():,} of {expected.total():,}",
    )
    print(table(head, [row]))
    return int(not exact or throttled > 0 or max(behind) > 2 * _INTERVAL + 5)


if __name__ == "__main__":
    sys.exit(main())
