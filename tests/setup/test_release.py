"""The steps of a release, up to what only a registry's owner and GitHub can do."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from exporter import __version__
from tests.support.registry import Registry, digest_of, serving
from tests.support.tools import ROOT, find_tool, lacking

NAME = "metric-filter-exporter"
TAG = f"v{__version__}"
WORKFLOW = (ROOT / ".github" / "workflows" / "release.yaml").read_text()
OLDER = "\n## 0.0.1 / 2029-01-02\n\nThe one before.\n"
STEPS = re.findall(r"scripts/release\.py (\w+)", WORKFLOW)


@dataclass
class Tree:
    """A copy of what a release reads, as RELEASE.md has it made ready, and its dist/."""

    root: Path
    registry: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def dist(self) -> Path:
        return self.root / "dist"

    def release(self, step: str, tag: str = TAG, *more: str) -> subprocess.CompletedProcess[str]:
        """Run a step as the workflow does."""
        options = [f"--root={self.root}", f"--dist={self.dist}", f"--registry={self.registry}"]
        return subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "release.py"), step, tag, *options, *more],
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def succeed(self, step: str, *more: str) -> str:
        """Run a step that must not fail; return what it printed."""
        done = self.release(step, TAG, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a file in one place."""
        text = (self.root / path).read_text()
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
        (self.root / path).write_text(text.replace(old, new))


def ready(root: Path, registry: str) -> Tree:
    """Return a tree that may be released to a registry."""
    for path in ("exporter/__init__.py", "CHANGELOG.md"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, root / path)
    shutil.copytree(ROOT / "helm" / NAME, root / "helm" / NAME)
    changelog = (root / "CHANGELOG.md").read_text()
    dated = re.sub(
        r"^## \S+ / .*$", f"## {__version__} / 2030-01-02", changelog, count=1, flags=re.MULTILINE
    )
    (root / "CHANGELOG.md").write_text(dated + OLDER)
    values = root / "helm" / NAME / "values.yaml"
    host, _, path = f"{registry}/{NAME}".partition("/")
    text = values.read_text()
    text = re.sub(r"(?m)^(image:\n(?: .*\n)*?  registry: ).*$", rf'\g<1>"{host}"', text, count=1)
    text = re.sub(r"(?m)^(image:\n(?: .*\n)*?  repository: ).*$", rf"\g<1>{path}", text, count=1)
    values.write_text(text)
    return Tree(root, registry)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return ready(tmp_path, "ghcr.io/somebody")


def test_a_tree_that_is_ready_passes_the_check(tree: Tree) -> None:
    tree.succeed("check")
    assert tree.succeed("image") == f"ghcr.io/somebody/{NAME}:{__version__}\n"


CHART = f"helm/{NAME}/Chart.yaml"


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("exporter/__init__.py", f'__version__ = "{__version__}"', '__version__ = "9.9.9"'),
        (CHART, f"\nversion: {__version__}", "\nversion: 9.9.9"),
        (CHART, f'\nappVersion: "{__version__}"', '\nappVersion: "9.9.9"'),
        (CHART, f"/{NAME}:{__version__}", f"/{NAME}:9.9.9"),
        (f"helm/{NAME}/values.yaml", 'registry: "ghcr.io"', 'registry: "quay.io"'),
        (f"helm/{NAME}/values.yaml", f"repository: somebody/{NAME}", f"repository: other/{NAME}"),
        ("CHANGELOG.md", "/ 2030-01-02", "/ unreleased"),
        ("CHANGELOG.md", f"## {__version__} /", "## 9.9.9 /"),
    ],
)
def test_a_place_that_was_forgotten_stops_it(tree: Tree, path: str, old: str, new: str) -> None:
    tree.replace(path, old, new)
    done = tree.release("check")
    assert done.returncode == 1
    (problem,) = done.stderr.splitlines()
    assert problem.startswith(f"release: {path}: ")


@pytest.mark.parametrize("tag", [__version__, f"{TAG}-rc.1", "v1"])
def test_a_tag_of_another_form_stops_it(tree: Tree, tag: str) -> None:
    done = tree.release("check", tag)
    assert done.returncode == 1
    assert f"The tag '{tag}' is not v and three numbers, like v1.2.3." in done.stderr


def test_without_a_list_of_parts_nothing_is_summed_up(tree: Tree) -> None:
    tree.environment = helm_on_path("helm4", tree.root)
    done = tree.release("build")
    assert done.returncode == 1
    assert "run `make sbom` first" in done.stderr
    assert not (tree.dist / "SHA256SUMS").exists()


def helm_on_path(helm: str, folder: Path) -> dict[str, str]:
    """An environment with one of the test's Helms as `helm`."""
    binaries = folder / "bin"
    binaries.mkdir()
    (binaries / "helm").symlink_to(find_tool(helm))
    return {"PATH": f"{binaries}:{os.environ['PATH']}", "HOME": str(folder)}


