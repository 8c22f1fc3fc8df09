"""The packaged chart: whole, without what users do not need, small enough for Helm."""

from __future__ import annotations

import base64
import gzip
import json
import tarfile
from pathlib import Path

import pytest

from scripts.chart_files import COPIED, FILES, sources
from tests.support.helm import CHART, Helm
from tests.support.tools import ROOT

RELEASE_LIMIT = 1_048_576
"""Bytes of a Secret: Helm keeps a release, chart and objects, in one."""
EVERYTHING = {
    "prometheusRule": {
        "enabled": True,
        "files": sorted(path.stem for path in (ROOT / "alerts").glob("*.yaml")),
    },
    "dashboards": {"enabled": True, "grafanaOperator": {"enabled": True}},
}


@pytest.fixture(scope="module")
def package(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    helm.run("package", str(CHART), f"--destination={folder}")
    (path,) = folder.iterdir()
    return path


def test_the_folder_has_the_very_alerts_and_dashboards() -> None:
    """If not: `make chart`. Flux and Argo CD take the folder as it is in Git."""
    for folder in COPIED:
        copies = {path.name: path.read_bytes() for path in (FILES / folder).iterdir()}
        assert copies
        assert copies == sources(folder), "run `make chart`"


def test_the_folder_has_no_links() -> None:
    assert [path for path in CHART.rglob("*") if path.is_symlink()] == []


def test_it_has_the_very_alerts_and_dashboards(package: Path) -> None:
    files = _files(package)
    for folder in COPIED:
        for name, content in sources(folder).items():
            assert files.pop(f"files/{folder}/{name}") == content
    assert [name for name in files if name.startswith("files/")] == ["files/test_connection.py"]


def test_it_has_nothing_of_the_tests(package: Path) -> None:
    parts = {name.split("/")[0] for name in _files(package)}
    assert parts - {".helmignore"} == {
        "Chart.yaml",
        "README.md",
        "files",
        "templates",
        "values.schema.json",
        "values.yaml",
    }


def test_it_renders_as_the_folder_does(helm: Helm, package: Path) -> None:
    assert helm.template(EVERYTHING, chart=package) == helm.template(EVERYTHING)


def test_a_release_of_everything_fits_into_a_secret(helm4: Helm, package: Path) -> None:
    objects = json.dumps(helm4.template(EVERYTHING).manifests)
    chart = {name: base64.b64encode(data).decode() for name, data in _files(package).items()}
    release = gzip.compress(json.dumps([objects, chart]).encode())
    # Base64 twice: Helm's, and that of the Secret counts only once it is decoded.
    assert len(base64.b64encode(release)) < RELEASE_LIMIT / 2


def test_a_copy_that_lost_its_files_says_so(helm: Helm, package: Path, tmp_path: Path) -> None:
    with tarfile.open(package) as archive:
        members = [m for m in archive.getmembers() if "/files/alerts/" not in m.name]
        archive.extractall(tmp_path, members, filter="data")
    chart = tmp_path / CHART.name
    with pytest.raises(Exception, match=r"no files/alerts: it is incomplete"):
        helm.template({"prometheusRule": {"enabled": True}}, chart=chart)


def _files(package: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(package) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member)
            assert content is not None
            found[member.name.removeprefix(f"{CHART.name}/")] = content.read()
    return found
