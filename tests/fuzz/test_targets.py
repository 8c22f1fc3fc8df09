"""What the fuzzer looks for holds for its seeds, and for seeds that are damaged a little."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import targets

_ROOT = Path(targets.CORPUS).parents[1]
_EXAMPLES = {
    "patterns": 400,
    "files": 150,
    "configuration": 300,
    "web": 150,
    "rules": 250,
    "lines": 200,
    "negotiation": 200,
    "compiled": 20,
}


def _words(name: str) -> list[bytes]:
    """The words of a target's dictionary."""
    lines = (targets.DICTIONARIES / f"{name}.dict").read_text().splitlines()
    return [ast.literal_eval(f"b{line}") for line in lines]


def _damaged(name: str, seed: int) -> bytes:
    """A seed with some bytes replaced by words, by bytes, or by a part of another seed."""
    source = random.Random(seed)
    contents = [path.read_bytes() for path in targets.seeds(name)]
    data = source.choice(contents)
    for _ in range(source.randint(1, 4)):
        at = source.randint(0, len(data))
        to = min(len(data), at + source.choice((0, 0, 1, 2, 8)))
        other = source.choice(contents)
        start = source.randint(0, len(other))
        added = source.choice(
            (source.choice(_words(name)), source.randbytes(1), other[start : start + 20], b"")
        )
        data = data[:at] + added + data[to:]
    return data


@pytest.mark.parametrize(
    ("name", "path"),
    [(name, path) for name in targets.NAMES for path in targets.seeds(name)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_seed_breaks_nothing(name: str, path: Path) -> None:
    targets.load(name)(path.read_bytes())


@pytest.mark.parametrize("name", targets.NAMES)
def test_a_damaged_seed_breaks_nothing(name: str) -> None:
    check = targets.load(name)

    @settings(max_examples=_EXAMPLES[name], deadline=None, database=None)
    @given(st.integers(0, 2**64))
    def holds(seed: int) -> None:
        check(_damaged(name, seed))

    holds()


@pytest.mark.parametrize("name", targets.NAMES)
def test_bytes_break_nothing(name: str) -> None:
    check = targets.load(name)

    @settings(max_examples=50, deadline=None, database=None)
    @given(st.binary(max_size=200))
    def holds(data: bytes) -> None:
        check(data)

    holds()


def test_replaying_measures_memory(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"ERROR\x1eERROR")
    command = [sys.executable, "-m", "fuzz.worker", "patterns", "--replay", str(tmp_path)]
    printed = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.startswith(f"replayed {len(targets.seeds('patterns')) + 1} inputs ")
