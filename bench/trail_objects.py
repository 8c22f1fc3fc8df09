"""A made-up trail: what each object has in it, and what the rules must count.

Objects are made when they are read, so a trail of any size needs no memory. A template has an
object's records; ids and times differ from object to object.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

import isal.igzip

from bench.corpus import ACCOUNTS, REGIONS, Trail
from bench.measuring import REPOSITORY

BUCKET: Final = "org-trail"
PREFIX: Final = "AWSLogs/o-exampleorg1/"
_TEMPLATES: Final = 16
_BY_HAND: Final = REPOSITORY / "bench" / "rules" / "by_hand.py"
_VARYING: Final = re.compile(rb'(?<="eventID":")[^"]+|(?<="eventTime":")[^"]+')

# What some objects are in a trail with troubles, by the last two digits of their number.
DAMAGED, EMPTY, MISSING, COPY, FOREIGN, HUGE = 7, 8, 9, 10, 11, 12
_COPIED: Final = 10
"""How many objects before a copy its records are."""
_HUGE: Final = 40
"""How many times the records of a huge object are those of others."""


class TrailObjects:
    """The objects of a trail, by their number."""

    def __init__(self, *, records: int, begin: int, step: float, troubles: bool = False) -> None:
        """``begin``: seconds, the time of the first one; ``step``: seconds to the next.

        ``troubles``: some are damaged, empty, missing, huge, copies, or in another bucket.
        """
        self.records = records
        self._begin = begin
        self._step = step
        self._troubles = troubles
        made = Trail(seed=1).records()
        documents = [
            json.dumps({"Records": list(islice(made, records))}, separators=(",", ":")).encode()
            for _ in range(_TEMPLATES)
        ]
        self._fragments = [_VARYING.split(document) for document in documents]
        """The texts around times and ids, which take turns."""
        self._matches = [_matches(document) for document in documents]

    def kind(self, number: int) -> int:
        """Its trouble; 0 if it has none."""
        kind = number % 100
        return kind if self._troubles and DAMAGED <= kind <= HUGE else 0

    def bucket(self, number: int) -> str:
        """The bucket that messages name."""
        return "another-bucket" if self.kind(number) == FOREIGN else BUCKET

    def key(self, number: int) -> str:
        """The key; its time is that of the object."""
        at = datetime.fromtimestamp(self._time(number), UTC)
        account = ACCOUNTS[number % len(ACCOUNTS)]
        region = REGIONS[number // len(ACCOUNTS) % len(REGIONS)]
        name = f"{account}_CloudTrail_{region}_{at:%Y%m%dT%H%MZ}_{number:016}.json.gz"
        return f"{PREFIX}{account}/CloudTrail/{region}/{at:%Y/%m/%d}/{name}"

    @staticmethod
    def number(key: str) -> int | None:
        """The number of the object with a key; None if there is no such object."""
        found = re.search(r"_(\d{16})\.json\.gz$", key)
        return int(found[1]) if found else None

    def content(self, number: int) -> bytes | None:
        """The bytes of an object; None if it is missing."""
        kind = self.kind(number)
        if kind == MISSING:
            return None
        if kind == DAMAGED:
            return b"\x1f\x8b" + number.to_bytes(16, "big") * 8
        if kind == EMPTY:
            return gzip.compress(b'{"Records":[]}')
        if kind == HUGE:
            parts = (self._document(number, part)[12:-2] for part in range(_HUGE))
            document = b'{"Records":[' + b",".join(parts) + b"]}"
        else:
            document = self._document(number - _COPIED if kind == COPY else number)
        return bytes(isal.igzip.compress(document, 1))

    def expected(self, numbers: Iterable[int]) -> Counter[str]:
        """Matches by rule in these objects, which have the originals of their copies."""
        objects = Counter[int]()
        for number in numbers:
            kind = self.kind(number)
            if kind in (0, HUGE):
                objects[number % _TEMPLATES] += _HUGE if kind else 1
        counts = Counter[str]()
        for template, times in objects.items():
            counts.update({rule: times * n for rule, n in self._matches[template].items()})
        return counts

    def _time(self, number: int) -> int:
        return int(self._begin + number * self._step)

    def _document(self, number: int, part: int = 0) -> bytes:
        fragments = self._fragments[number % _TEMPLATES]
        time = datetime.fromtimestamp(self._time(number), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        made = [fragments[0]]
        for place, fragment in enumerate(fragments[1:]):
            is_time = place % 2 == 0
            made.append(
                time.encode() if is_time else b"%08x-0000-4000-8%03x-%012x" % (number, part, place)
            )
            made.append(fragment)
        return b"".join(made)


def _matches(document: bytes) -> dict[str, int]:
    """What the 16 rules count, by a loop that shares no code with the exporter."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.json.gz"
        path.write_bytes(gzip.compress(document, 1))
        command = [sys.executable, str(_BY_HAND), str(path)]
        counted = subprocess.run(command, capture_output=True, check=True).stdout
    matches: dict[str, int] = json.loads(counted)
    return matches
