"""``demo``: the exporter against an AWS that runs inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exporter.commands.options import fail, setting_option, settings_from


def demo(
    web_listen_address: Annotated[
        str | None,
        setting_option(
            "web_listen_address", default="127.0.0.1:10911, or the next port that is free"
        ),
    ] = None,
    storage_path: Annotated[
        Path | None,
        typer.Option(
            "--storage.path",
            metavar="FOLDER",
            help="Folder of the ledger. [default: a folder that is removed afterwards]",
        ),
    ] = None,
) -> None:
    """Run the whole exporter against an embedded AWS with realistic events; ctrl-C ends it.

    If Prometheus is installed, it is started too, on a free port of loopback, with every alert.
    """
    settings = settings_from({"web_listen_address": web_listen_address})
    chosen = "web_listen_address" in settings.model_fields_set
    try:
        # A production install lacks this package or the libraries that it needs.
        from metric_filter_demo.demonstration import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        fail(f"{package} is not installed: pip install 'metric-filter-exporter[demo]'", 1)
    raise typer.Exit(run(settings.web_listen_address if chosen else None, storage_path))
