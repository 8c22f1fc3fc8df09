"""The container image: built for real, and run as a container runtime would."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.http import PLAIN_HTTP
from tests.support.processes import Exporter
from tests.support.tools import ROOT, find_tool, lacking

_STORAGE = ROOT / ".tools" / "containers"
_NAME = "localhost/metric-filter-exporter"
_BASE = "localhost/base"
_CERTIFICATES = "/etc/ssl/certs"
# The registry of packages may be reached through a proxy that only this machine trusts.
_BUILD_FLAGS = (
    f"--quiet --isolation chroot --pull-never --volume {_CERTIFICATES}:{_CERTIFICATES}:ro"
)
_CONTEXT = (
    "Dockerfile",
    ".dockerignore",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "requirements*.lock",
    "scripts/slim_botocore.py",
    "config/rules/**/*",
    "exporter/**/*",
)


@dataclass(frozen=True)
class Image:
    """An image that was built here, its files mounted."""

    name: str
    root: Path
    """Where its files are; mounted read-only when it is run."""
    settings: Mapping[str, Any]
    """``User``, ``Entrypoint``, ``Cmd``, ``Env`` … of the image's OCI configuration."""
    added: int
    """Bytes that it adds to its base, uncompressed."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the image sets."""
        return dict(entry.split("=", 1) for entry in self.settings["Env"])

    def command(
        self,
        arguments: Sequence[str],
        *,
        mounts: Sequence[tuple[str, ...]] = (),
        environment: Mapping[str, str] | None = None,
    ) -> list[str]:
        """A command that runs the image's entry point; ``mounts``: (target, source, option …)."""
        start = {
            "root": str(self.root),
            "mounts": mounts,
            "working_directory": self.settings["WorkingDir"],
            "user": self.settings["User"],
            "command": [*self.settings["Entrypoint"], *arguments],
            "environment": {**self.environment, **(environment or {})},
        }
        script = Path(__file__).with_name("container_start.py")
        # unshare and the script become the program: the process id is the container's own.
        unshare = ["unshare", "--mount", "--propagation", "private", "--"]
        return [*unshare, sys.executable, "-I", str(script), json.dumps(start)]

    def run(self, *arguments: str, mounts: Sequence[tuple[str, ...]] = ()) -> str:
        """Run the entry point with arguments to its end; return what it printed."""
        done = subprocess.run(
            self.command(arguments, mounts=mounts),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


class Container(Exporter):
    """The image at work: its own command, the ledger on a volume, the root read-only.

    ``configuration``: a folder, mounted where the image looks for it. ``tls``, ``auth``: what
    requests are made with.
    """

    def __init__(
        self,
        image: Image,
        configuration: Path,
        storage: Path,
        *,
        arguments: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        auth: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(configuration, storage)
        self._tls, self._auth = tls, auth
        if tls is not None:
            self.url = f"https://{self.address}"
        storage.mkdir(exist_ok=True)
        user, group = map(int, image.settings["User"].split(":"))
        os.chown(storage, user, group)
        self._command = image.command(
            [*image.settings["Cmd"], f"--web.listen-address={self.address}", *arguments],
            mounts=[
                ("/data", str(storage)),
                ("/etc/metric-filter-exporter", str(configuration), "ro"),
            ],
            environment=environment,
        )

    def get(self, path: str, **headers: str) -> httpx.Response:
        """GET a path."""
        if self._tls is None:
            return PLAIN_HTTP.get(f"{self.url}{path}", headers=headers, auth=self._auth)
        with httpx.Client(verify=self._tls, auth=self._auth, trust_env=False) as client:
            return client.get(f"{self.url}{path}", headers=headers, timeout=10)


@contextmanager
def built_image() -> Iterator[Image]:
    """Build the image with ``make image``, unless it is there already, and mount its files.

    Skips the test where the machine cannot; with CI=true, fails it.
    """
    if os.geteuid() != 0:
        lacking("building an image takes root")
    find_tool("buildah")
    if not (_STORAGE / "storage.conf").exists():
        lacking("there is no image to build on: `make tools` makes one")
    name = f"{_NAME}:{_digest()}"
    # Workers of pytest-xdist share the storage: the first builds, the others find it.
    with (_STORAGE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _buildah("images", "--quiet", "--filter", f"reference={name}"):
            _build(name)
        about = json.loads(_buildah("inspect", "--type", "image", name))
        container = _buildah("from", "--pull-never", name)
    # The stand-in for the base is one layer.
    added = sum(layer["size"] for layer in json.loads(about["Manifest"])["layers"][1:])
    try:
        yield Image(name, Path(_buildah("mount", container)), about["OCIv1"]["config"], added)
    finally:
        _buildah("rm", container)


def make(*arguments: str) -> str:
    """Run make with the images' storage as its own; return what it printed."""
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments, "ENGINE=buildah"],
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _build(name: str) -> None:
    for old in _buildah("images", "--quiet", "--filter", f"reference={_NAME}").split():
        _buildah("rmi", "--force", old)
    make("image", f"IMAGE={name}", f"BASE_IMAGE={_BASE}", f"BUILD_FLAGS={_BUILD_FLAGS}")


def _digest() -> str:
    """A tag for what the image is made of."""
    digest = hashlib.sha256()
    files = {path for pattern in _CONTEXT for path in ROOT.glob(pattern) if path.is_file()}
    for path in sorted(files):
        if "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _buildah(*arguments: str) -> str:
    done = subprocess.run(
        [shutil.which("buildah") or "buildah", *arguments],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return {**kept, "CONTAINERS_STORAGE_CONF": str(_STORAGE / "storage.conf")}
