"""The real exporter with ``--web.config.file``, and a real Prometheus."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest
import yaml

from tests.support.certificates import Authority, Certificate
from tests.support.processes import Exporter, clean_environment
from tests.support.prometheus import Prometheus
from tests.support.tools import PrometheusBinaries
from tests.support.waiting import wait_for

CONFIGURATION = """\
sources: [{name: replay, type: files, paths: [app.log], format: lines, interval: 1s}]
rules: [{name: errors, pattern: ERROR, metric: app_errors_total}]
"""


class SecuredExporter(Exporter):
    """Speaks TLS, and lets alice in."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        (folder / "app.log").write_text("one ERROR\n")
        configuration = folder / "exporter.yaml"
        configuration.write_text(CONFIGURATION)
        self.web_config = folder / "web.yml"
        super().__init__(
            configuration,
            folder / "data",
            arguments=(f"--web.config.file={self.web_config}", "--metrics.birth-hold=0s"),
        )
        self.url = f"https://{self.address}"
        self.authority = authority
        self.shown: Certificate | None = None
        self.auth: tuple[str, str] | None = ("alice", "secret")
        made = authority.issue("server")
        self.sections: dict[str, Any] = {
            "tls_server_config": {
                "cert_file": str(made.certificate.relative_to(folder)),
                "key_file": str(made.key.relative_to(folder)),
            },
            "basic_auth_users": {
                "alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode(),
            },
        }

    def start(self) -> None:
        """Write the web configuration and start."""
        self.web_config.write_text(yaml.safe_dump(self.sections))
        super().start()

    def get(self, path: str, **headers: str) -> httpx.Response:
        """GET a path, as alice, with the client's certificate if there is one."""
        verify = self.authority.client(self.shown)
        with httpx.Client(verify=verify, trust_env=False, timeout=10, auth=self.auth) as client:
            return client.get(f"{self.url}{path}", headers=headers)


@pytest.fixture
def exporter(tmp_path: Path, authority: Authority) -> SecuredExporter:
    return SecuredExporter(tmp_path, authority)


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "exporter", "check", *arguments]
    return subprocess.run(
        command, cwd=folder, env=clean_environment({}), capture_output=True, text=True, check=False
    )


def check_with_promtool(binaries: PrometheusBinaries, exporter: SecuredExporter) -> None:
    command = [str(binaries.promtool), "check", "web-config", str(exporter.web_config)]
    subprocess.run(command, check=True, capture_output=True)


def scrape_options(authority: Authority, **tls: str) -> dict[str, Any]:
    return {"scheme": "https", "tls_config": {"ca_file": str(authority.file), **tls}}


def test_prometheus_scrapes_over_tls_with_a_password(
    exporter: SecuredExporter,
    authority: Authority,
    tmp_path: Path,
    prometheus_binaries: PrometheusBinaries,
) -> None:
    options = scrape_options(authority)
    login = {"username": "alice", "password": "secret"}
    with (
        exporter,
        Prometheus(
            prometheus_binaries.prometheus,
            tmp_path / "prometheus",
            targets={"exporter": exporter.address},
            extra={**options, "basic_auth": login},
        ) as prometheus,
    ):
        exporter.wait_until_ready()
        prometheus.wait_until_up("exporter")
        wait_for("the count", lambda: prometheus.query("app_errors_total == 1"))
        check_with_promtool(prometheus_binaries, exporter)
        assert exporter.terminate() == 0


def test_prometheus_scrapes_with_a_client_certificate_and_nobody_does_without(
    exporter: SecuredExporter,
    authority: Authority,
    tmp_path: Path,
    prometheus_binaries: PrometheusBinaries,
) -> None:
    exporter.sections["tls_server_config"] |= {
        "client_ca_file": "pki/ca.pem",
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_allowed_sans": ["prometheus.example"],
        "min_version": "TLS13",
    }
    del exporter.sections["basic_auth_users"]
    exporter.auth = None
    exporter.shown = authority.issue("client", "prometheus.example")
    files = {
        "cert_file": str(exporter.shown.certificate),
        "key_file": str(exporter.shown.key),
    }
    with (
        exporter,
        Prometheus(
            prometheus_binaries.prometheus,
            tmp_path / "prometheus",
            targets={"exporter": exporter.address},
            extra=scrape_options(authority, **files),
        ) as prometheus,
    ):
        exporter.wait_until_ready()
        prometheus.wait_until_up("exporter")
        wait_for("the count", lambda: prometheus.query("app_errors_total == 1"))
        check_with_promtool(prometheus_binaries, exporter)
        exporter.shown = None
        with pytest.raises(httpx.TransportError):
            exporter.get("/metrics")


