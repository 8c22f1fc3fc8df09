"""Common style of all dashboards: colours, thresholds, value mappings, names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

GREEN: Final = "green"
YELLOW: Final = "yellow"
ORANGE: Final = "orange"
RED: Final = "red"
BLUE: Final = "blue"
GREY: Final = "text"

LINES: Final = (
    *("#7EB26D", "#E24D42", "#1F78C1", "#EAB839", "#BA43A9", "#6ED0E0", "#EF843C", "#705DA0"),
    *("#967302", "#F9BFD9", "#3F6833", "#B7B7B7"),
)
"""Of lines that a panel names: neighbours differ in hue, and the rest in brightness."""

SEVERITIES: Final = {
    "critical": "red",
    "high": "orange",
    "medium": "yellow",
    "low": "blue",
    "info": "green",
}

Steps = tuple[tuple[float | None, str], ...]
"""Thresholds: the colour from a value on; the first has no value."""

PLAIN: Final[Steps] = ((None, BLUE),)
GOOD: Final[Steps] = ((None, GREEN),)
ANY_IS_BAD: Final[Steps] = ((None, GREEN), (0.5, RED))
ANY_IS_A_WARNING: Final[Steps] = ((None, GREEN), (0.5, ORANGE))


def thresholds(steps: Steps) -> builders.ThresholdsConfig:
    """Thresholds in the unit of the panel."""
    return (
        builders.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value, color) for value, color in steps])
    )


def texts(values: dict[str, tuple[str, str]]) -> models.ValueMap:
    """Values shown as a text in a colour: ``texts({"1": ("up", GREEN)})``."""
    return models.ValueMap(
        {
            value: models.ValueMappingResult(text=text, color=color, index=index)
            for index, (value, (text, color)) in enumerate(values.items())
        }
    )


def distinct(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name."""
    return dict(zip(names, LINES, strict=False))


def severity_texts() -> models.ValueMap:
    """Severities in their colours."""
    return texts({name: (name, color) for name, color in SEVERITIES.items()})


def alert_texts() -> models.ValueMap:
    """Severities of alerts in their colours."""
    return texts(
        {"critical": ("critical", RED), "warning": ("warning", ORANGE), "info": ("info", BLUE)}
    )
