"""The image as its users run it: read-only, without rights, without a shell."""

from __future__ import annotations

import json
import math
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import bcrypt
import pytest
import yaml

from exporter import __version__
from exporter.configuration.packs import available_packs
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from metric_filter_demo.trail import BUCKET, QUEUE, Trail
from tests.support.certificates import Authority
from tests.support.images import Container, Image, make
from tests.support.prometheus import Prometheus
from tests.support.records import ACCOUNT, trail_record
from tests.support.tools import ROOT, PrometheusBinaries
from tests.support.waiting import wait_for

LIMIT = 80_000_000
"""Bytes that the image may add to its base, uncompressed. docs/installation.md states the size."""

HISTORY = {
    "name": "history",
    "type": "event_history",
    "regions": ["us-east-1"],
    "interval": "1s",
    "lookback": "30s",
}
LOGINS = {
    "name": "logins",
    "pattern": "{ $.eventName = ConsoleLogin }",
    "metric": "logins_total",
    "sources": ["history"],
}

Run = Callable[..., Container]


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    """An AWS without request quotas."""
    with EmbeddedAws(quotas={"LookupEvents": math.inf}) as embedded:
        yield embedded


@pytest.fixture
def container(image: Image, aws: EmbeddedAws, tmp_path: Path) -> Run:
    """Make a container of the image; nothing is started."""
    folder = configured(tmp_path, {"sources": [HISTORY], "rules": [LOGINS]})

    def make_container(*arguments: str, **options: Any) -> Container:
        return Container(
            image,
            folder,
            tmp_path / "data",
            arguments=("--metrics.birth-hold=0s", *arguments),
            environment=aws.environment(),
            **options,
        )

    return make_container


def configured(tmp_path: Path, document: Mapping[str, Any]) -> Path:
    """A folder that the container's user may read; tmp_path itself is root's alone."""
    folder = tmp_path / "configuration"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(document)))
    return folder


def logins(container: Container) -> float | None:
    return container.scrape().value("logins_total")


def test_it_starts_without_rights_on_a_read_only_root_and_serves_metrics(container: Run) -> None:
    with container() as running:
        running.wait_until_ready()
        assert logins(running) == 0
        process = Path(f"/proc/{running.pid}")
        status = dict(re.findall(r"^(\w+):\t(.*)$", (process / "status").read_text(), re.MULTILINE))
        assert status["Uid"].split() == ["65532"] * 4
        assert status["Gid"].split() == ["65532"] * 4
        assert int(status["CapEff"], 16) == 0
        root = next(
            line.split()
            for line in (process / "mountinfo").read_text().splitlines()
            if line.split()[4] == "/"
        )
        assert "ro" in root[5].split(",")
        command = (process / "cmdline").read_bytes().split(b"\0")
        assert command[:5] == [b"/venv/bin/python", b"-I", b"-m", b"exporter", b"run"]


def test_it_stops_within_10_seconds_of_sigterm_and_nothing_is_lost(
    container: Run, aws: EmbeddedAws
) -> None:
    with container() as running:
        running.wait_until_ready()
        for _ in range(5):
            aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin"))
        wait_for("the first logins", lambda: logins(running) == 5)
        aws.faults = Faults(slow=(1.0, 2.0))
        for _ in range(20):
            aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin"))
        asked = time.monotonic()
        assert running.terminate(timeout=10) == 0
        assert time.monotonic() - asked < 10
        aws.faults = Faults()
        running.start()
        running.wait_until_listening()
        wait_for("all logins", lambda: logins(running) == 25)


def test_workers_read_objects_in_s3_and_leave_nothing_beside_the_ledger(
    image: Image, aws: EmbeddedAws, tmp_path: Path
) -> None:
    trail = Trail(aws, "us-east-1", random.Random(1), retention=math.inf)
    for _ in range(20):
        for number in range(5):
            trail.put(trail_record("ConsoleLogin", eventID=str(uuid4()), number=number))
        trail.deliver()
    queue = aws.queue_create("us-east-1", QUEUE)
    source = {"name": "trail", "type": "trail_bucket", "queue_url": queue, "buckets": [BUCKET]}
    rule = LOGINS | {"sources": ["trail"]}
    folder = configured(tmp_path, {"sources": [source | {"interval": "1s"}], "rules": [rule]})
    data = tmp_path / "data"
    arguments = ("--metrics.birth-hold=0s", "--workers=2")
    with Container(
        image, folder, data, arguments=arguments, environment=aws.environment()
    ) as running:
        running.wait_until_ready()
        wait_for("all logins", lambda: logins(running) == 100)
        assert any(data.glob("pymp-*")), "the workers' socket: /tmp is read-only"
        assert running.terminate(timeout=10) == 0
    assert all(path.name.startswith("ledger.sqlite3") for path in data.iterdir())


