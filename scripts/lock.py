"""Writes the lock files: each package's version and hashes, for every platform and Python.

There is one for each thing that is installed (LOCKS). They agree: the image runs with the
versions that the tests used. Pins that still fit pyproject.toml stay; ``--upgrade`` takes the
newest of everything.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_HEADER = "# Written by `make lock` from pyproject.toml; do not edit.\n"


@dataclass(frozen=True)
class Lock:
    """A lock file and its parts of pyproject.toml."""

    name: str
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    whole: bool = True
    """Whether the project's own dependencies are in it."""
    build: bool = False
    """Whether the tools that build the wheel are in it."""

    @property
    def path(self) -> Path:
        """The path of the file."""
        return ROOT / self.name


ALL = Lock("requirements-dev.lock", extras=("demo",), groups=("dev", "editable"), build=True)
LOCKS = (
    # `make setup`
    ALL,
    # `make run`
    Lock("requirements-demo.lock", extras=("demo",), groups=("editable",), build=True),
    # the image, and whoever installs the exporter
    Lock("requirements.lock"),
    # the image's wheel
    Lock("requirements-build.lock", whole=False, build=True),
    # `make fuzz`, besides ALL
    Lock("requirements-fuzz.lock", groups=("fuzz",), whole=False),
)
"""The first has most packages of the others, and they use its versions."""


def main() -> int:
    """Write every file; if uv fails, the exit code is uv's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    python = project["project"]["requires-python"].removeprefix(">=")
    for lock in LOCKS:
        code = compile_lock(lock, python, project["build-system"]["requires"])
        if code:
            return code
    return 0


def compile_lock(lock: Lock, python: str, build_requirements: Sequence[str]) -> int:
    """Resolve the packages of a lock, from the oldest Python on; return uv's exit code."""
    options = [
        *(["pyproject.toml"] if lock.whole else []),
        *(["-"] if lock.build else []),
        *(f"--extra={extra}" for extra in lock.extras),
        *(f"--group={group}" for group in lock.groups),
        *(["--upgrade"] if "--upgrade" in sys.argv else []),
        *([f"--constraint={ALL.name}"] if lock is not ALL else []),
    ]
    done = subprocess.run(  # noqa: S603 - our own tool and our own arguments
        [
            str(Path(sys.executable).parent / "uv"),
            "pip",
            "compile",
            "--quiet",
            "--universal",
            "--generate-hashes",
            "--no-header",
            f"--python-version={python}",
            f"--output-file={lock.name}",
            *options,
        ],
        input="\n".join(build_requirements) if lock.build else None,
        cwd=ROOT,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        lock.path.write_text(_HEADER + lock.path.read_text().removeprefix(_HEADER))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
