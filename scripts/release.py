"""The steps of a release, in the order of RELEASE.md; .github/workflows/release.yaml runs them.

check     the tag, the version, the chart and the changelog agree
image     print the image's name
build     the chart, the release notes and checksums into dist/, beside the SBOM of `make sbom`
login     to the registry, with REGISTRY_USER and REGISTRY_PASSWORD
push      image and chart; their digests go to dist/pushed.json, and to GITHUB_OUTPUT if it is set
sign      both by digest (cosign, keyless), and attest the SBOM of the image
announce  the release's page on GitHub, with the files in dist/

It needs Python only, and helm, buildah, docker, cosign and gh for the steps that call them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "metric-filter-exporter"
REGISTRY = "ghcr.io/metric-filter-exporter"


class ReleaseError(Exception):
    """A release cannot continue; the message says why, and how to fix it."""


@dataclass(frozen=True)
class Release:
    """A release: its tag, and how it is published."""

    tag: str
    registry: str = REGISTRY
    """Host and path under which the image and ``charts/`` are."""
    plain_http: bool = False
    """Whether the registry has no TLS: one on loopback."""
    dry_run: bool = False
    """Whether commands are printed instead of run."""
    root: Path = ROOT
    """The source tree."""
    dist: Path = ROOT / "dist"
    """The folder of the release's files."""

    @property
    def version(self) -> str:
        """The version, for which the tag is named."""
        return self.tag.removeprefix("v")

    @property
    def image(self) -> str:
        """The image's name."""
        return f"{self.registry}/{NAME}"

    @property
    def chart(self) -> str:
        """The chart's name."""
        return f"{self.registry}/charts/{NAME}"

    @property
    def chart_file(self) -> Path:
        """The packaged chart."""
        return self.dist / f"{NAME}-{self.version}.tgz"

    @property
    def sbom(self) -> Path:
        """The list of the image's parts, of `make sbom`."""
        return self.dist / "sbom.cdx.json"

    @property
    def notes(self) -> Path:
        """The changelog of this version."""
        return self.dist / "notes.md"

    @property
    def sums(self) -> Path:
        """The checksums of the files."""
        return self.dist / "SHA256SUMS"

    @property
    def pushed(self) -> Path:
        """Names and digests of the pushed artifacts."""
        return self.dist / "pushed.json"

    def run(self, *command: str | Path, text: str | None = None) -> str:
        """Run a command, or print it; return its output. Raises ReleaseError if it fails."""
        words = [str(word) for word in command]
        print(shlex.join(words), flush=True)
        if self.dry_run:
            return ""
        try:
            done = subprocess.run(  # noqa: S603 - the commands are written below
                words, cwd=self.root, input=text, capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise ReleaseError(f"{words[0]} cannot be run: {error.strerror}.") from error
        if done.returncode:
            raise ReleaseError(f"`{shlex.join(words)}` failed:\n{done.stderr or done.stdout}")
        return done.stdout + done.stderr


def check(release: Release) -> None:
    """Compare every place that has the version. Raises ReleaseError with all that differ."""

    def found(path: str, pattern: str) -> str:
        match = re.search(pattern, (release.root / path).read_text(), re.MULTILINE)
        return match[1] if match else "nothing"

    chart = f"helm/{NAME}/Chart.yaml"
    values = f"helm/{NAME}/values.yaml"
    host, _, path = release.image.partition("/")
    places = [
        ("exporter/__init__.py", "__version__", r'^__version__ = "(.*)"', release.version),
        (chart, "version", r"^version: (.*)$", release.version),
        (chart, "appVersion", r'^appVersion: "(.*)"$', release.version),
        (chart, "the image's tag", rf"^ +image: \S+/{NAME}:(\S+)$", release.version),
        (values, "image.registry", r'^image:\n(?: .*\n)*?  registry: "?(.*?)"?$', host),
        (values, "image.repository", r"^image:\n(?: .*\n)*?  repository: (.*)$", path),
        ("CHANGELOG.md", "the newest version", r"^## (\S+) /", release.version),
    ]
    problems = [
        f"{file}: {what} is {actual!r}; the release needs {wanted!r}."
        for file, what, pattern, wanted in places
        if (actual := found(file, pattern)) != wanted
    ]
    if not re.fullmatch(r"v\d+\.\d+\.\d+", release.tag):
        problems.insert(0, f"The tag {release.tag!r} is not v and three numbers, like v1.2.3.")
    date = found("CHANGELOG.md", r"^## \S+ / (.*)$")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        problems.append(f"CHANGELOG.md: the newest version has {date!r} instead of a date.")
    if problems:
        raise ReleaseError("\n".join(problems))


def image(release: Release) -> None:
    """Print the name under which `make sbom` builds the image."""
    print(f"{release.image}:{release.version}")


def build(release: Release) -> None:
    """Package the chart, take the notes from the changelog, and sum up the files in dist/."""
    release.dist.mkdir(exist_ok=True)
    release.run("helm", "package", f"helm/{NAME}", "--destination", release.dist)
    release.notes.write_text(notes(release))
    if release.dry_run:
        return
    if not release.sbom.exists():
        raise ReleaseError(f"{release.sbom} does not exist: run `make sbom` first.")
    release.sums.write_text(
        "".join(
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
            for path in (release.chart_file, release.sbom)
        )
    )


def notes(release: Release) -> str:
    """Return the changelog of the release. Raises ReleaseError if it has none."""
    changelog = (release.root / "CHANGELOG.md").read_text()
    section = re.search(
        rf"^## {re.escape(release.version)} /[^\n]*\n(.*?)(?=^## |\Z)",
        changelog,
        re.MULTILINE | re.DOTALL,
    )
    if section is None or not section[1].strip():
        raise ReleaseError(f"CHANGELOG.md has nothing on {release.version}.")
    return section[1].strip() + "\n"


def login(release: Release) -> None:
    """Log in to the registry; buildah, Helm, cosign and the attestation read docker's file, too."""
    host = release.registry.partition("/")[0]
    user = os.environ.get("REGISTRY_USER", "")
    command = ("docker", "login", host, "--username", user, "--password-stdin")
    release.run(*command, text=os.environ.get("REGISTRY_PASSWORD", ""))


def push(release: Release) -> None:
    """Push image and chart, and write down by which digests the registry has them."""
    digest_file = release.dist / "image.digest"
    release.run(
        *("buildah", "push", f"--tls-verify={str(not release.plain_http).lower()}"),
        *("--digestfile", digest_file),
        f"{release.image}:{release.version}",
        f"docker://{release.image}:{release.version}",
    )
    plain = ["--plain-http"] if release.plain_http else []
    repository = release.chart.rpartition("/")[0]
    printed = release.run("helm", "push", release.chart_file, f"oci://{repository}", *plain)
    if release.dry_run:
        return
    digest = re.search(r"^Digest: (sha256:[0-9a-f]{64})$", printed, re.MULTILINE)
    if digest is None:
        raise ReleaseError(f"helm push printed no digest:\n{printed}")
    outputs = {
        "image-name": release.image,
        "image-digest": digest_file.read_text().strip(),
        "chart-name": release.chart,
        "chart-digest": digest[1],
    }
    release.pushed.write_text(json.dumps(outputs, indent=2) + "\n")
    if path := os.environ.get("GITHUB_OUTPUT"):
        with Path(path).open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in outputs.items())


