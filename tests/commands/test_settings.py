"""Settings come from flags, then the environment, then the defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter.settings import (
    FLAGS,
    ListenAddress,
    SettingsError,
    load_settings,
    unknown_variables,
    variable_of,
)
from tests.support.tools import ROOT


def test_without_flags_and_variables_the_defaults_hold() -> None:
    settings = load_settings({})
    assert settings.config_file == (Path("metric-filter-exporter.yaml"),)
    assert settings.web_listen_address == ListenAddress("", 10911)
    assert settings.web_telemetry_path == "/metrics"
    assert settings.storage_path == Path("data")
    assert (settings.log_level, settings.log_format) == ("info", "logfmt")
    assert (settings.metrics_birth_hold, settings.shutdown_timeout) == (0, 10)
    assert not settings.metrics_created
    assert settings.web_config_file is None
    assert settings.config_watch
    assert settings.web_enable_lifecycle


def test_the_documentation_lists_each_setting() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    rows = re.findall(
        r"^\| `(--[a-z.-]+)`(?:, `(--no-[a-z.-]+)`)? \| `(MFE_\w+)` \|", text, re.MULTILINE
    )
    declared = [
        (flag.name, "" if flag.metavar else flag.name.replace("--", "--no-"), variable_of(field))
        for field, flag in FLAGS.items()
    ]
    assert rows == declared


def test_the_environment_overrides_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFE_CONFIG_FILE", "a.yaml,b.yaml")
    monkeypatch.setenv("MFE_WEB_LISTEN_ADDRESS", "127.0.0.1:0")
    monkeypatch.setenv("MFE_METRICS_BIRTH_HOLD", "1m30s")
    monkeypatch.setenv("MFE_LOG_LEVEL", "debug")
    settings = load_settings({})
    assert settings.config_file == (Path("a.yaml"), Path("b.yaml"))
    assert str(settings.web_listen_address) == "127.0.0.1:0"
    assert (settings.metrics_birth_hold, settings.log_level) == (90, "debug")


def test_flags_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFE_CONFIG_FILE", "a.yaml")
    monkeypatch.setenv("MFE_STORAGE_PATH", "/a")
    settings = load_settings({"config_file": ["b.yaml"], "storage_path": None})
    assert settings.config_file == (Path("b.yaml"),)
    assert settings.storage_path == Path("/a")


def test_switches_are_true_or_false(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFE_CONFIG_WATCH", "false")
    monkeypatch.setenv("MFE_WEB_ENABLE_LIFECYCLE", "true")
    settings = load_settings({"web_enable_lifecycle": False})
    assert (settings.config_watch, settings.web_enable_lifecycle) == (False, False)
    monkeypatch.setenv("MFE_CONFIG_WATCH", "maybe")
    with pytest.raises(SettingsError) as raised:
        load_settings({})
    assert str(raised.value) == "MFE_CONFIG_WATCH: must be true or false, not 'maybe'"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":10911", "", 10911),
        ("10.0.0.1:9", "10.0.0.1", 9),
        ("localhost:65535", "localhost", 65535),
        ("[::1]:9", "::1", 9),
        ("[fe80::1%eth0]:9", "fe80::1%eth0", 9),
        ("127.0.0.1:0", "127.0.0.1", 0),
    ],
)
def test_a_listen_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    address = ListenAddress.parse(text)
    assert (address.host, address.port, str(address)) == (host, port, text)


@pytest.mark.parametrize("text", ["", "10911", ":", ":x", ":65536", "::1:9", "[::1]", "a:1:2"])
def test_what_is_no_listen_address_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"write :10911, 127\.0\.0\.1:10911"):
        ListenAddress.parse(text)


@pytest.mark.parametrize("path", ["metrics", "/", "/-/ready", "", "/a b", "/ü", "/m?x"])
def test_what_is_no_path_for_metrics_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="is no path for metrics"):
        load_settings({"web_telemetry_path": path})


def test_an_error_names_the_flag_or_the_variable_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MFE_SHUTDOWN_TIMEOUT", "soon")
    with pytest.raises(SettingsError) as raised:
        load_settings({"log_level": "loud"})
    flag, variable = sorted(str(raised.value).splitlines())
    assert flag == "--log.level: must be debug, info, warn or error, not 'loud'"
    assert variable.startswith("MFE_SHUTDOWN_TIMEOUT: 'soon' is not a duration")


def test_a_variable_that_is_no_setting_is_told_with_the_likely_one() -> None:
    environment = {"MFE_WEB_LISTEN_ADRESS": "x", "MFE_LOG_LEVEL": "info", "HOME": "/"}
    assert unknown_variables(environment) == [
        "the environment variable MFE_WEB_LISTEN_ADRESS is no setting;"
        " did you mean `MFE_WEB_LISTEN_ADDRESS`?"
    ]
