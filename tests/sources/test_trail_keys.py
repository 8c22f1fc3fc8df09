"""The keys of CloudTrail's objects: each is of a minute, and listings can begin at a minute."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.trail_keys import TrailFolder, is_below_region, is_way

ACCOUNT = "111122223333"
MINUTES = st.integers(24_000_000, 45_000_000)
"""From 2015 to 2055."""


def folder(kind: str = "CloudTrail") -> TrailFolder:
    found = TrailFolder.of(f"logs/AWSLogs/o-abc/{ACCOUNT}/{kind}/ap-southeast-2/")
    assert found is not None
    return found


def name_of(minute: int, random: str, kind: str = "CloudTrail") -> str:
    time = datetime.fromtimestamp(minute * 60, UTC)
    return f"{time:%Y/%m/%d}/{ACCOUNT}_{kind}_ap-southeast-2_{time:%Y%m%dT%H%MZ}_{random}"


def test_a_folder_has_an_account_and_a_region() -> None:
    found = folder()
    assert (found.account_id, found.region) == (ACCOUNT, "ap-southeast-2")


@given(minute=MINUTES, random=st.text(max_size=16).filter(lambda text: "/" not in text))
@pytest.mark.parametrize("kind", ["CloudTrail", "CloudTrail-NetworkActivity"])
def test_a_name_of_cloudtrail_is_of_its_minute(kind: str, minute: int, random: str) -> None:
    name, found = name_of(minute, random, kind), folder(kind)
    assert found.minute(name) == minute
    assert found.before(minute) < name < found.before(minute + 1)


@given(minute=MINUTES, cut=st.integers(0, 60), rest=st.text(min_size=1))
def test_any_name_in_the_folder_of_a_day_is_of_the_minute_of_its_place(
    minute: int, cut: int, rest: str
) -> None:
    day = f"{datetime.fromtimestamp(minute * 60, UTC):%Y/%m/%d}/"
    name = day + name_of(minute, "")[len(day) :][:cut] + rest.replace("/", "")
    found = folder()
    of = found.minute(name)
    if name == day:
        assert of is None
        return
    assert of is not None
    assert of // 1440 == minute // 1440
    assert found.before(of) <= name
    assert of % 1440 == 1439 or name < found.before(of + 1)


@given(minutes=st.tuples(MINUTES, MINUTES))
def test_places_are_in_the_order_of_minutes(minutes: tuple[int, int]) -> None:
    first, second = minutes
    places = folder().before(first), folder().before(second)
    assert (first < second) == (places[0] < places[1])


@pytest.mark.parametrize(
    "name", ["", "x", "2026/11/26", "2026/11/26/", "2026/13/01/a", "2026/11/26/a/b", "0001/01/01/a"]
)
def test_what_is_in_no_folder_of_a_day_has_no_minute(name: str) -> None:
    assert folder().minute(name) is None


@pytest.mark.parametrize(
    ("prefix", "is_one"),
    [
        ("AWSLogs/", True),
        ("a/b/AWSLogs/", True),
        ("AWSLogs/o-abc/", True),
        (f"AWSLogs/{ACCOUNT}/", True),
        (f"AWSLogs/o-abc/{ACCOUNT}/CloudTrail/", True),
        (f"AWSLogs/{ACCOUNT}/CloudTrail-NetworkActivity/", True),
        (f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/", False),
        (f"AWSLogs/{ACCOUNT}/Config/", False),
        ("AWSLogs/444455556666/", False),
        ("AWSLogs/x/", False),
        ("other/", False),
        ("", False),
    ],
)
def test_only_folders_of_the_trail_are_searched(prefix: str, is_one: bool) -> None:
    assert is_way(prefix, {"CloudTrail", "CloudTrail-NetworkActivity"}, [ACCOUNT]) is is_one


def test_a_prefix_below_a_region_is_known() -> None:
    region = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/"
    assert not is_below_region(region)
    assert is_below_region(f"{region}2026/")
