"""Objects are freed as soon as they were read."""

from __future__ import annotations

import gc
import gzip
import sys
from collections.abc import Iterator

import pytest

from exporter.aws.objects import ObjectName
from exporter.model import DamagedContentError, EventFormat
from exporter.sources.contents import portions_of
from exporter.sources.trail_objects import TrailObject

RECORDS = b'{"Records":[' + b",".join(b'{"eventID":"%d"}' % one for one in range(9)) + b"]}"
CONTENTS = {
    "sound": RECORDS,
    "cut": RECORDS[:-9],
    "no_json": RECORDS.replace(b'"8"', b"8 8"),
    "no_record": RECORDS.replace(b'{"eventID":"8"}', b"8"),
}


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("event_format", ["cloudtrail", "auto"])
@pytest.mark.parametrize("cut", [0, 9])
@pytest.mark.parametrize("content", CONTENTS)
def test_a_damaged_object_does_not_stay_in_memory(
    content: str, cut: int, event_format: EventFormat
) -> None:
    data = gzip.compress(CONTENTS[content])
    loaded = data[: len(data) - cut]
    known = sys.getrefcount(loaded)
    one = TrailObject(ObjectName("trail", "a"), "us-east-1", None, event_format)
    portions = [(len(each.events), each.error) for each in portions_of(one, loaded, 1)]
    assert isinstance(portions[-1][1], DamagedContentError) == (content != "sound" or cut > 0)
    assert sys.getrefcount(loaded) == known
