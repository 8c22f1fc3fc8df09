"""Roles by name, without botocore, which takes long to import."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exporter.model import SourceError

SESSION_NAME: Final = "metric-filter-exporter"
"""The default name of a role's sessions; the member account's CloudTrail shows it."""
_LONGEST: Final = 1224
"""AWS: characters of an external id."""


@dataclass(frozen=True, slots=True)
class ExternalId:
    """An external id, or the place to read it from whenever the role is assumed."""

    value: str = field(default="", repr=False)
    file: Path | None = None
    variable: str = ""

    def read(self) -> str:
        """The external id; raises SourceError, without the id."""
        if self.file is not None:
            try:
                with self.file.open(encoding="utf-8") as file:
                    found = file.read(_LONGEST + 2).strip()
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is not UTF-8"
                raise _no_external_id(f"the file {self.file}: {why}") from error
            place = f"the file {self.file}"
        elif self.variable:
            found, place = os.environ.get(self.variable, ""), f"the variable {self.variable}"
        else:
            return self.value
        if not found:
            raise _no_external_id(f"{place}, which is empty or missing")
        return found


def _no_external_id(why: str) -> SourceError:
    return SourceError(
        f"The external id of a role cannot be read from {why}; it is tried again.",
        reason="invalid_request",
    )


@dataclass(frozen=True, slots=True)
class Role:
    """A role, and the parameters with which it is assumed."""

    arn: str
    external_id: ExternalId | None = None
    session_name: str = SESSION_NAME

    @property
    def account_id(self) -> str:
        """The account that it is in."""
        return self.arn.split(":")[4]

    @property
    def name(self) -> str:
        """Its name, without its path."""
        return self.arn.rpartition("/")[2]
