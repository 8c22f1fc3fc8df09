"""What is installed, for whom ever, has the versions and hashes of a lock file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.lock import ALL, LOCKS, Lock
from tests.support.tools import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
@pytest.mark.parametrize("python", PYTHONS)
def test_a_lock_is_in_step_with_pyproject(lock: Lock, python: str) -> None:
    """If not: `make lock`."""
    pinned = pins(lock, python)
    wanted = [item for item in requirements(lock) if applies(item.marker, python)]
    assert wanted
    for item in wanted:
        version = pinned.get(canonicalize_name(item.name))
        assert version is not None, f"{lock.name} lacks {item.name}"
        assert item.specifier.contains(version), f"{lock.name} has {item.name} {version}"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_has_nothing_that_pyproject_no_longer_names(lock: Lock) -> None:
    """If it has: `make lock`."""
    direct = {entry.partition("==")[0] for entry in entries(lock) if is_direct(entry)}
    assert direct == {canonicalize_name(item.name) for item in requirements(lock)}


@pytest.mark.parametrize("python", PYTHONS)
def test_the_image_runs_on_the_versions_that_the_tests_ran_with(python: str) -> None:
    tested = pins(ALL, python)
    for lock in LOCKS:
        if "fuzz" not in lock.groups:
            assert pins(lock, python).items() <= tested.items(), lock.name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_has_hashes_and_names_no_index(lock: Lock) -> None:
    assert [entry for entry in entries(lock) if "--hash=sha256:" not in entry] == []
    assert "://" not in lock.path.read_text()


@pytest.mark.parametrize(
    "path", ["Makefile", "Dockerfile", "scripts/setup", "docs/installation.md"]
)
def test_nothing_is_installed_past_a_lock_unless_the_newest_is_asked_for(path: str) -> None:
    text = (ROOT / path).read_text().replace("\\\n", " ")
    commands = re.findall(r"^.*\bpip [^\n]*?install .*$|^ *install --.*$", text, re.MULTILINE)
    loose = [
        command.strip()
        for command in commands
        if not re.search(r'--require-hashes|--no-(build-isolation|index)|--upgrade|"\$@"', command)
    ]
    assert commands
    assert loose == []


def test_no_page_installs_into_a_python_that_its_distribution_manages() -> None:
    """Debian refuses it (PEP 668)."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    found = [
        f"{page.name}: {command}"
        for page in pages
        for command in re.findall(r"^.*\bpip3? install .*$", page.read_text(), re.MULTILINE)
        if "/bin/pip" not in command
    ]
    assert found == []


def requirements(lock: Lock) -> list[Requirement]:
    """What a lock is for."""
    project = PROJECT["project"]
    texts: list[str] = [
        *(project["dependencies"] if lock.whole else []),
        *(text for extra in lock.extras for text in project["optional-dependencies"][extra]),
        *(text for group in lock.groups for text in PROJECT["dependency-groups"][group]),
        *(PROJECT["build-system"]["requires"] if lock.build else []),
    ]
    return [Requirement(text) for text in texts]


def entries(lock: Lock) -> list[str]:
    """Each pin with its hashes and comments."""
    return re.split(r"^(?=[a-z0-9])", lock.path.read_text(), flags=re.MULTILINE)[1:]


def is_direct(entry: str) -> bool:
    """Whether pyproject.toml names it; uv has no comment on what the build requires."""
    comments = re.findall(r"^ +# +(?:via *)?(.*)$", entry, re.MULTILINE)
    named_by = {comment for comment in comments if comment and comment != f"-c {ALL.name}"}
    return not named_by or any("(pyproject.toml" in comment for comment in named_by)


@cache
def pins(lock: Lock, python: str) -> dict[str, str]:
    """The versions that a Python gets on Linux, by name."""
    return dict(_pins(lock, python))


def _pins(lock: Lock, python: str) -> Iterator[tuple[str, str]]:
    for entry in entries(lock):
        item = Requirement(entry.partition("\\")[0].partition("#")[0].strip())
        if applies(item.marker, python):
            yield canonicalize_name(item.name), str(item.specifier).removeprefix("==")


def applies(marker: Marker | None, python: str) -> bool:
    """Whether a marker holds for CPython of this version on Linux."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }
    return marker is None or marker.evaluate(environment)
