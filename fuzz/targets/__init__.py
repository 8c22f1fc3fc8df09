"""The fuzz targets.

Each module has ``check(data)``, which turns bytes into inputs of one part of the exporter and
raises if an invariant is violated. Its own tests call it too (tests/fuzz/), so no module here needs
atheris.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

NAMES = (
    *("patterns", "files", "configuration", "web"),
    *("rules", "lines", "compiled", "negotiation"),
)

CORPUS = Path(__file__).parents[1] / "corpus"
"""A folder of seeds for each target; ``finding-…`` are inputs that once broke an invariant."""

DICTIONARIES = Path(__file__).parents[1] / "dictionaries"


def load(name: str) -> Callable[[bytes], None]:
    """The check of a target."""
    check: Callable[[bytes], None] = import_module(f"{__name__}.{name}").check
    return check


def seeds(name: str) -> list[Path]:
    """The seeds of a target that are kept in the repository."""
    return sorted((CORPUS / name).iterdir())