def test_a_password_changes_and_a_broken_file_shows_in_the_metrics_while_it_runs(
    exporter: SecuredExporter,
) -> None:
    loaded = "metric_filter_exporter_web_config_last_reload_successful"
    with exporter:
        exporter.wait_until_ready()
        assert exporter.scrape().value(loaded) == 1
        good = exporter.web_config.read_text()
        exporter.web_config.write_text("basic_auth_users: {")
        assert exporter.scrape().value(loaded) == 0
        assert exporter.get("/metrics").status_code == 200
        exporter.web_config.write_text(good.replace("alice", "bob"))
        assert exporter.get("/metrics").status_code == 401
        exporter.auth = ("bob", "secret")
        assert exporter.scrape().value(loaded) == 1
        exporter.kill()
    log = exporter.logs()
    assert log.count("web configuration not reloaded") == 1
    assert "secret" not in log


def test_no_change_of_the_file_opens_a_door_while_it_runs(exporter: SecuredExporter) -> None:
    loaded = "metric_filter_exporter_web_config_last_reload_successful"
    exporter.sections["tls_server_config"]["min_version"] = "TLS13"
    with exporter:
        exporter.wait_until_ready()
        good = exporter.web_config.read_text()
        lines = good.splitlines(keepends=True)
        tls_only = yaml.safe_dump({"tls_server_config": exporter.sections["tls_server_config"]})
        emptied = [tls_only, tls_only + "basic_auth_users: {}\n", "{}", None]
        for text in (*emptied, *("".join(lines[:cut]) for cut in range(len(lines)))):
            if text is None:
                exporter.web_config.unlink()
            else:
                exporter.web_config.write_text(text)
            exporter.auth = None
            for path in ("/metrics", "/", "/-/ready"):
                assert exporter.get(path).status_code == 401
            exporter.auth = ("alice", "secret")
            assert exporter.scrape().value(loaded) == 0
        exporter.web_config.write_text(good)
        assert exporter.scrape().value(loaded) == 1
        exporter.kill()
    assert "`basic_auth_users` no longer has users: a reload removes no pro" in exporter.logs()


def test_the_status_page_comes_over_tls(exporter: SecuredExporter) -> None:
    with exporter:
        exporter.wait_until_ready()
        answer = exporter.get("/")
        assert answer.status_code == 200
        assert "replay" in answer.text
        assert ssl.get_server_certificate(("127.0.0.1", exporter.port))


def test_a_wrong_file_ends_the_start_with_every_error(exporter: SecuredExporter) -> None:
    exporter.sections["tls_server_config"]["cert_file"] = "nowhere.pem"
    exporter.sections["basic_auth_users"] = {"alice": "hunter2"}
    with exporter:
        assert exporter.exit_code(timeout=30) == 1
    log = exporter.logs()
    assert f"at={exporter.web_config}:2:3 error=\"the password of the user 'alice' must be" in log
    assert "nowhere.pem cannot be read: No such file or directory" in log
    assert "hunter2" not in log
    assert "Traceback" not in log


def test_check_tells_the_errors_of_the_web_configuration_too(
    exporter: SecuredExporter,
) -> None:
    folder = exporter.web_config.parent
    exporter.web_config.write_text(yaml.safe_dump(exporter.sections))
    arguments = ("--config.file=exporter.yaml", "--web.config.file=web.yml")
    assert check(folder, *arguments).stdout == "1 source, 1 rule: ok\n"
    exporter.web_config.write_text("basic_auth_user: {}")
    result = check(folder, *arguments)
    assert result.returncode == 1
    assert result.stderr == (
        "web.yml:1:1: error: unknown key `basic_auth_user`; did you mean `basic_auth_users`?\n"
        "1 error\n"
    )
