"""docker-compose.yaml fits the files that it mounts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Final

import pytest
import yaml

from tests.support.tools import ROOT, find_tool

_COMPOSE: Final = ROOT / "deploy" / "compose"


def _read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found = _read("docker-compose.yaml")["services"]
    assert isinstance(found, dict)
    return found


def _mounts(service: dict[str, Any]) -> dict[str, str]:
    """What is mounted from the repository: path in the container → path here."""
    found = {}
    for volume in service["volumes"]:
        here, inside, *mode = volume.split(":")
        if here.startswith("./"):
            assert mode == ["ro"], f"{volume} is not read-only"
            assert (ROOT / here).exists(), here
            found[inside] = here
    return found


def test_everything_of_the_repository_is_mounted_read_only(services: dict[str, Any]) -> None:
    assert {name: len(_mounts(service)) for name, service in services.items()} == {
        "exporter": 1,
        "prometheus": 2,
        "grafana": 2,
    }


def test_nothing_listens_beyond_loopback_or_has_privileges(services: dict[str, Any]) -> None:
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_the_exporters_configuration_is_good(services: dict[str, Any]) -> None:
    flags = dict(f.removeprefix("--").split("=") for f in services["exporter"]["command"][1:])
    here = _mounts(services["exporter"])[flags["config.file"]]
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "check", f"--config.file={ROOT / here}"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr


def test_prometheus_scrapes_the_exporter_and_loads_the_alerts(services: dict[str, Any]) -> None:
    here = _mounts(services["prometheus"])
    configuration = _read(here["/etc/prometheus/prometheus.yaml"])
    (job,) = configuration["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["exporter:10911"]}]
    (rules,) = configuration["rule_files"]
    folder, _, pattern = rules.rpartition("/")
    assert list((ROOT / here[folder]).glob(pattern))


def test_promtool_accepts_the_configuration() -> None:
    promtool = find_tool("promtool3")
    command = [str(promtool), "check", "config", "--syntax-only", str(_COMPOSE / "prometheus.yaml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout


def test_grafana_finds_prometheus_and_the_dashboards(services: dict[str, Any]) -> None:
    (source,) = _read("deploy/compose/grafana/datasources/prometheus.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == "30s"
    assert _read("deploy/compose/prometheus.yaml")["global"]["scrape_interval"] == "30s"
    provisioned = "deploy/compose/grafana/dashboards/metric-filter-exporter.yaml"
    (provider,) = _read(provisioned)["providers"]
    here = _mounts(services["grafana"])
    dashboards = here[provider["options"]["path"]]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / dashboards / home.rpartition("/")[2]).exists()
