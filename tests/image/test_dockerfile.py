"""What can be said of the image before it is built."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from exporter.aws import session
from scripts.slim_botocore import SERVICES
from tests.support.tools import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKED = {
    "requirements.lock": PROJECT["project"]["dependencies"],
    "requirements-build.lock": PROJECT["build-system"]["requires"],
}


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_the_base_is_pinned_by_digest_and_can_be_another() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    (default,) = re.findall(r"^ARG BASE_IMAGE=(.+)$", dockerfile, re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+-slim-\w+@sha256:[0-9a-f]{64}", default)
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${BASE_IMAGE}"}


@pytest.mark.parametrize("lock", LOCKED)
def test_the_lock_is_in_step_with_pyproject(lock: str) -> None:
    """If not: `make lock`."""
    pinned = _pins((ROOT / lock).read_text())
    for text in LOCKED[lock]:
        wanted = Requirement(text)
        version = pinned.get(canonicalize_name(wanted.name))
        assert version is not None, f"{lock} lacks {wanted.name}"
        assert wanted.specifier.contains(version), f"{lock} has {wanted.name} {version}"


def test_the_lock_has_nothing_that_pyproject_no_longer_names() -> None:
    """If it has: `make lock`."""
    direct = re.findall(
        r"^([a-z0-9-]+)==(?:(?!^\S).)*\(pyproject\.toml\)",
        _without_comment_marks((ROOT / "requirements.lock").read_text()),
        re.MULTILINE | re.DOTALL,
    )
    wanted = {
        canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]
    }
    assert set(direct) == wanted


@pytest.mark.parametrize("lock", LOCKED)
def test_every_pin_has_hashes_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_the_image_keeps_the_models_of_every_service_that_is_called() -> None:
    calls = r'self\.(?:_client\(|_make\(self\._open\(\), )"([a-z0-9-]+)"'
    called = set(re.findall(calls, Path(session.__file__).read_text()))
    assert len(called) == 3
    assert called <= SERVICES


def _pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text, re.MULTILINE))


def _without_comment_marks(text: str) -> str:
    return text.replace("\n    #", "\n     ")