@pytest.fixture(params=["helm3", "helm4"])
def pushed(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Tree, Registry, dict[str, str]]]:
    """A release that was built and pushed to a registry on loopback, with a small image."""
    find_tool("buildah")
    if os.geteuid() != 0:
        lacking("making an image takes root")
    with serving() as registry:
        tree = ready(tmp_path, f"{registry.host}/team")
        tree.environment = helm_on_path(request.param, tmp_path)
        tree.environment["GITHUB_OUTPUT"] = str(tmp_path / "output")
        tree.environment["CONTAINERS_STORAGE_CONF"] = str(tmp_path / "storage.conf")
        (tmp_path / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/images"\n'
            f'runroot = "{tmp_path}/run"\n'
        )
        small_image(tree)
        tree.dist.mkdir()
        (tree.dist / "sbom.cdx.json").write_text('{"bomFormat": "CycloneDX"}')
        tree.succeed("check")
        tree.succeed("build")
        tree.succeed("push", "--plain-http")
        yield tree, registry, json.loads((tree.dist / "pushed.json").read_text())


def small_image(tree: Tree) -> None:
    """Make an image of one file under the name that the release has for its own."""
    environment = os.environ | tree.environment

    def buildah(*arguments: str) -> str:
        done = subprocess.run(
            ["buildah", *arguments], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, str(tree.root / "CHANGELOG.md"), "/")
    buildah("commit", "--quiet", "--rm", container, tree.succeed("image").strip())


def test_image_and_chart_are_in_the_registry_and_signed_by_their_digests(
    pushed: tuple[Tree, Registry, dict[str, str]],
) -> None:
    tree, registry, names = pushed
    for kind, repository in (("image", f"team/{NAME}"), ("chart", f"team/charts/{NAME}")):
        manifest = registry.manifests[repository, __version__]
        assert names[f"{kind}-digest"] == digest_of(manifest)
        assert names[f"{kind}-name"] == f"{registry.host}/{repository}"
    (layer,) = json.loads(registry.manifests[f"team/charts/{NAME}", __version__])["layers"]
    chart = registry.blobs[layer["digest"]]
    with tarfile.open(fileobj=io.BytesIO(chart)) as archive:
        metadata = archive.extractfile(f"{NAME}/Chart.yaml")
        assert metadata is not None
        assert yaml.safe_load(metadata.read())["version"] == __version__

    outputs = (tree.root / "output").read_text().splitlines()
    assert dict(line.split("=", 1) for line in outputs) == names
    sums = (tree.dist / "SHA256SUMS").read_text().splitlines()
    assert f"{hashlib.sha256(chart).hexdigest()}  {NAME}-{__version__}.tgz" in sums
    notes = (tree.dist / "notes.md").read_text()
    assert f"/ 2030-01-02\n\n{notes}" in (tree.root / "CHANGELOG.md").read_text()
    assert "[" in notes
    assert "The one before" not in notes

    image, chart_name = (f"{names[f'{k}-name']}@{names[f'{k}-digest']}" for k in ("image", "chart"))
    sbom = tree.dist / "sbom.cdx.json"
    assert tree.succeed("sign", "--dry-run").splitlines() == [
        f"cosign sign --yes {image}",
        f"cosign sign --yes {chart_name}",
        f"cosign attest --yes --type cyclonedx --predicate {sbom} {image}",
    ]


def test_nothing_is_signed_that_was_not_pushed(tree: Tree) -> None:
    done = tree.release("sign", TAG, "--dry-run")
    assert done.returncode == 1
    assert "run the step `push` first" in done.stderr


def test_the_page_of_the_release_has_notes_chart_parts_and_sums(tree: Tree) -> None:
    files = [
        tree.dist / name for name in (f"{NAME}-{__version__}.tgz", "sbom.cdx.json", "SHA256SUMS")
    ]
    notes = f"--notes-file {tree.dist / 'notes.md'}"
    assert tree.succeed("announce", "--dry-run").strip() == " ".join(
        ["gh release create", TAG, "--verify-tag --title", __version__, notes, *map(str, files)]
    )


def test_the_password_is_no_argument(tree: Tree) -> None:
    tree.environment = {"REGISTRY_USER": "robot", "REGISTRY_PASSWORD": "hunter2"}
    printed = tree.succeed("login", "--dry-run")
    assert printed == "docker login ghcr.io --username robot --password-stdin\n"


def test_the_workflow_takes_every_step_in_order() -> None:
    help_text = tree_help()
    described = re.findall(r"^(\w+) {2,}\w", help_text.partition("\n\n")[2], re.MULTILINE)
    assert STEPS == ["check", "image", "build", "login", "push", "sign", "announce"]
    assert described[: len(STEPS)] == STEPS


def tree_help() -> str:
    """What `release.py --help` prints."""
    command = [sys.executable, str(ROOT / "scripts" / "release.py"), "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
