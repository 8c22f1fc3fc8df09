"""Globs of rule files find what the standard library's do, and never look for ever."""

from __future__ import annotations

import glob
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.configuration import Footprint, check
from exporter.yamlfile import globs
from exporter.yamlfile.contents import MAX_BYTES
from exporter.yamlfile.globs import GlobError, find_files

WriteFile = Callable[..., Path]
STEPS = ["a", "b", "*", "**", "?", "[ab]", ".*", ".h", "x.yaml", "*.yaml", "[!a]*", "no"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("x.yaml", "a/x.yaml", "a/b/x.yaml", "a/b/.y.yaml", ".h/x.yaml", "b/.h/z.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "b" / "to_a").symlink_to("../a")
    (tmp_path / "b" / "to_x.yaml").symlink_to("../x.yaml")
    (tmp_path / "b" / "to_nothing.yaml").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe.yaml")
    return tmp_path


def test_they_find_the_regular_files_that_the_standard_library_finds(tree: Path) -> None:
    patterns = [
        "/".join((glob.escape(str(tree)), *steps))
        for length in (1, 2, 3)
        for steps in itertools.product(STEPS, repeat=length)
    ]
    found = 0
    for pattern in patterns:
        names = set(glob.glob(pattern, recursive=True))  # noqa: PTH207
        expected = sorted(name for name in names if os.path.isfile(name))  # noqa: PTH113
        assert find_files(pattern) == expected, pattern
        found += bool(expected)
    assert found > 300


def test_a_circle_of_links_ends(tree: Path) -> None:
    (tree / "a" / "up").symlink_to("..")
    with pytest.raises(GlobError, match="name a narrower pattern"):
        find_files(f"{tree}/**/b/x.yaml")


def test_more_files_than_a_configuration_has_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(globs, "MAX_FOUND", 20)
    for index in range(20):
        (tmp_path / f"{index}.yaml").touch()
    assert len(find_files(f"{tmp_path}/*")) == 20
    (tmp_path / "one_more.yaml").touch()
    with pytest.raises(GlobError, match=r"/\*\* finds more than 20 files"):
        find_files(f"{tmp_path}/**")


def test_more_visits_than_a_configuration_needs_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(globs, "MAX_VISITED", 40)  # each folder is listed for ** and for *.yaml
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        for index in range(9):
            (folder / str(index)).touch()
    assert find_files(f"{tmp_path}/**/*.yaml") == []
    (tmp_path / "a" / "one_more").touch()
    with pytest.raises(GlobError, match="looks at more than 40 files and folders"):
        find_files(f"{tmp_path}/**/*.yaml")


@pytest.mark.parametrize("pattern", ["/proc/**", "/proc/**/*.yaml", "/**/none.yaml", "/sys/**"])
def test_a_glob_over_the_whole_system_is_an_error_at_once(write: WriteFile, pattern: str) -> None:
    config = write(f"rules: [{{name: a, pattern: x}}]\nrule_files: ['{pattern}']\n")
    footprint = Footprint()
    started = time.monotonic()
    (error,) = [problem for problem in check([config], footprint).problems if problem.location.line]
    footprint.look()
    assert time.monotonic() - started < 20
    assert (error.location.line, error.message.split()[0]) == (2, pattern)
    assert error.message.endswith("name a narrower pattern")


def test_a_file_that_makes_its_reader_wait_is_empty(write: WriteFile) -> None:
    # The kernel's log: a regular file without a size; a reader waits for the next message.
    config = write("rules: [{name: a, pattern: x}]\nrule_files: [/proc/kmsg]\n")
    messages = [problem.message for problem in check([config]).problems]
    assert any("file is empty" in message or "cannot be read" in message for message in messages)


def test_a_huge_file_is_not_read(write: WriteFile, tmp_path: Path) -> None:
    config = write("rules: [{name: a, pattern: x}]\nrule_files: [huge.yaml]\n")
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(MAX_BYTES * 100_000)
    messages = [problem.message for problem in check([config]).problems]
    assert "the file has more than 16 MiB: is it the right one?" in messages
