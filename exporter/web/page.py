"""The status page and its rules' pages as HTML, without JavaScript and other resources."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from exporter.web.console import event_link
from exporter.web.humanize import duration, exact, iso, relative, short, size
from exporter.web.rule_list import ALL_RULES, SEVERITIES, Selection, notes, severities
from exporter.web.status import MatchStatus, PartitionStatus, RuleStatus, StatusPage
from exporter.yamlfile.problems import plural

_TEMPLATES = Path(__file__).parent / "templates"
_STYLE = (_TEMPLATES / "status.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Allows only the page's own style sheet, icon and form."""


def render(
    page: StatusPage,
    *,
    telemetry_path: str,
    refresh: int | None = None,
    selection: Selection = ALL_RULES,
) -> bytes:
    """Return the page as HTML in UTF-8; ``refresh`` is the interval of its reloads in seconds."""
    return _html(
        "status.html",
        page=page,
        rules=selection.apply(page.rules),
        selection=selection,
        severities=severities(page.rules),
        telemetry_path=telemetry_path,
        refresh=refresh,
    )


def render_rule(page: StatusPage, rule: RuleStatus, matches: Sequence[MatchStatus]) -> bytes:
    """Return the page of a rule, with its last matches, as HTML in UTF-8."""
    return _html("rule.html", page=page, rule=rule, matches=matches, refresh=None)


def _html(template: str, **facts: object) -> bytes:
    style = Markup(_STYLE)  # noqa: S704 - the style sheet is ours
    html = _ENVIRONMENT.get_template(template).render(style=style, **facts)
    # UTF-8 cannot encode a lone surrogate, which a log group's or file's name can contain.
    return html.encode("utf-8", errors="replace")


def _in_words(partitions: Sequence[PartitionStatus]) -> str:
    """Return the number of partitions in each state: ``2 failing, 30 ok``."""
    counts = Counter[str](partition.state for partition in partitions)
    states = [state for state in ("failing", "waiting", "ok") if counts[state]]
    return ", ".join(f"{counts[state]:,} {state}" for state in states)


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
        notes=notes,
        known_severity=lambda text: text.lower() if text.lower() in SEVERITIES else "",
        event_link=event_link,
    )
    return environment


_ENVIRONMENT = _environment()
