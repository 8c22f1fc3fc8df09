"""The packaged chart: whole, without what users do not need, small enough for Helm."""

from __future__ import annotations

import base64
import gzip
import json
import tarfile
from pathlib import Path

import pytest

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


def test_it_has_the_very_alerts_and_dashboards(package: Path) -> None:
    files = _files(package)
    for folder, pattern in (("alerts", "*.yaml"), ("grafana-dashboards", "*.json")):
        sources = list((ROOT / folder).glob(pattern))
        assert sources
        for source in sources:
            assert files.pop(f"files/{folder}/{source.name}") == source.read_bytes()
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


def test_a_copy_that_lost_its_links_says_so(helm: Helm, package: Path, tmp_path: Path) -> None:
    with tarfile.open(package) as archive:
        members = [m for m in archive.getmembers() if "/files/alerts/" not in m.name]
        archive.extractall(tmp_path, members, filter="data")
    chart = tmp_path / CHART.name
    with pytest.raises(Exception, match=r"no files/alerts: its links were lost"):
        helm.template({"prometheusRule": {"enabled": True}}, chart=chart)


def _files(package: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(package) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member)
            assert content is not None
            found[member.name.removeprefix(f"{CHART.name}/")] = content.read()
    return found
