"""Options that select log groups: names, tags, and the names of centralized log groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final, TypeAlias

import re2
from pydantic import AfterValidator, BeforeValidator, Field

from exporter.sources.options import Distinct

_LOG_GROUP = re.compile(r"[A-Za-z0-9_./#*-]{1,512}")
# AWS: TagFilterKey and TagFilterValue.
_TAG_KEY = re2.compile(r"[\p{L}\p{Z}\p{N}_.:/=+@-]+")
_TAG_VALUE = re2.compile(r"!?\*?[\p{L}\p{Z}\p{N}_.:/=+@-]*\*?")
_LONGEST_KEY: Final = 128
_LONGEST_VALUE: Final = 259

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_FIELDS: Final = {
    "source.accountId": "(?P<account>[0-9]{12})",
    "source.region": "(?P<region>[a-z]{2,5}(?:-[a-z]+)+-[0-9])",
    "source.logGroup": "(?P<group>.+)",
    "source.org.id": "[a-z0-9-]+",
    "source.org.ouId": "[a-z0-9-]+",
    "source.org.rootId": "[a-z0-9-]+",
    "source.org.path": "[a-z0-9/-]+",
}
"""AWS's variables in the names of centralized log groups."""


def _log_group(name: str) -> str:
    if name.startswith("arn:"):
        raise ValueError("must be the log group's name, not its ARN")
    if not _LOG_GROUP.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a log group: names have letters, digits and _-/.#, patterns also *"
        )
    return name


LogGroupPatterns: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_log_group)], ...], Distinct
]
"""Names, or patterns in which ``*`` matches any characters, ``/`` included."""


def _tag_key(key: str) -> str:
    if len(key) > _LONGEST_KEY or not _TAG_KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not the key of a tag")
    return key


def _tag_value(value: str) -> str:
    if len(value) > _LONGEST_VALUE or not _TAG_VALUE.fullmatch(value):
        raise ValueError(
            f"{value!r} is not the value of a tag: ! may be before it, * before or after it"
        )
    return value


_Values: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_tag_value)], ...],
    BeforeValidator(lambda data: (data,) if isinstance(data, str) else data),
    Field(max_length=5),
    Distinct,
]
Tags: TypeAlias = Annotated[
    dict[Annotated[str, AfterValidator(_tag_key)], _Values], Field(min_length=1, max_length=5)
]
"""Tag filters of ListLogGroups: the values by key."""


@dataclass(frozen=True)
class Identity:
    """How the names of centralized log groups are made of what they are copies of."""

    template: str

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        literal, *rest = _VARIABLE.split(self.template)
        parts = [re.escape(literal)]
        for variable, text in zip(rest[::2], rest[1::2], strict=True):
            parts += [_FIELDS[variable], re.escape(text)]
        return re.compile("".join(parts))

    def origin(self, name: str) -> Mapping[str, str]:
        """``account``, ``region`` and ``group`` of a name, as far as it tells.

        It tells nothing if it is not the name of a centralized log group.
        """
        match = self._pattern.fullmatch(name)
        return {} if match is None else match.groupdict()


def _identity(data: object) -> Identity:
    if not isinstance(data, str):
        raise ValueError("must be a text")  # noqa: TRY004 pydantic's
    known: set[str] = set()
    for variable in _VARIABLE.findall(data):
        if variable not in _FIELDS:
            raise ValueError(f"${{{variable}}} is not a variable: {', '.join(_FIELDS)}")
        if variable in known:
            raise ValueError(f"${{{variable}}} is written twice")
        known.add(variable)
    if "source.accountId" not in known:
        raise ValueError("must have ${source.accountId}")
    return Identity(data)


IdentityTemplate: TypeAlias = Annotated[Identity, BeforeValidator(_identity)]