def test_a_real_prometheus_scrapes_it_over_tls_with_basic_auth(
    container: Run, tmp_path: Path, prometheus_binaries: PrometheusBinaries
) -> None:
    authority = Authority(tmp_path / "configuration")
    server = authority.issue("server")
    os.chmod(server.key, 0o644)  # noqa: PTH101 - the container's user is another
    password = "a password"
    web = {
        "tls_server_config": {"cert_file": server.certificate.name, "key_file": server.key.name},
        "basic_auth_users": {
            "prometheus": bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
        },
    }
    (tmp_path / "configuration" / "web.yaml").write_text(yaml.safe_dump(web))
    running = container(
        "--web.config.file=/etc/metric-filter-exporter/web.yaml",
        tls=authority.client(),
        auth=("prometheus", password),
    )
    scraping = {
        "scheme": "https",
        "tls_config": {"ca_file": str(authority.file)},
        "basic_auth": {"username": "prometheus", "password": password},
    }
    with (
        running,
        Prometheus(
            prometheus_binaries.prometheus,
            tmp_path / "prometheus",
            targets={"exporter": running.address},
            extra=scraping,
        ) as prometheus,
    ):
        running.wait_until_ready()
        prometheus.wait_until_up("exporter")
        (sample,) = prometheus.query("logins_total")
        assert sample.value == 0
        assert running.terminate(timeout=10) == 0


def test_its_configuration_says_how_to_run_it(image: Image) -> None:
    settings = image.settings
    assert settings["User"] == "65532:65532"
    assert settings["Entrypoint"] == ["/venv/bin/python", "-I", "-m", "exporter"]
    assert settings["Cmd"] == ["run"]
    assert settings["Volumes"] == {"/data": {}}
    assert settings["ExposedPorts"] == {"10911/tcp": {}}
    assert image.environment["MFE_CONFIG_FILE"] == "/etc/metric-filter-exporter/config.yaml"
    assert image.environment["MFE_STORAGE_PATH"] == "/data"
    labels = {
        name.removeprefix("org.opencontainers.image."): value
        for name, value in settings["Labels"].items()
    }
    assert labels["title"] == "metric-filter-exporter"
    assert labels["version"] == __version__
    assert labels["licenses"] == "Apache-2.0"
    assert re.fullmatch("[0-9a-f]{40}|unknown", labels["revision"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels["created"])
    assert labels["base.name"]


def test_it_is_small(image: Image) -> None:
    assert image.added < LIMIT


def test_it_holds_the_exporter_and_nothing_to_install_with(image: Image) -> None:
    assert image.run("--version").startswith(f"metric-filter-exporter {__version__} ")
    (packages,) = (image.root / "venv" / "lib").glob("python3.*/site-packages")
    names = {path.name for path in packages.iterdir()}
    assert {"exporter", "botocore", "metric_filter_exporter-" + __version__ + ".dist-info"} <= names
    assert not names & {"pip", "setuptools", "moto", "tests", "pytest"}
    owned_by_others = [path for path in packages.rglob("*") if path.stat().st_uid]
    assert owned_by_others == []


def test_every_rule_pack_is_in_it(image: Image, tmp_path: Path) -> None:
    apps = {"name": "apps", "type": "log_groups", "log_groups": ["/app/*"]}
    folder = configured(
        tmp_path, {"sources": [HISTORY, apps], "rule_packs": list(available_packs())}
    )
    mounts = [("/etc/metric-filter-exporter", str(folder), "ro")]
    assert re.search(r"2 sources, \d+ rules: ok", image.run("check", mounts=mounts))


def test_the_list_of_parts_names_what_is_in_it(image: Image) -> None:
    make("sbom", "--assume-old=setup", "--assume-old=image", f"IMAGE={image.name}")
    listed = json.loads((ROOT / "dist" / "sbom.cdx.json").read_text())
    assert listed["bomFormat"] == "CycloneDX"
    purls = {component.get("purl", "").partition("?")[0] for component in listed["components"]}
    assert f"pkg:pypi/metric-filter-exporter@{__version__}" in purls
    locked = re.findall(
        r"^([a-z0-9-]+)==(\S+) \\$", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    assert [pin for pin in locked if "pkg:pypi/{}@{}".format(*pin) not in purls] == []
    assert any(purl.startswith("pkg:deb/debian/libc6@") for purl in purls)
