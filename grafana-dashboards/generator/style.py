"""Common style of all dashboards: colours, thresholds, value mappings, names."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

GREEN: Final = "green"
YELLOW: Final = "yellow"
ORANGE: Final = "orange"
RED: Final = "red"
BLUE: Final = "blue"
GREY: Final = "text"

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


def severity_texts() -> models.ValueMap:
    """Severities in their colours."""
    return texts({name: (name, color) for name, color in SEVERITIES.items()})


def alert_texts() -> models.ValueMap:
    """Severities of alerts in their colours."""
    return texts(
        {"critical": ("critical", RED), "warning": ("warning", ORANGE), "info": ("info", BLUE)}
    )
