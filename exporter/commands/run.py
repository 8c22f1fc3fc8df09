"""``run``: the daemon."""

from __future__ import annotations

import sys
from typing import Annotated

import structlog
import typer

from exporter.commands.options import fail, settings_from, with_setting_options
from exporter.configuration import ConfigurationError
from exporter.ledger.base import LedgerError
from exporter.logs import configure_logging

_log = structlog.get_logger(__name__)


@with_setting_options
def run(
    *,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Read every source once up to now, print the metrics and exit."
        ),
    ] = False,
    **flags: object,
) -> None:
    """Read the sources, count the matches of rules, and serve the metrics."""
    settings = settings_from(flags)
    configure_logging(settings.log_level, settings.log_format)
    # Imported here, because the other commands do not need it.
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
