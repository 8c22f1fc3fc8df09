"""What can be said of the image before it is built."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import exporter
from scripts.slim_botocore import SERVICES
from tests.support.tools import ROOT


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


def test_the_image_keeps_the_models_of_every_service_that_is_called() -> None:
    modules = Path(exporter.__file__).parent.rglob("*.py")
    called = {
        service
        for path in modules
        for service in re.findall(r'Call\(\s*"([a-z0-9]+)"', path.read_text())
    }
    assert len(called) == 8
    assert called <= SERVICES
