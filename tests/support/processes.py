"""The real exporter as a child process, for end-to-end tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.support.expositions import Exposition, parse_exposition
from tests.support.http import PLAIN_HTTP
from tests.support.tools import ROOT
from tests.support.waiting import wait_for
from tests.support.wall_clock import WallClock


def free_port() -> int:
    """Return a TCP port on loopback that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port


def stop_process(process: subprocess.Popen[bytes], *, grace: float = 15.0) -> int:
    """Ask a process to end, insist after ``grace`` seconds, and return its exit code."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


class Exporter:
    """``metric-filter-exporter run`` on a free port.

    ``start`` after ``kill`` or ``terminate`` runs it again on the same port, ledger and log. As a
    context manager it is started, and killed at the end if it still runs. ``wall_clock``: the clock
    that it runs by, in place of the machine's. ``program``: what Python runs, to inject a fault.
    """

    def __init__(
        self,
        configuration: Path,
        storage: Path,
        *,
        arguments: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        wall_clock: WallClock | None = None,
        program: tuple[str, ...] = ("-m", "exporter"),
    ) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        self.log = storage.parent / f"{storage.name}.log"
        self._command = [
            sys.executable,
            *program,
            "run",
            f"--config.file={configuration}",
            f"--storage.path={storage}",
            f"--web.listen-address={self.address}",
            *arguments,
        ]
        clock = wall_clock.environment if wall_clock is not None else {}
        self._environment = clean_environment({**(environment or {}), **clock})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.running:
            self.kill()

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the process; it is not ready yet (see wait_until_ready)."""
        assert not self.running, "it runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=self._environment,
            )

    def wait_until_ready(self, *, timeout: float = 30.0) -> None:
        """Wait until ``/-/ready`` says so; RuntimeError with the log if the process ends."""
        wait_for("the exporter to be ready", lambda: self._answers("/-/ready"), timeout=timeout)

    def wait_until_listening(self, *, timeout: float = 30.0) -> None:
        """Wait until it answers at all, ready or not."""
        wait_for("the exporter to listen", lambda: self._answers("/-/healthy"), timeout=timeout)

    def _answers(self, path: str) -> bool:
        if not self.running:
            raise RuntimeError(f"the exporter ended ({self.exit_code()}):\n{self.logs()[-4000:]}")
        try:
            return self.get(path).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def get(self, path: str, **headers: str) -> httpx.Response:
        """GET a path."""
        return PLAIN_HTTP.get(f"{self.url}{path}", headers=headers)

    def reload(self) -> httpx.Response:
        """POST /-/reload."""
        return PLAIN_HTTP.post(f"{self.url}/-/reload", timeout=30)

    def scrape(self) -> Exposition:
        """GET /metrics as Prometheus text, parsed."""
        answer = self.get("/metrics", Accept="text/plain;version=0.0.4")
        assert answer.status_code == httpx.codes.OK, answer.text
        return parse_exposition(answer.text)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal (SIGHUP reloads)."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.signal(signal.SIGKILL)
        self.exit_code(timeout=10)

    def terminate(self, *, timeout: float = 15.0) -> int:
        """SIGTERM; return the exit code. AssertionError if it takes longer than ``timeout``."""
        self.signal(signal.SIGTERM)
        return self.exit_code(timeout=timeout)

    def exit_code(self, *, timeout: float = 10.0) -> int:
        """Wait for the process to end and return its exit code."""
        assert self._process is not None
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"the exporter did not end:\n{self.logs()[-4000:]}") from error

    def logs(self) -> str:
        """Return all that the processes printed so far."""
        return self.log.read_text(errors="replace")


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without what would reach a real AWS or other settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "MFE_", "BOTO_"))
    }
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "PYTHONUNBUFFERED": "1", **extra}
