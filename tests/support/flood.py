"""Clients that guess passwords without end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import threading
from types import TracebackType
from typing import Self


class Flood:
    """So many clients of one address, each with a connection and always the next wrong password.

    One whose connection is refused or lost comes back, so it goes on through restarts.
    """

    def __init__(self, port: int, *, address: str, clients: int) -> None:
        self._port = port
        self._address = address
        self._clients = clients
        self._guess = itertools.count()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._stop = threading.Event()
        self.answers: list[int] = []
        """The status of each."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(10)

    async def _run(self) -> None:
        clients = [asyncio.create_task(self._guess_on()) for _ in range(self._clients)]
        await asyncio.to_thread(self._stop.wait)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _guess_on(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._talk()
            await asyncio.sleep(0.02)

    async def _talk(self) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=(self._address, 0)
        )
        try:
            while True:
                login = base64.b64encode(b"alice:guess-%d" % next(self._guess)).decode()
                head = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n\r\n"
                writer.write(head.encode())
                answer = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(answer.partition(b"content-length:")[2].split()[0])
                await reader.readexactly(length)
                self.answers.append(int(answer.split()[1]))
        finally:
            writer.close()
