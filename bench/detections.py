"""What the packs and alerts detect: attacks, a root session, and a quiet day on a real Prometheus.

    python -m bench.detections [attacks] [quiet] [--seed 1] [--write]

For each scenario of tests/attacks: whether rules match and which alerts fire. For the quiet day, in
an account with 14 days of history and in one without: how many notifications there are. ``--write``
puts the figures into docs/detections.md. The exit code is 1 if an attack is missed or a day is not
quiet.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.support.attacks import runs
from tests.support.attacks.judged import SEVERITIES, notifications
from tests.support.attacks.quiet_day import day
from tests.support.attacks.scenarios import scenarios
from tests.support.tools import ROOT, PrometheusBinaries

_PAGE: Final = ROOT / "docs" / "detections.md"
_BEGIN: Final = "<!-- python -m bench.detections --write -->"
_END: Final = "<!-- end -->"


def main() -> int:
    """Print the figures; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", help="attacks, quiet; default: both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="into docs/detections.md")
    options = parser.parse_args()
    binaries = PrometheusBinaries.find("3")
    lines: list[str] = []
    missed: list[str] = []
    for what, measure in (("attacks", _attacks), ("quiet", _quiet)):
        if not options.what or options.write or what in options.what:
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                lines += measure(binaries, Path(folder), options.seed, missed)
            print(f"{what}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    print("\n".join(lines))
    if options.write:
        before, _, rest = _PAGE.read_text(encoding="utf-8").partition(_BEGIN)
        after = rest.partition(_END)[2]
        text = "\n".join([before + _BEGIN, "", *lines, _END + after])
        _PAGE.write_text(text, encoding="utf-8")
    for one in missed:
        print(f"missed: {one}", file=sys.stderr)
    return int(bool(missed))


def _attacks(binaries: PrometheusBinaries, folder: Path, _: int, missed: list[str]) -> list[str]:
    attacks = scenarios()
    outcome = runs.short_run(binaries, folder, attacks)
    detected = alerted = expected = paged_twice = 0
    for one in attacks:
        rules = sorted(outcome.matched.get(one.account, ()))
        fired, loud = outcome.of(one.account), outcome.loud(one.account)
        counts = notifications(fired)
        detected += bool(rules)
        alerted += bool(loud)
        expected += one.expects(loud)
        paged_twice += _sum(counts, "critical") > 1
        if one.expects(loud):
            verdict, why = "ok", ""
        else:
            verdict = "other alert" if loud else "no alert"
            why = f"; expected {', '.join(sorted(one.alerts)) or 'any'}; rules {rules}"
            missed.append(f"{one.name}: {verdict}")
        print(
            f"{verdict:11} {'/'.join(one.attack):20} {one.name}: {', '.join(sorted(loud)) or '-'}"
            f" ({len(fired)} series, {_sum(counts, 'critical')} pages,"
            f" {counts.total()} notifications){why}"
        )
    root = [alert for alert in outcome.of(runs.ROOT) if alert.severity != "info"]
    for alert in root:
        print(f"root session: {alert.severity} {alert.alert} {dict(alert.labels)}")
    if len(root) > runs.MOST_OF_ROOT:
        missed.append(f"the root session has {len(root)} series of alerts")
    techniques = {technique for one in attacks for technique in one.attack}
    return [
        "| Attacks | |",
        "| --- | --- |",
        f"| scenarios (ATT&CK techniques) | {len(attacks)} ({len(techniques)}) |",
        f"| a rule matches | {detected} |",
        f"| an alert of severity warning or critical fires | {alerted} |",
        f"| the alert that is expected fires | {expected} |",
        f"| more than one alert is critical | {paged_twice} |",
        f"| the root session: series of alerts of severity warning or critical | {len(root)} |",
        "",
    ]


def _quiet(binaries: PrometheusBinaries, folder: Path, seed: int, missed: list[str]) -> list[str]:
    outcome = runs.quiet_run(binaries, folder, seed=seed)
    events = len(day(runs.ANY_DAY, runs.START, seed=seed))
    days = {"any day": runs.ANY_DAY, "first day": runs.FIRST_DAY}
    fired = {title: outcome.of(account) for title, account in days.items()}
    counts = {title: notifications(of) for title, of in fired.items()}
    sums = [[_sum(of, severity) for of in counts.values()] for severity in SEVERITIES]
    rows = [(f"**{name}**", *of) for name, of in zip(SEVERITIES, sums, strict=True)]
    for severity, alert in sorted(set().union(*counts.values()), key=_by_severity):
        some = [one for of in fired.values() for one in of if one.is_of(severity, alert)]
        print(f"{severity:9} {alert}: {len(some)} series, e.g. {dict(some[0].labels)}")
        if severity != "info":
            rows.append((f"{severity}: {alert}", *(of[severity, alert] for of in counts.values())))
    criticals, warnings = sums[0][0], sums[1][0]
    if criticals or warnings > runs.MOST_WARNINGS:
        missed.append(f"any quiet day: {criticals} critical and {warnings} warning notifications")
    return [
        f"| Notifications of the quiet day ({events:,} events) | {' | '.join(days)} |",
        "| --- | --- | --- |",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
        "",
    ]


def _sum(counts: Counter[tuple[str, str]], severity: str) -> int:
    return sum(number for (own, _), number in counts.items() if own == severity)


def _by_severity(alert: tuple[str, str]) -> tuple[int, str]:
    return SEVERITIES.index(alert[0]), alert[1]


if __name__ == "__main__":
    sys.exit(main())
