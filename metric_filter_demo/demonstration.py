"""Runs the embedded AWS, its traffic and the exporter, and shows their state."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from exporter.settings import ListenAddress
from metric_filter_demo.addresses import DEFAULT, ListenAddressError, free_address
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.child import Exporter
from metric_filter_demo.prometheus import Prometheus, find_prometheus
from metric_filter_demo.traffic import Traffic
from metric_filter_demo.view import LiveView, PlainView, View

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SECONDS_TO_START = 60.0
# Events are kept for as long as the demo's sources look back, and some more.
_RETENTION = 900.0


def run(wanted: ListenAddress | None, storage: Path | None) -> int:
    """Run the demo until SIGINT or SIGTERM; return the exit code.

    ``wanted``: the listen address; by default 127.0.0.1:10911, or the next port that is free.
    ``storage``: the ledger's folder; by default a folder that is removed afterwards.
    """
    try:
        address = free_address(wanted)
    except ListenAddressError as error:
        print(error, file=sys.stderr)
        return 1
    if wanted is None and address != DEFAULT:
        print(f"Port {DEFAULT.port} is taken: the exporter listens on {address}.")
    with _stop_event() as stop, tempfile.TemporaryDirectory(prefix="mfe-demo-") as folder:
        aws = EmbeddedAws(retention=_RETENTION)
        exporter = Exporter(
            address, storage or Path(folder) / "data", Path(folder) / "exporter.log"
        )
        traffic = Traffic(aws)
        binary = find_prometheus()
        prometheus = None
        if binary is not None:
            target = exporter.url.removeprefix("http://")
            prometheus = Prometheus(binary, Path(folder) / "prometheus", target)
        try:
            aws.start()
            traffic.start()
            exporter.start(aws.environment())
            if prometheus is not None:
                prometheus.start()
            return _watch(stop, exporter, _view(aws, traffic, exporter, prometheus))
        finally:
            if prometheus is not None:
                prometheus.stop()
            exporter.stop()
            traffic.stop()
            aws.stop()


@contextmanager
def _stop_event() -> Iterator[threading.Event]:
    """An event that is set by the signals that end the demo."""
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, end) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _view(
    aws: EmbeddedAws, traffic: Traffic, exporter: Exporter, prometheus: Prometheus | None
) -> View:
    console = Console()
    kind = LiveView if console.is_terminal else PlainView
    return kind(console, aws, traffic, exporter, prometheus)


def _watch(stop: threading.Event, exporter: Exporter, view: View) -> int:
    """Show the state until the stop or the exporter's end."""
    view.say_hello()
    waited = 0.0
    while not exporter.ready():
        if exporter.exit_code is not None or waited > _SECONDS_TO_START:
            return _failed(exporter)
        if stop.wait(0.25):
            return 0
        waited += 0.25
    with view:
        while not stop.wait(view.period):
            if exporter.exit_code is not None:
                return _failed(exporter)
            view.update()
    view.say_goodbye()
    return 0


def _failed(exporter: Exporter) -> int:
    code = exporter.exit_code
    what = "did not become ready" if code is None else f"ended with exit code {code}"
    print(f"The exporter {what}. Its last words:\n{exporter.last_words()}", file=sys.stderr)
    return 1
