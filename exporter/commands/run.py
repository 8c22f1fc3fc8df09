"""``run``: the daemon."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Annotated

import structlog
import typer

from exporter.commands.options import ConfigFile, fail, settings_from
from exporter.configuration import ConfigurationError
from exporter.ledger.base import LedgerError
from exporter.logs import configure_logging
from exporter.settings import FLAGS, PREFIX, Settings

_log = structlog.get_logger(__name__)

_HELP = {
    "web_listen_address": ("ADDRESS", "Where to serve.", ":10911"),
    "web_telemetry_path": ("PATH", "Where the metrics are.", "/metrics"),
    "web_config_file": ("FILE", "TLS, basic authentication, headers.", "none"),
    "storage_path": ("FOLDER", "Where the ledger is kept.", "data/"),
    "log_level": ("LEVEL", "debug, info, warn or error.", "info"),
    "log_format": ("FORMAT", "logfmt or json.", "logfmt"),
    "metrics_birth_hold": ("DURATION", "How long a new series stays at 0, at least.", "0s"),
    "shutdown_timeout": ("DURATION", "How long ending may take.", "10s"),
}
_SWITCHES = {
    "config_watch": "Reload when the configuration's files change.",
    "web_enable_lifecycle": "Reload on POST /-/reload.",
    "metrics_created": "Add _created lines to OpenMetrics.",
}


def with_setting_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes ``**flags`` an option for each setting but ``--config.file``."""
    parameters = [
        parameter
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    annotations: dict[str, object] = {}
    for field, (metavar, text, default) in _HELP.items():
        variable = PREFIX + field.upper()
        option = typer.Option(
            FLAGS[field], metavar=metavar, help=f"{text} [env: {variable}; default: {default}]"
        )
        annotations[field] = Annotated[str | None, option]
    for field, text in _SWITCHES.items():
        name, variable = FLAGS[field], PREFIX + field.upper()
        default = str(Settings.model_fields[field].default).lower()
        option = typer.Option(
            f"{name}/{name.replace('--', '--no-')}",
            help=f"{text} [env: {variable}; default: {default}]",
            show_default=False,
        )
        annotations[field] = Annotated[bool | None, option]
    for field, annotation in annotations.items():
        parameter = inspect.Parameter(
            field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
        )
        parameters.append(parameter)
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


@with_setting_flags
def run(
    *,
    config_file: ConfigFile = None,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Read every source once up to now, print the metrics and exit."
        ),
    ] = False,
    **flags: str | bool | None,
) -> None:
    """Read the sources, count what the rules match, and serve the metrics."""
    settings = settings_from({"config_file": config_file, **flags})
    configure_logging(settings.log_level, settings.log_format)
    # What only this command needs must not slow the others down.
    from exporter.runtime.once import run_once  # noqa: PLC0415
    from exporter.runtime.process import run_daemon  # noqa: PLC0415
    from exporter.web import ListenError  # noqa: PLC0415

    # Who reads the terminal sees the place with a caret; who collects JSON gets nothing else.
    as_text = settings.log_format != "json" and (once or sys.stderr.isatty())
    try:
        code = run_once(settings) if once else run_daemon(settings)
    except ConfigurationError as error:
        if as_text:
            print(error, file=sys.stderr)
        else:
            for problem in error.problems:
                _log.error("cannot start", at=str(problem.location), error=problem.message)
        raise typer.Exit(1) from error
    except (LedgerError, ListenError) as error:
        if as_text:
            fail(str(error), 1)
        _log.error("cannot start", error=str(error))
        raise typer.Exit(1) from error
    raise typer.Exit(code)
