"""The text formats' details: content types by negotiation, escaping, numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.openmetrics.exposition import ALLOWUTF8, UNDERSCORES, VALUES

from exporter.model import Labels

_OPENMETRICS: Final = "application/openmetrics-text"
_PLAIN: Final = "text/plain"
_LABEL: Final = re.compile(r'([^="{}, ]+)="((?:[^"\\]|\\.)*)",?', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TextFormat:
    """The format of a page."""

    openmetrics: bool
    content_type: str


PLAIN: Final = TextFormat(False, "text/plain; version=0.0.4; charset=utf-8")
"""Prometheus' text format 0.0.4."""
OPENMETRICS: Final = TextFormat(True, f"{_OPENMETRICS}; version=1.0.0; charset=utf-8")
"""OpenMetrics 1.0."""


def negotiate(accept: str | None) -> TextFormat:
    """The format that a client's Accept header requests; 0.0.4 if it names no supported one."""
    best, best_quality = PLAIN, 0.0
    for media_type, parameters, quality in _parts(accept):
        found = _format_of(media_type, parameters)
        # Of equals the first: Prometheus lists them in the order of its preference.
        if found is not None and quality > best_quality:
            best, best_quality = found, quality
    return best


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether a client's Accept-Encoding header allows gzip."""
    qualities = {name: quality for name, _, quality in _parts(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def labels_text(labels: Labels) -> str:
    """``{name="value",…}``, or nothing if there are no labels."""
    if not labels:
        return ""
    text = ",".join([f'{name}="{value}"' for name, value in labels])
    # One look at all values: hardly any needs escaping.
    if "\\" in text or "\n" in text or text.count('"') != 2 * len(labels) or not text.isascii():
        text = ",".join([f'{name}="{escape_value(value)}"' for name, value in labels])
    return "{" + text + "}"


def escape_value(value: str) -> str:
    """A label value that UTF-8 can encode, escaped for the quotes."""
    return escaped(encodable(value))


def escaped(value: str) -> str:
    """A label value, escaped for the quotes."""
    if "\\" in value or "\n" in value or '"' in value:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return value


def label_value(line: str, label: str) -> str | None:
    """The value of a label in a sample's line; None if the line does not have it."""
    position = line.find("{") + 1
    while position and (found := _LABEL.match(line, position)):
        if found[1] == label:
            return _ESCAPED.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], found[2])
        position = found.end()
    return None


def escape_help(text: str, *, openmetrics: bool) -> str:
    """A help text in one line; OpenMetrics escapes its quotes too."""
    text = encodable(text).replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if openmetrics else text


def encodable(text: str) -> str:
    r"""The text with lone surrogates written out (``\ud800``): UTF-8 has no bytes for them."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def number(value: float) -> str:
    """A sample's value, exact and as short as can be."""
    if value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def seconds(milliseconds: int) -> str:
    """A point in time as the formats write it."""
    return f"{milliseconds / 1000:.3f}"


def _format_of(media_type: str, parameters: dict[str, str]) -> TextFormat | None:
    version = parameters.get("version", "")
    # Names are plain here, so these three ways of escaping write the same page; a client that
    # requests another (dots) learns that it got underscores.
    escaping = parameters.get("escaping", UNDERSCORES)
    suffix = f"; escaping={escaping if escaping in (ALLOWUTF8, VALUES) else UNDERSCORES}"
    if media_type in (_OPENMETRICS, "application/*"):
        if version == "0.0.1":
            return TextFormat(True, f"{_OPENMETRICS}; version=0.0.1; charset=utf-8")
        if not version:
            return OPENMETRICS
        if version.split(".")[0] == "1":
            content_type = OPENMETRICS.content_type
            return TextFormat(
                True, content_type + suffix if "escaping" in parameters else content_type
            )
        return None
    if media_type == _PLAIN and version.split(".")[0] == "1":
        return TextFormat(False, f"{_PLAIN}; version=1.0.0; charset=utf-8{suffix}")
    if media_type == _PLAIN and version not in ("", "0.0.4"):
        return None
    return PLAIN if media_type in (_PLAIN, "text/*", "*/*") else None


def _parts(header: str | None) -> Iterator[tuple[str, dict[str, str], float]]:
    for part in (header or "").split(","):
        name, *rest = (word.strip() for word in part.split(";"))
        pairs = (word.partition("=") for word in rest)
        parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        if name:
            yield name.lower(), parameters, quality
