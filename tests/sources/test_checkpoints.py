"""A damaged checkpoint is refused as such, if it can be seen at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.model import DamagedCheckpointError
from exporter.sources.file_position import FilePosition
from exporter.sources.progress import Backfill, Progress
from exporter.sources.schedule import Schedule
from exporter.sources.trail_positions import Positions, Span
from tests.support.tools import ROOT

SCHEDULE = Schedule(60_000, 600_000)
PROGRESS = Progress(
    SCHEDULE.begin(1_700_000_000_000),
    backfilled=frozenset({"logins"}),
    backfills=(Backfill(frozenset({"logins"}), 5, 10),),
).encode(SCHEDULE.ages)
POSITION = FilePosition(
    unit="records", done=5, inode=77, covered=100, sample="ab12", modified=9, finished=True
).encode()
TRAIL = Positions(
    29_928_240,
    [Span(29_900_000, 29_910_000, "2026/11/07/a")],
    {"2026/11/26/b": 1_795_687_200_000},
)
for number in range(3):
    TRAIL.done(f"2026/11/26/{number}", 29_928_240 + number // 2)

DECODERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "progress": (PROGRESS, lambda text: Progress.decode(text, SCHEDULE, 1_700_000_900_000)),
    "position": (POSITION, FilePosition.decode),
    "trail": (TRAIL.encode(), Positions.decode),
}


def test_positions_of_a_trail_are_the_same_after_a_restart() -> None:
    assert Positions.decode(TRAIL.encode()) == TRAIL


@pytest.mark.parametrize("kind", DECODERS)
@given(data=st.data())
def test_one_changed_character(kind: str, data: st.DataObject) -> None:
    text, decode = DECODERS[kind]
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.characters(codec="utf-8")) + text[place + 1 :]
    with suppress(DamagedCheckpointError):
        decode(changed)
    decode(text)


@pytest.mark.parametrize("kind", DECODERS)
@given(text=st.text())
@example("[]")
@example("{}")
@example('{"late": -1}')
@example('{"late": 1, "read": {"1000000000000": ""}}')
@example('{"late": 1, "spans": [[1, 1000000000000, ""]]}')
@example('{"sweep": []}')
@example('{"sweep": [[0, 1.5]]}')
@example('{"unit": "lines", "done": 1, "inode": 1, "covered": 1, "sample": ""}')
@example('{"unit": [], "done": 1, "inode": 1, "covered": 1, "sample": ""}')
def test_other_text(kind: str, text: str) -> None:
    with pytest.raises(DamagedCheckpointError):
        DECODERS[kind][1](text)


_AT_ONCE = """
import importlib, sys, threading
from exporter.sources import trail_positions

sys.setswitchinterval(1e-6)
for _ in range(300):
    importlib.reload(trail_positions)
    barrier = threading.Barrier(4)
    decode = trail_positions.Positions.decode

    def first() -> None:
        barrier.wait()
        decode(sys.argv[1])

    threads = [threading.Thread(target=first) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_checkpoints_of_trails_may_be_read_by_several_threads_at_once_from_the_start() -> None:
    subprocess.run([sys.executable, "-c", _AT_ONCE, TRAIL.encode()], check=True, cwd=ROOT)
