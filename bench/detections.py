"""What the packs and alerts detect: attacks, a root session, and a quiet day on a real Prometheus.

    python -m bench.detections [attacks] [quiet] [--seed 1] [--write]

For each scenario of tests/attacks: whether rules match and which alerts fire. For the quiet day,
in an account with 14 days of history and in one without: how often someone is notified. ``--write``
puts the figures into docs/detections.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.support.attacks import runs
from tests.support.attacks.judged import SEVERITIES, Fired, notifications
from tests.support.attacks.scenarios import scenarios
from tests.support.tools import ROOT, PrometheusBinaries

_PAGE: Final = ROOT / "docs" / "detections.md"
_BEGIN: Final = "<!-- python -m bench.detections --write -->"
_END: Final = "<!-- end -->"


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["attacks", "quiet"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    binaries = PrometheusBinaries.find("3")
    lines: list[str] = []
    for what, measure in (("attacks", _attacks), ("quiet", _quiet)):
        if what in options.what:
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                lines += measure(binaries, Path(folder), options.seed)
            print(f"{what}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    print("\n".join(lines))
    if options.write:
        before, _, rest = _PAGE.read_text().partition(_BEGIN)
        after = rest.partition(_END)[2]
        _PAGE.write_text("\n".join([before + _BEGIN, *lines, _END + after]))
    return 0


def _attacks(binaries: PrometheusBinaries, folder: Path, _: int) -> list[str]:
    attacks = scenarios()
    outcome = runs.short_run(binaries, folder, attacks)
    detected = alerted = expected = 0
    for one in attacks:
        rules = sorted(outcome.matched.get(one.account, ()))
        fired = outcome.of(one.account)
        loud = outcome.loud(one.account)
        detected += bool(rules)
        alerted += bool(loud)
        expected += one.expects(loud)
        verdict = "ok" if one.expects(loud) else "other alert" if loud else "no alert"
        print(
            f"{verdict:11} {'/'.join(one.attack):20} {one.name}: {', '.join(sorted(loud)) or '-'}"
            f" ({len(fired)} series, {_counted(fired)})"
            + ("" if one.expects(loud) else f"; expected {', '.join(sorted(one.alerts))}; {rules}")
        )
    root = [one for one in outcome.of(runs.ROOT) if one.severity != "info"]
    for alert in root:
        print(f"root session: {alert.severity} {alert.alert} {dict(alert.labels)}")
    total = len(attacks)
    return [
        "",
        "| Attacks | |",
        "| --- | --- |",
        f"| scenarios | {total} |",
        f"| a rule matches | {detected} |",
        f"| an alert of severity warning or critical fires | {alerted} |",
        f"| the alert that is expected fires | {expected} |",
        f"| alerts of a session as root, 126 events: series | {len(root)} |",
        "",
    ]


def _quiet(binaries: PrometheusBinaries, folder: Path, seed: int) -> list[str]:
    outcome = runs.quiet_run(binaries, folder, seed=seed)
    days = {"any day": runs.ANY_DAY, "the first day": runs.FIRST_DAY}
    lines = [
        "",
        f"| Notifications of the quiet day | {' | '.join(SEVERITIES)} |",
        f"| --- |{' --- |' * len(SEVERITIES)}",
    ]
    for title, account in days.items():
        fired = outcome.of(account)
        counts = notifications(fired)
        for (severity, alert), number in sorted(counts.items()):
            some = [dict(f.labels) for f in fired if (f.severity, f.alert) == (severity, alert)]
            print(
                f"{title:14} {severity:9} {number:4} {alert} ({len(some)} series), e.g. {some[0]}"
            )
        sums = [sum(n for (s, _), n in counts.items() if s == severity) for severity in SEVERITIES]
        lines.append(f"| {title} | {' | '.join(map(str, sums))} |")
    return [*lines, ""]


def _counted(fired: Sequence[Fired]) -> str:
    counts = notifications(fired)
    pages = sum(number for (severity, _), number in counts.items() if severity == "critical")
    return f"{pages} pages, {sum(counts.values())} notifications"


if __name__ == "__main__":
    sys.exit(main())
