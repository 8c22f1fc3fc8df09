"""Pages as prometheus_client's parsers read them."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

Sample = tuple[str, tuple[tuple[str, str], ...], float]
"""A sample's name, its labels in order of their names, its value."""


def read_samples(text: str, *, openmetrics: bool) -> list[Sample]:
    """The samples of a page without its end; ValueError if it breaks the format."""
    # A page is always UTF-8.
    text = text.encode("utf-8").decode("utf-8")
    families = (
        parse_openmetrics(text + "# EOF\n")  # type: ignore[no-untyped-call]
        if openmetrics
        else parse_text(text)
    )
    return [
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]
