"""What is installed in production, and what the demo adds."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from exporter import __version__
from tests.support.tools import ROOT

PROGRAM = """
import sys
sys.path += [{folder!r}, {libraries!r}]
sys.modules |= dict.fromkeys({lacking!r})
from exporter.__main__ import main
main()
"""


def wheel(source: Path, folder: Path) -> Path:
    """Build the wheel of a source tree and unpack it; the folder that it is in."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=source,
        capture_output=True,
        check=True,
        timeout=60,
    )
    (built,) = folder.glob("*.whl")
    unpacked = folder / "site"
    zipfile.ZipFile(built).extractall(unpacked)
    return unpacked


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the repository, unpacked."""
    return wheel(ROOT, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the image is made with, unpacked: of what the Dockerfile copies."""
    source = tmp_path_factory.mktemp("source")
    dockerfile = (ROOT / "Dockerfile").read_text().split("\nFROM ")[1]
    for line in re.findall(r"^COPY (?!--)(.+)$", dockerfile, re.MULTILINE):
        *names, target = line.split()
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / target)
            else:
                (source / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, source / target)
    return wheel(source, tmp_path_factory.mktemp("image"))


def run(
    site: Path, *arguments: str, lacking: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run an unpacked wheel with this environment's libraries, the repository left out."""
    libraries = sysconfig.get_path("purelib")
    program = PROGRAM.format(folder=str(site), libraries=libraries, lacking=lacking)
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, *arguments],
        cwd=site,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_image_is_without_the_demo_and_says_what_to_install(image: Path) -> None:
    assert not (image / "metric_filter_demo").exists()
    assert run(image, "--version").returncode == 0
    done = run(image, "demo")
    assert done.returncode == 1
    assert done.stderr == (
        "error: metric_filter_demo is not installed: pip install 'metric-filter-exporter[demo]'\n"
    )


def test_without_the_extra_the_demo_says_what_to_install(whole: Path) -> None:
    done = run(whole, "demo", lacking=("moto",))
    assert done.returncode == 1
    assert done.stderr == (
        "error: moto is not installed: pip install 'metric-filter-exporter[demo]'\n"
    )


@pytest.mark.parametrize("command", ["check", "run", "test", "match", "explain", "iam-policy"])
def test_no_other_command_needs_the_extra(image: Path, command: str) -> None:
    done = run(image, command, "--help", lacking=("moto", "flask", "werkzeug"))
    assert done.returncode == 0, done.stderr


def test_the_wheel_has_the_demo_and_what_it_reads(whole: Path) -> None:
    for name in ("config.yaml", "rules.yaml", "demonstration.py"):
        assert (whole / "metric_filter_demo" / name).is_file()


def test_both_have_the_rule_packs(whole: Path, image: Path) -> None:
    packs = {path.name for path in (ROOT / "config" / "rules").glob("*.yaml")}
    for site in (whole, image):
        assert {path.name for path in (site / "exporter" / "packs").glob("*.yaml")} == packs
        assert {path.name for path in site.iterdir()} - {"metric_filter_demo"} == {
            "exporter",
            f"metric_filter_exporter-{__version__}.dist-info",
        }
