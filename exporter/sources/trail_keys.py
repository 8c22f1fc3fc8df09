"""The keys of CloudTrail's objects: their folders, and the minute that each is of.

AWS: ``[prefix/]AWSLogs/[o-id/]account/CloudTrail/region/yyyy/mm/dd/``, and in it names such as
``111122223333_CloudTrail_us-east-1_20261126T2305Z_mZ8QxrPqyY0rjMvs.json.gz``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

DAY: Final = 1440
"""Minutes."""

_ACCOUNT: Final = re.compile(r"(?:^|.*/)AWSLogs/(?:o-[^/]+/)?([0-9]{12})/")
_FOLDER: Final = re.compile(_ACCOUNT.pattern + r"([^/]+)/")
_REGION: Final = re.compile(_FOLDER.pattern + r"([a-z]{2,5}(?:-[a-z]+)+-[0-9]+)/")
_ROOT: Final = re.compile(r"(?:^|.*/)AWSLogs/(?:o-[^/]+/)?")
_IN_DAY: Final = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}/[^/]+")
_FIRST_YEAR: Final = 2013
"""CloudTrail's."""


@dataclass(frozen=True, slots=True)
class TrailFolder:
    """The folder of an account and a region, in which each day has a folder.

    Below, a name is the part of a key after the folder: ``yyyy/mm/dd/…``. A minute is one since
    1970 in UTC. Names in their order, which is that of a listing, are those of the first minute,
    then those of the next one, and so on.
    """

    prefix: str
    """The beginning of its keys, up to the ``/`` after the region."""
    account_id: str
    region: str
    _stem: str = field(repr=False)

    @classmethod
    def of(cls, prefix: str) -> TrailFolder | None:
        """The folder; None if it is not one of an account and region."""
        found = _REGION.fullmatch(prefix)
        if found is None:
            return None
        account_id, folder, region = found.groups()
        return cls(prefix, account_id, region, f"{account_id}_{folder}_{region}_")

    def minute(self, name: str) -> int | None:
        """The minute of a name; None if it is not in the folder of a day.

        A name that is not CloudTrail's has the last minute of its day that it does not sort before.
        """
        if not _IN_DAY.fullmatch(name) or (day := _minutes_of_day(name[:10])) is None:
            return None
        start = 11 + len(self._stem)
        time = name[start : start + 14]
        if name.startswith(self._stem, 11) and time[8:9] == "T" and time[13:] == "Z":
            date = name[:4] + name[5:7] + name[8:10]
            hour, minute = time[9:11], time[11:13]
            if time[:8] == date and "00" <= hour < "24" and "00" <= minute < "60":
                digits = hour + minute
                if digits.isascii() and digits.isdigit():
                    return day + int(hour) * 60 + int(minute)
        return day + bisect_right(range(1, DAY), name, key=lambda one: self.before(day + one))

    def before(self, minute: int) -> str:
        """A text between the names of earlier minutes and those of a minute."""
        if minute % DAY == 0:
            return f"{_day(minute // DAY)}/"
        day = _day(minute // DAY)
        hours, minutes = divmod(minute % DAY, 60)
        return f"{day}/{self._stem}{day.replace('/', '')}T{hours:02}{minutes:02}"


def is_way(prefix: str, folders: Collection[str], accounts: Collection[str] | None = None) -> bool:
    """Whether a folder has the folders of regions that are wanted.

    ``folders``: those that are wanted in the folder of an account. ``accounts``: None for all.
    """
    if account := _ACCOUNT.match(prefix):
        if accounts is not None and account[1] not in accounts:
            return False
        folder = _FOLDER.fullmatch(prefix)
        return account[0] == prefix or (folder is not None and folder[2] in folders)
    return _ROOT.fullmatch(prefix) is not None


def is_below_region(prefix: str) -> bool:
    """Whether a prefix names a part of a region's folder."""
    found = _REGION.match(prefix)
    return found is not None and found[0] != prefix


@lru_cache(maxsize=4096)
def _minutes_of_day(text: str) -> int | None:
    try:
        day = datetime.strptime(text, "%Y/%m/%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) // 60 if day.year >= _FIRST_YEAR else None


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * DAY * 60, UTC).strftime("%Y/%m/%d")
