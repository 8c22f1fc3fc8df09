"""``demo``: the exporter against an AWS that runs inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exporter.commands.options import USAGE_ERROR, fail
from exporter.settings import ListenAddress


def demo(
    web_listen_address: Annotated[
        str,
        typer.Option("--web.listen-address", metavar="ADDRESS", help="Where to serve."),
    ] = ":10911",
    storage_path: Annotated[
        Path | None,
        typer.Option(
            "--storage.path",
            metavar="FOLDER",
            help="Where the ledger is kept. [default: a folder that is removed afterwards]",
        ),
    ] = None,
) -> None:
    """Run the whole exporter against an embedded AWS with realistic events; ctrl-C ends it."""
    # What only this command needs must not slow the others down.
    from exporter import demo as demonstration  # noqa: PLC0415

    try:
        ListenAddress.parse(web_listen_address)
    except ValueError as error:
        fail(f"--web.listen-address: {error}", USAGE_ERROR)
    raise typer.Exit(demonstration.run(web_listen_address, storage_path))
