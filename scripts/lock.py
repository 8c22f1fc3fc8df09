"""Writes the lock files of the image: each package's version and hashes, for every platform.

``requirements.lock`` has what the exporter runs on, ``requirements-build.lock`` what its wheel is
built with. Pins that still fit pyproject.toml stay; ``--upgrade`` takes the newest of everything.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
BUILD_LOCK = ROOT / "requirements-build.lock"
_HEADER = "# Written by `make lock` from pyproject.toml; do not edit.\n"


def main() -> int:
    """Write both files; the exit code is uv's, where it fails."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    python = project["project"]["requires-python"].removeprefix(">=")
    build_requirements = "\n".join(project["build-system"]["requires"])
    return compile_lock(LOCK, "pyproject.toml", python) or compile_lock(
        BUILD_LOCK, "-", python, given=build_requirements
    )


def compile_lock(path: Path, source: str, python: str, *, given: str = "") -> int:
    """Resolve what a file names (``-``: what is given) for Python versions from the oldest on."""
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
            f"--output-file={path.name}",
            *(["--upgrade"] if "--upgrade" in sys.argv else []),
            source,
        ],
        input=given,
        cwd=ROOT,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        path.write_text(_HEADER + path.read_text().removeprefix(_HEADER))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
