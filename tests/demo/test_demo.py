"""``demo`` as a user runs it."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from rich.console import Console

import exporter.demo
from exporter.configuration import check
from exporter.demo.aws import EmbeddedAws
from exporter.demo.child import CONFIG_FILE, Exporter, ListenAddressError, free_address
from exporter.demo.traffic import Headline, Traffic
from exporter.demo.view import LiveView
from exporter.settings import ListenAddress
from tests.support.expositions import parse_exposition
from tests.support.processes import free_port, stop_process
from tests.support.waiting import wait_for

PAGE = """\
# TYPE aws_root_console_logins_total counter
aws_root_console_logins_total{{account_id="1",region="us-east-1",source="history"}} 1001
aws_root_console_logins_total{{account_id="1",region="eu-west-1",source="history"}} {west}
# TYPE metric_filter_exporter_matches_total counter
metric_filter_exporter_matches_total{{rule="r"}} 7
"""


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
        return str(answer.read().decode())


def counted(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Whether a counter of a log group moves, and matches of management events are counted.

    A labelled counter would be held at 0 for some seconds more.
    """
    if process.poll() is not None:
        raise RuntimeError("the demo has ended")
    exposition = parse_exposition(page(f"http://127.0.0.1:{port}/metrics"))
    matches = exposition.value("metric_filter_exporter_matches_total", source="history")
    return bool(matches and exposition.value("http_response_bytes_total"))


def test_counters_move_and_everything_ends_on_sigterm(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "exporter", "demo"]
    command += ["--web.listen-address", f"127.0.0.1:{port}"]
    folder, output = tmp_path / "temporary", tmp_path / "output"
    folder.mkdir()
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"TMPDIR": str(folder)}
        )
    try:
        wait_for("counters of both kinds of source", lambda: counted(port, process), timeout=45)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        stop_process(process)
        print(output.read_text())  # shown where the test fails
    said = output.read_text()
    assert f"http://127.0.0.1:{port}/metrics" in said
    assert "management events" in said
    assert "Traceback" not in said
    assert list(folder.iterdir()) == []
    with pytest.raises(OSError, match="refused"):
        page(f"http://127.0.0.1:{port}/")


def test_a_taken_port_is_an_error_that_names_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert exporter.demo.run(address) == 1
    said = capsys.readouterr().err
    assert address in said
    assert "--web.listen-address" in said


def test_port_0_takes_a_free_one() -> None:
    assert free_address("127.0.0.1:0").port > 0
    assert free_address("127.0.0.1:0").host == "127.0.0.1"
    with pytest.raises(ListenAddressError, match=r"--web\.listen-address"):
        free_address("nonsense")


def test_without_moto_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "moto", None)
    assert exporter.demo.run("127.0.0.1:0") == 1
    assert "pip install 'metric-filter-exporter[demo]'" in capsys.readouterr().err


def test_an_exporter_that_cannot_start_has_its_last_words_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no_folder = tmp_path / "data"
    no_folder.write_text("a file")
    assert exporter.demo.run(f"127.0.0.1:{free_port()}", no_folder) == 1
    said = capsys.readouterr().err
    assert "The exporter ended with exit code" in said
    assert str(no_folder) in said


def test_its_configuration_has_no_errors_and_no_warnings() -> None:
    checked = check([CONFIG_FILE])
    assert checked.problems == ()
    assert checked.configuration is not None
    assert len(checked.configuration.rules) > 10


def test_a_terminal_gets_a_picture_of_totals_and_headlines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = EmbeddedAws()
    traffic = Traffic(aws, seed=1)
    traffic.headlines.append(Headline(0, "root signed in"))
    exporter = Exporter(ListenAddress("127.0.0.1", 1), tmp_path, tmp_path / "log")
    pages = iter((PAGE.format(west=0), PAGE.format(west=2)))
    monkeypatch.setattr(exporter, "_get", lambda _path: next(pages))
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, height=40, color_system=None)
    view = LiveView(console, aws, traffic, exporter)
    with view:
        view.update()
    said = screen.getvalue()
    assert "root signed in" in said
    last = said.rpartition("aws_root_console_logins_total")[2].splitlines()[0]
    assert [cell.strip() for cell in last.split("│")[1:3]] == ["1,003", "region=eu-west-1"]


def test_urls_name_this_machine_when_every_address_is_listened_on(tmp_path: Path) -> None:
    everywhere = Exporter(ListenAddress.parse(":10911"), tmp_path, tmp_path / "log")
    assert everywhere.url == "http://127.0.0.1:10911"
    assert Exporter(ListenAddress.parse("[::1]:80"), tmp_path, tmp_path).url == "http://[::1]:80"