def sign(release: Release) -> None:
    """Sign by digest, because tags can move. cosign's identity is the workflow's."""
    if not release.pushed.exists():
        raise ReleaseError(f"{release.pushed} does not exist: run the step `push` first.")
    pushed = json.loads(release.pushed.read_text())
    subjects = [
        f"{pushed[f'{kind}-name']}@{pushed[f'{kind}-digest']}" for kind in ("image", "chart")
    ]
    for subject in subjects:
        release.run("cosign", "sign", "--yes", subject)
    predicate = ("--type", "cyclonedx", "--predicate", release.sbom)
    release.run("cosign", "attest", "--yes", *predicate, subjects[0])


def announce(release: Release) -> None:
    """Make the page of the release on GitHub, of an existing tag."""
    release.run(
        *("gh", "release", "create", release.tag, "--verify-tag", "--title", release.version),
        *("--notes-file", release.notes),
        *(release.chart_file, release.sbom, release.sums),
    )


STEPS: dict[str, Callable[[Release], None]] = {
    step.__name__: step for step in (check, image, build, login, push, sign, announce)
}
"""In their order."""


def main() -> int:
    """Run a step; the exit code is 1 with a sentence on stderr if it fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("tag", help="v and the version")
    parser.add_argument("--registry", default=REGISTRY, help="host and path (%(default)s)")
    parser.add_argument("--plain-http", action="store_true", help="the registry has no TLS")
    parser.add_argument("--dry-run", action="store_true", help="print commands, run none")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="folder of the files")
    options = vars(parser.parse_args())
    step = STEPS[options.pop("step")]
    try:
        step(Release(**options))
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
