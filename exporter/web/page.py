"""The status page as HTML; it needs no JavaScript and loads no other resources."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from exporter.web.humanize import duration, exact, iso, relative, short, size
from exporter.web.status import PartitionStatus, RuleStatus, StatusPage
from exporter.yamlfile.problems import plural

_TEMPLATES = Path(__file__).parent / "templates"
_STYLE = (_TEMPLATES / "status.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Allows only the page's own style sheet and icon."""

_SEVERITIES = frozenset({"critical", "high", "medium", "low", "info"})
"""The severities that have a colour."""


def render(page: StatusPage, *, telemetry_path: str, refresh: int | None = None) -> bytes:
    """Return the page as HTML in UTF-8; ``refresh`` is the interval of its reloads in seconds."""
    html = _ENVIRONMENT.get_template("status.html").render(
        page=page,
        rules=sorted(page.rules, key=_rule_order),
        telemetry_path=telemetry_path,
        refresh=refresh,
        style=Markup(_STYLE),  # noqa: S704 - the style sheet is ours
    )
    # UTF-8 cannot encode a lone surrogate, which a log group's or file's name can contain.
    return html.encode("utf-8", errors="replace")


def _in_words(partitions: Sequence[PartitionStatus]) -> str:
    """Return the number of partitions in each state: ``2 failing, 30 ok``."""
    counts = Counter[str](partition.state for partition in partitions)
    states = [state for state in ("failing", "waiting", "ok") if counts[state]]
    return ", ".join(f"{counts[state]:,} {state}" for state in states)


def _rule_order(rule: RuleStatus) -> tuple[bool, float, str]:
    """Sort rules with notes first, then by last match (latest first), then by name."""
    latest = rule.last_match.timestamp() if rule.last_match else 0.0
    return not _notes(rule), -latest, rule.name


def _notes(rule: RuleStatus) -> list[str]:
    """Return sentences for the author of a rule."""
    notes = []
    if rule.overflowed:
        notes.append(
            f"{plural(rule.overflowed, 'increment')} lost the values of unbounded labels, because"
            f" the rule already had {rule.max_series:,} series in the account. Totals stay exact."
            " Raise max_series, or use labels with fewer values."
        )
    if rule.value_errors:
        notes.append(
            f"{plural(rule.value_errors, 'match')} had no usable value (missing, not a number,"
            " negative or too large) and added nothing to the metric."
        )
    return [*notes, *rule.warnings]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (duration, relative, exact, iso, size, plural, short):
        environment.filters[function.__name__] = function
    environment.filters.update(
        number=lambda count: f"{count:,}",
        in_words=_in_words,
        notes=_notes,
        known_severity=lambda text: text.lower() if text.lower() in _SEVERITIES else "",
    )
    return environment


_ENVIRONMENT = _environment()
