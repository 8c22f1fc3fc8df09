"""Becomes the main process of a container: run by tests/support/images.py under ``unshare``.

What a container runtime does, as far as it concerns a program: the image's files read-only, a
volume, its user, no way to more rights, and here no shell either.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_PR_SET_NO_NEW_PRIVS = 38
_SHELLS = ("bash", "dash", "sh")


def main(text: str) -> None:
    """Start what the JSON text describes (see ``Container``) in place of this process."""
    start: dict[str, Any] = json.loads(text)
    root = Path(start["root"])
    _mount("--bind", str(root), str(root))
    _mount("--options", "remount,bind,ro", str(root))
    for kind in ("dev", "proc"):
        _mount("--rbind", f"/{kind}", str(root / kind))
    for shell in _SHELLS:
        program = root / "usr" / "bin" / shell
        if program.exists() and not program.is_symlink():
            _mount("--bind", os.devnull, str(program))
    for target, source, *options in start["mounts"]:
        _mount("--bind", source, str(root / target.lstrip("/")))
        if options:
            flags = ",".join(["remount", "bind", *options])
            _mount("--options", flags, str(root / target.lstrip("/")))
    os.chroot(root)
    os.chdir(start["working_directory"])
    user, group = map(int, start["user"].split(":"))
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    command = start["command"]
    os.execve(command[0], command, start["environment"])  # noqa: S606 - no shell is the point


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
