"""Tests that compare with ../shared say so, and with CI=true fail if it cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import shared
from tests.support.shared import shared_files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is taken for ../shared; it is not there yet."""
    monkeypatch.setattr(shared, "SHARED", tmp_path / "shared")
    return tmp_path / "shared"


@pytest.mark.parametrize("ci", ["true", ""])
@pytest.mark.usefixtures("folder")
def test_without_the_folder_tests_are_skipped(monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(pytest.skip.Exception, match=r"no \.\./shared .* \(samples/logs\)"):
        shared_files("samples/logs")


@pytest.mark.parametrize("broken", ["link", "no part", "empty part"])
def test_what_is_there_and_cannot_be_read_fails_in_ci(
    folder: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    if broken == "link":
        folder.symlink_to(folder.parent / "nowhere")
    else:
        (folder / "samples" / "logs" if broken == "empty part" else folder).mkdir(parents=True)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"\.\./shared/samples/logs .*CI=true"):
        shared_files("samples/logs")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match=r"\.\./shared/samples/logs "):
        shared_files("samples/logs")


def test_its_files_are_given_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    (folder / "samples").mkdir(parents=True)
    for name in ("b.log", "a.log", "c.txt"):
        (folder / "samples" / name).write_text("x")
    assert [path.name for path in shared_files("samples", "*.log")] == ["a.log", "b.log"]
