"""What a configuration was read from is known, so that a change of it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.configuration import Footprint, check

MAIN = (
    "sources: [{name: f, type: files, paths: [x]}]\nrules: [{name: a, pattern: x}]\n"
    "rule_packs: [lambda]\nrule_files: ['rules/*.yaml']\n"
)
RULES = "rules: [{name: b, pattern: y}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration file and a rule file that it names by a glob."""
    (tmp_path / "exporter.yaml").write_text(MAIN)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "b.yaml").write_text(RULES)
    return tmp_path


def loaded(folder: Path) -> Footprint:
    footprint = Footprint()
    check([folder / "exporter.yaml"], footprint)
    return footprint


def test_it_names_the_configurations_files_and_no_packs(folder: Path) -> None:
    footprint = loaded(folder)
    assert set(footprint.seen) == {
        str(folder / "exporter.yaml"),
        str(folder / "rules" / "b.yaml"),
    }
    assert footprint.look() == footprint.seen


def write(path: Path) -> None:
    path.write_text(path.read_text() + "# changed\n")


def write_in_the_same_moment(path: Path) -> None:
    """As on a volume whose times are coarse: time and size stay."""
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_text(path.read_text().replace("pattern: x", "pattern: z"))
    os.utime(path, ns=times)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: write(folder / "exporter.yaml"),
        lambda folder: write_in_the_same_moment(folder / "exporter.yaml"),
        lambda folder: write(folder / "rules" / "b.yaml"),
        lambda folder: (folder / "rules" / "new.yaml").write_text(RULES),
        lambda folder: (folder / "rules" / "b.yaml").unlink(),
        lambda folder: (folder / "rules" / "b.yaml").rename(folder / "rules" / "c.yaml"),
        lambda folder: (folder / "exporter.yaml").unlink(),
    ],
    ids=["written", "same-time-and-size", "named", "new", "deleted", "renamed", "missing"],
)
def test_a_change_is_seen(folder: Path, change: Callable[[Path], object]) -> None:
    footprint = loaded(folder)
    change(folder)
    assert footprint.look() != footprint.seen


def test_what_is_only_touched_or_not_named_has_not_changed(folder: Path) -> None:
    footprint = loaded(folder)
    (folder / "exporter.yaml").touch()
    (folder / "rules" / "b.yaml.swp").write_text("an editor's")
    assert footprint.look() == footprint.seen


def test_a_configmap_that_is_swapped_is_seen(tmp_path: Path) -> None:
    """Kubernetes: the files are links through ``..data``, which is replaced as a whole."""
    for version, text in (("1", MAIN), ("2", MAIN + "# two\n")):
        data = tmp_path / f"..{version}"
        data.mkdir()
        (data / "exporter.yaml").write_text(text)
        (data / "b.yaml").write_text(RULES)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "exporter.yaml").symlink_to("..data/exporter.yaml")
    footprint = loaded(tmp_path)
    assert footprint.look() == footprint.seen
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    assert footprint.look() != footprint.seen


def test_a_configuration_in_error_is_known_as_well(folder: Path) -> None:
    """Else nobody would notice that the rule file was mended."""
    (folder / "rules" / "b.yaml").write_text("rules: [{name: B}]\n")
    footprint = loaded(folder)
    (folder / "rules" / "b.yaml").write_text(RULES)
    assert footprint.look() != footprint.seen


def test_a_pipe_is_not_read_again(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    footprint = Footprint()
    footprint.add_files([pipe])
    assert footprint.look() == footprint.seen
