"""The process's settings: flags, and environment variables for the same.

``--web.listen-address`` is ``MFE_WEB_LISTEN_ADDRESS``; a flag wins over its variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from exporter.yamlfile.durations import parse_duration
from exporter.yamlfile.problems import did_you_mean

PREFIX = "MFE_"

FLAGS = {
    "config_file": "--config.file",
    "config_watch": "--config.watch",
    "web_listen_address": "--web.listen-address",
    "web_telemetry_path": "--web.telemetry-path",
    "web_config_file": "--web.config.file",
    "web_enable_lifecycle": "--web.enable-lifecycle",
    "storage_path": "--storage.path",
    "log_level": "--log.level",
    "log_format": "--log.format",
    "metrics_birth_hold": "--metrics.birth-hold",
    "metrics_created": "--metrics.created",
    "shutdown_timeout": "--shutdown-timeout",
}
"""Each setting's flag."""


class SettingsError(Exception):
    """A flag or environment variable is wrong; the message names it and says what to write."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where the web server listens."""

    host: str
    """Empty: every address. An IPv6 address stands without brackets."""
    port: int
    """0: any free one."""

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Read ``:10911``, ``127.0.0.1:10911`` or ``[::1]:10911``; ValueError with a sentence."""
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\[\]:]*)):([0-9]{1,5})", text.strip())
        if match is None or int(match[3]) > 65535:
            raise ValueError(
                f"{text!r} is no address with a port: write :10911, 127.0.0.1:10911 or [::1]:10911"
            )
        return cls(match[1] or match[2] or "", int(match[3]))

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _read_files(data: object) -> object:
    return [part for part in data.split(",") if part] if isinstance(data, str) else data


def _read_address(data: object) -> object:
    return ListenAddress.parse(data) if isinstance(data, str) else data


def _read_duration(data: object) -> object:
    return parse_duration(data) if isinstance(data, str) else data


def _at_least_one(files: tuple[Path, ...]) -> tuple[Path, ...]:
    if not files:
        raise ValueError("names no file")
    return files


def _telemetry_path(path: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]+", path) or path.startswith("/-/"):
        raise ValueError(
            f"{path!r} is no path for metrics: write one such as /metrics"
            " (/ is the status page, /-/ has the health checks)"
        )
    return path


def _none_where_empty(data: object) -> object:
    return None if data == "" else data


_Duration = Annotated[float, BeforeValidator(_read_duration)]


class Settings(BaseSettings):
    """How the process runs; what it reads and counts is in the configuration files."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    config_file: Annotated[
        tuple[Path, ...], NoDecode, BeforeValidator(_read_files), AfterValidator(_at_least_one)
    ] = (Path("metric-filter-exporter.yaml"),)
    """Merged; in the environment separated by commas."""
    config_watch: bool = True
    """Whether a change of the configuration's files reloads them."""
    web_listen_address: Annotated[ListenAddress, NoDecode, BeforeValidator(_read_address)] = (
        ListenAddress("", 10911)
    )
    web_telemetry_path: Annotated[str, AfterValidator(_telemetry_path)] = "/metrics"
    web_config_file: Annotated[Path | None, BeforeValidator(_none_where_empty)] = None
    """TLS and who may come in; None: plain HTTP for everybody."""
    web_enable_lifecycle: bool = True
    """Whether POST /-/reload reloads."""
    storage_path: Path = Path("data")
    """The ledger's folder."""
    log_level: Literal["debug", "info", "warn", "error"] = "info"
    log_format: Literal["logfmt", "json"] = "logfmt"
    metrics_birth_hold: _Duration = 0.0
    """Seconds for which a new series stays at 0, at least."""
    metrics_created: bool = False
    """Whether OpenMetrics has ``_created`` lines."""
    shutdown_timeout: _Duration = 10.0
    """Seconds in which the process ends after SIGTERM."""


def load_settings(flags: Mapping[str, object]) -> Settings:
    """Make settings of flags (None: not given), the environment and the defaults.

    ``flags``: by the names of the fields. Raises SettingsError.
    """
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        sentences = [_sentence(detail, given) for detail in error.errors(include_url=False)]
        raise SettingsError("\n".join(sentences)) from error


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each variable that looks like a setting but is none."""
    known = [PREFIX + field.upper() for field in FLAGS]
    return [
        f"the environment variable {name} is no setting{did_you_mean(name, known)}"
        for name in sorted(environment)
        if name.startswith(PREFIX) and name not in known
    ]


def _sentence(detail: ErrorDetails, given: Mapping[str, object]) -> str:
    name = str(detail["loc"][0])
    where = FLAGS[name] if name in given else PREFIX + name.upper()
    context = detail.get("ctx", {})
    if "error" in context:
        return f"{where}: {context['error']}"
    if detail["type"] == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        return f"{where}: must be {expected}, not {detail['input']!r}"
    if detail["type"].startswith("bool_"):
        return f"{where}: must be true or false, not {detail['input']!r}"
    return f"{where}: {detail['msg']}"
