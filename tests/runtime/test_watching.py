"""A changed configuration is loaded once, when it stands still."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.configuration import Footprint
from exporter.runtime.watching import Watch


class Loader:
    """Loads one file, and counts how often."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.loads: list[str] = []
        self.load()

    def load(self) -> None:
        self.footprint = Footprint()
        self.footprint.add_files([self._path])
        self.loads.append(self._path.read_text())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "exporter.yaml"
    path.write_text("one")
    return path


@pytest.fixture
def loader(path: Path) -> Loader:
    return Loader(path)


@pytest.fixture
def watch(loader: Loader) -> Watch:
    return Watch(lambda: loader.footprint, loader.load)


def test_what_stays_as_it_is_is_not_loaded_again(watch: Watch, loader: Loader) -> None:
    for _ in range(3):
        watch.look()
    assert loader.loads == ["one"]


def test_a_change_is_loaded_once_when_it_stands_still(
    watch: Watch, loader: Loader, path: Path
) -> None:
    watch.look()
    for text in ("tw", "two", "two!"):
        path.write_text(text)
        watch.look()
        assert loader.loads == ["one"]
    for _ in range(3):
        watch.look()
    assert loader.loads == ["one", "two!"]


def test_what_was_reloaded_by_hand_is_not_loaded_again(
    watch: Watch, loader: Loader, path: Path
) -> None:
    path.write_text("two")
    watch.look()
    loader.load()
    watch.look()
    watch.look()
    assert loader.loads == ["one", "two"]


def test_a_change_that_is_taken_back_is_none(watch: Watch, loader: Loader, path: Path) -> None:
    path.write_text("two")
    watch.look()
    path.write_text("one")
    watch.look()
    watch.look()
    assert loader.loads == ["one"]


def test_a_change_during_the_load_is_seen(loader: Loader, path: Path) -> None:
    def load_and_write() -> None:
        loader.load()
        if loader.loads[-1] == "two":
            path.write_text("three")

    watch = Watch(lambda: loader.footprint, load_and_write)
    path.write_text("two")
    for _ in range(4):
        watch.look()
    assert loader.loads == ["one", "two", "three"]
