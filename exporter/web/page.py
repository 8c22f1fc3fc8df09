"""The status page as HTML: works without JavaScript and loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from exporter.web import humanize
from exporter.web.status import PartitionStatus, RuleStatus, SourceStatus, StatusPage

_TEMPLATES = Path(__file__).parent / "templates"
_STYLE = (_TEMPLATES / "status.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Allows the page its own style sheet and icon, and nothing else."""

SEVERITIES = frozenset({"critical", "high", "medium", "low", "info"})
"""Those with a colour."""

PARTITIONS_SHOWN = 12
FAILING_PARTITIONS_SHOWN = 50
RULES_SHOWN = 50
"""Rows of a table that are open at first; the rest is folded away."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns a source's table of partitions has."""

    account: bool
    resource: str
    """The heading of the resources' column; empty if there is none."""

    @property
    def count(self) -> int:
        """How many there are in all."""
        return 6 + 2 * self.account + bool(self.resource)


@dataclass(frozen=True, slots=True)
class Section:
    """A source's part of the page."""

    anchor: str
    source: SourceStatus
    columns: Columns
    visible: Sequence[PartitionStatus]
    hidden: Sequence[PartitionStatus]

    @property
    def summary(self) -> str:
        """How its partitions are, in a few words."""
        return _in_words(self.source.partitions) or self.source.state

    @property
    def hidden_words(self) -> str:
        """What is folded away."""
        states = {partition.state for partition in self.hidden}
        words = f"all {states.pop()}" if len(states) == 1 else _in_words(self.hidden)
        return f"{len(self.hidden):,} more: {words}"

    @property
    def failing_words(self) -> str:
        """What of it fails."""
        failing = len(self.source.in_state("failing"))
        words = []
        if failing:
            of = humanize.plural(len(self.source.partitions), "partition")
            words.append(f"{failing:,} of {of}")
        if self.source.failures:
            words.append(
                f"discovery fails in {humanize.plural(len(self.source.failures), 'place')}"
            )
        return ", ".join(words)


def render(page: StatusPage, *, telemetry_path: str, refresh: int | None = None) -> bytes:
    """Return the page as HTML in UTF-8; ``refresh``: seconds after which it loads itself again."""
    rules = sorted(page.rules, key=_rule_order)
    html = _ENVIRONMENT.get_template("status.html").render(
        page=page,
        badge=_badge(page),
        trouble=_trouble(page),
        sections=[_section(number, source) for number, source in enumerate(page.sources)],
        rules=rules[:RULES_SHOWN],
        more_rules=rules[RULES_SHOWN:],
        telemetry_path=telemetry_path,
        refresh=refresh,
        style=Markup(_STYLE),  # noqa: S704 - the style sheet is ours
        **_totals(page),
    )
    # A lone surrogate, which a log group's or file's name can hold, has no form in UTF-8.
    return html.encode("utf-8", errors="replace")


def _totals(page: StatusPage) -> dict[str, Any]:
    failing = sum(source.state == "failing" for source in page.sources)
    matched = sum(rule.matches > 0 for rule in page.rules)
    latest = max((rule.last_match for rule in page.rules if rule.last_match), default=None)
    overflowed = sum(rule.overflowed > 0 for rule in page.rules)
    return {
        "events": sum(partition.events for partition in page.partitions),
        "matches": sum(rule.matches for rule in page.rules),
        "series": sum(rule.series for rule in page.rules),
        "source_note": f"{failing:,} failing" if failing else "none failing",
        "partition_note": _in_words(page.partitions) or "none found",
        "rule_note": f"{matched:,} matched",
        "match_note": _match_note(page, latest),
        "series_note": (
            f"{humanize.plural(overflowed, 'rule')} overflowing" if overflowed else "no overflow"
        ),
    }


def _match_note(page: StatusPage, latest: datetime | None) -> str:
    if latest is not None:
        return f"last {humanize.relative(latest, page.now)}"
    # A line of a file tells no time.
    return "at unknown times" if any(rule.matches for rule in page.rules) else "none yet"


def _badge(page: StatusPage) -> str:
    if page.ledger.problem:
        return "Ledger failing"
    if page.failures:
        return f"{page.failures:,} failing"
    if page.reload.errors:
        return "Reload failed"
    return "All is well" if page.ready else "Starting"


def _trouble(page: StatusPage) -> str:
    failing, looks = page.count("failing"), sum(len(source.failures) for source in page.sources)
    parts = []
    if failing:
        parts.append(f"{humanize.plural(failing, 'partition')} cannot be read")
    if looks:
        parts.append(f"{humanize.plural(looks, 'place')} cannot be searched for partitions")
    return ", ".join(parts)


def _in_words(partitions: Sequence[PartitionStatus]) -> str:
    counts = {
        state: sum(partition.state == state for partition in partitions)
        for state in ("failing", "waiting", "ok")
    }
    return ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)


def _section(number: int, source: SourceStatus) -> Section:
    failing = source.in_state("failing")
    ordered = [*failing, *source.in_state("waiting"), *source.in_state("ok")]
    shown = max(PARTITIONS_SHOWN, min(len(failing), FAILING_PARTITIONS_SHOWN))
    columns = Columns(
        account=any(partition.account_id or partition.region for partition in ordered),
        resource=source.resource if any(row.resource for row in ordered) else "",
    )
    return Section(f"source-{number}", source, columns, ordered[:shown], ordered[shown:])


def _rule_order(rule: RuleStatus) -> tuple[bool, float, str]:
    """First what needs a look, then what matched last, then the quiet ones by name."""
    latest = rule.last_match.timestamp() if rule.last_match else 0.0
    return not _notes(rule), -latest, rule.name


def _notes(rule: RuleStatus) -> list[str]:
    """Return what the user of a rule should know or do, a sentence each."""
    notes = []
    if rule.overflowed:
        notes.append(
            f"{humanize.plural(rule.overflowed, 'increment')} went to the overflow series: the rule"
            f" has its {rule.max_series:,} series. Totals stay exact; raise max_series, or use"
            " labels with fewer values."
        )
    if rule.value_errors:
        matches = "1 match" if rule.value_errors == 1 else f"{rule.value_errors:,} matches"
        notes.append(
            f"{matches} had no usable value (missing, not a number, negative"
            " or too large) and added nothing to the metric."
        )
    return [*notes, *rule.warnings]


def _folded(rule: RuleStatus) -> str:
    """Return what of a rule is folded away, in a few words."""
    parts = ["pattern"] if rule.description else []
    parts += ["what to do"] if rule.remediation else []
    return (" and ".join(parts) or "controls").capitalize()


def _short(count: float) -> str:
    """Return a number in at most four digits: ``1,234`` and ``12.3k``, ``4.56M``."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if count >= size:
            return f"{count / size:.3g}{unit}" if count < 1000 * size else f"{count:.2e}"
    return f"{count / 1000:.3g}k" if count >= 100_000 else f"{count:,.0f}"


def _used(rule: RuleStatus, width: int) -> float:
    return round(min(1.0, rule.series / max(1, rule.max_series)) * width, 1)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=humanize.duration,
        relative=humanize.relative,
        exact=humanize.exact,
        iso=humanize.iso,
        size=humanize.size,
        plural=humanize.plural,
        number=lambda count: f"{count:,}",
        short=_short,
        notes=_notes,
        folded=_folded,
        used=_used,
        known_severity=lambda severity: severity.lower() if severity.lower() in SEVERITIES else "",
    )
    return environment


_ENVIRONMENT = _environment()
