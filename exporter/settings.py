"""The process's settings: a flag and an environment variable each, declared here only.

``--web.listen-address`` is ``MFE_WEB_LISTEN_ADDRESS``. A flag wins over its variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from exporter.yamlfile.durations import parse_duration
from exporter.yamlfile.problems import did_you_mean
from exporter.yamlfile.validation import sentence_of

PREFIX = "MFE_"


@dataclass(frozen=True, slots=True)
class Flag:
    """A setting on the command line."""

    name: str
    help: str
    """A sentence, without the variable and the default."""
    metavar: str | None = None
    """The value's name in the help; None for a switch."""


class SettingsError(Exception):
    """A flag or environment variable is invalid; the message names it and shows valid ones."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """The address that the web server listens on."""

    host: str
    """Empty: every address. An IPv6 address is without brackets."""
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


def _read_address(data: object) -> ListenAddress:
    return data if isinstance(data, ListenAddress) else ListenAddress.parse(str(data))


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


def _none_if_empty(data: object) -> object:
    return None if data == "" else data


_Duration = Annotated[float, BeforeValidator(_read_duration)]


class Settings(BaseSettings):
    """The settings of the process; sources and rules are in the configuration files."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    config_file: Annotated[
        tuple[Path, ...],
        NoDecode,
        BeforeValidator(_read_files),
        AfterValidator(_at_least_one),
        Flag("--config.file", "Configuration file; repeatable, the files are merged.", "PATH"),
    ] = (Path("metric-filter-exporter.yaml"),)
    """In the environment separated by commas."""
    config_watch: Annotated[
        bool, Flag("--config.watch", "Reload when the configuration's files change.")
    ] = True
    web_listen_address: Annotated[
        ListenAddress,
        NoDecode,
        PlainValidator(_read_address),
        Flag("--web.listen-address", "Where to serve.", "ADDRESS"),
    ] = ListenAddress("", 10911)
    web_telemetry_path: Annotated[
        str,
        AfterValidator(_telemetry_path),
        Flag("--web.telemetry-path", "Path of the metrics.", "PATH"),
    ] = "/metrics"
    web_config_file: Annotated[
        Path | None,
        BeforeValidator(_none_if_empty),
        Flag("--web.config.file", "TLS, basic authentication, headers.", "FILE"),
    ] = None
    """None for plain HTTP without authentication."""
    web_enable_lifecycle: Annotated[
        bool, Flag("--web.enable-lifecycle", "Reload on POST /-/reload.")
    ] = True
    storage_path: Annotated[Path, Flag("--storage.path", "Folder of the ledger.", "FOLDER")] = Path(
        "data"
    )
    workers: Annotated[
        Annotated[int, Field(ge=1)] | None,
        BeforeValidator(_none_if_empty),
        Flag("--workers", "Processes that read objects and files; as many as fit if none.", "N"),
    ] = None
    """None for as many as the cores and the memory of the container allow."""
    log_level: Annotated[
        Literal["debug", "info", "warn", "error"],
        Flag("--log.level", "debug, info, warn or error.", "LEVEL"),
    ] = "info"
    log_format: Annotated[
        Literal["logfmt", "json"], Flag("--log.format", "logfmt or json.", "FORMAT")
    ] = "logfmt"
    metrics_birth_hold: Annotated[
        _Duration,
        Flag("--metrics.birth-hold", "How long a new series stays at 0, at least.", "DURATION"),
    ] = 0.0
    metrics_created: Annotated[
        bool, Flag("--metrics.created", "Add _created lines to OpenMetrics.")
    ] = False
    shutdown_timeout: Annotated[
        _Duration, Flag("--shutdown-timeout", "How long a shutdown may take.", "DURATION")
    ] = 10.0


FLAGS = {
    name: next(flag for flag in field.metadata if isinstance(flag, Flag))
    for name, field in Settings.model_fields.items()
}
"""Each setting's flag."""


def variable_of(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def load_settings(flags: Mapping[str, object]) -> Settings:
    """Make settings from flags (None if not given), the environment and the defaults.

    ``flags``: by the names of the fields. Raises SettingsError.
    """
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        sentences = [_sentence(detail, given) for detail in error.errors(include_url=False)]
        raise SettingsError("\n".join(sentences)) from error


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each variable that looks like a setting but is unknown."""
    known = [variable_of(field) for field in FLAGS]
    return [
        f"the environment variable {name} is no setting{did_you_mean(name, known)}"
        for name in sorted(environment)
        if name.startswith(PREFIX) and name not in known
    ]


def _sentence(detail: ErrorDetails, given: Mapping[str, object]) -> str:
    name = str(detail["loc"][0])
    return f"{FLAGS[name].name if name in given else variable_of(name)}: {sentence_of(detail)}"
