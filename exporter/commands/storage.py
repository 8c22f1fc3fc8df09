"""``storage``: change a ledger while no exporter has it open."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Literal

import typer

from exporter.commands.options import fail, setting_option, settings_from

storage = typer.Typer(
    help="Change a ledger while no exporter has it open.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Old = Annotated[str, typer.Argument(help="The name in the ledger.", show_default=False)]
New = Annotated[str, typer.Argument(help="The name in the new configuration.", show_default=False)]
StoragePath = Annotated[str | None, setting_option("storage_path")]


@storage.command("rename-source")
def rename_source(old: Old, new: New, storage_path: StoragePath = None) -> None:
    """Rename a source: positions, totals and memory are kept.

    If the source's feed has the same name, as by default, the feed is renamed, too.
    """
    _rename("source", old, new, storage_path)


@storage.command("rename-feed")
def rename_feed(old: Old, new: New, storage_path: StoragePath = None) -> None:
    """Rename a feed: totals and memory are kept, and sources keep their names."""
    _rename("feed", old, new, storage_path)


def _rename(noun: Literal["source", "feed"], old: str, new: str, path: str | None) -> None:
    settings = settings_from({"storage_path": path})
    # The other commands do not need it.
    from exporter.ledger.base import LedgerError  # noqa: PLC0415
    from exporter.ledger.sqlite import SqliteLedger  # noqa: PLC0415
    from exporter.ledger.storage import LEDGER_FILE  # noqa: PLC0415

    if not (settings.storage_path / LEDGER_FILE).exists():
        fail(f"{settings.storage_path} has no ledger.", 1)
    try:
        with closing(SqliteLedger.open(settings.storage_path)) as ledger:
            series = ledger.rename(noun, old, new)
    except LedgerError as error:
        fail(str(error), 1)
    print(f'{noun} {old} is renamed to {new}: {series} series have source="{new}" now')
