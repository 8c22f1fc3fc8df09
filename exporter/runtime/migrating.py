"""Answers while the ledger is migrated: alive, not ready."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from exporter.ledger.storage import LEDGER_FILE, needs_migration
from exporter.settings import Settings
from exporter.web import LiveWebConfig, Server

_WAIT = "The ledger is being migrated to the schema of this version; nothing is read until then.\n"


@contextmanager
def answering(settings: Settings) -> Iterator[None]:
    """Serve ``/-/healthy`` meanwhile if the ledger has to be migrated.

    That takes a while if it is large. A kubelet that gets no answer would restart the exporter, and
    the migration with it. Raises ListenError.
    """
    if not needs_migration(settings.storage_path / LEDGER_FILE):
        yield
        return
    address, web_config = settings.web_listen_address, settings.web_config_file
    server = Server(
        Starlette(routes=[Route("/-/healthy", _healthy), Route("/{path:path}", _wait)]),
        address.host,
        address.port,
        grace=0,
        web_config=LiveWebConfig(web_config, on_load=lambda _: None) if web_config else None,
    )
    thread = threading.Thread(target=server.run, name="migration server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join()


async def _healthy(_: Request) -> PlainTextResponse:
    return PlainTextResponse("Healthy\n")


async def _wait(_: Request) -> PlainTextResponse:
    return PlainTextResponse(_WAIT, status_code=503, headers={"Retry-After": "5"})
