"""``demo`` as a user runs it."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from exporter.configuration import check
from exporter.settings import ListenAddress
from metric_filter_demo import addresses, demonstration
from metric_filter_demo.addresses import ListenAddressError, free_address
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.child import CONFIG_FILE, Exporter
from metric_filter_demo.prometheus import Prometheus
from metric_filter_demo.traffic import Headline, Traffic
from metric_filter_demo.view import LiveView, PlainView
from tests.support.expositions import parse_exposition
from tests.support.processes import free_port, stop_process
from tests.support.tools import ROOT
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
    matches = exposition.value("metric_filter_exporter_matches_total", feed="cloudtrail")
    return bool(matches and exposition.value("http_response_bytes_total"))


def test_counters_move_and_everything_ends_on_sigterm(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "exporter", "demo"]
    folder, output = tmp_path / "temporary", tmp_path / "output"
    folder.mkdir()
    with output.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=os.environ | {"TMPDIR": str(folder), "MFE_WEB_LISTEN_ADDRESS": f"127.0.0.1:{port}"},
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
    assert "CloudTrail records" in said
    assert "Traceback" not in said
    assert list(folder.iterdir()) == []
    with pytest.raises(OSError, match="refused"):
        page(f"http://127.0.0.1:{port}/")


@pytest.fixture
def taken() -> Iterator[ListenAddress]:
    """An address that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield ListenAddress("127.0.0.1", listener.getsockname()[1])


def test_a_taken_address_is_an_error_that_offers_one_that_can_be_passed_on(
    taken: ListenAddress, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demonstration.run(taken, None) == 1
    said = capsys.readouterr().err
    assert f"cannot listen on {taken}: Address already in use" in said
    offered = re.findall(
        r"--web\.listen-address=(\S+),|MFE_WEB_LISTEN_ADDRESS=(\S+)|make run ARGS=\S+=(\S+)\)", said
    )
    (address,) = {found for match in offered for found in match if found}
    assert len(offered) == 3
    assert ListenAddress.parse(address).port > taken.port
    assert free_address(ListenAddress.parse(address)) == ListenAddress.parse(address)


def test_where_no_address_was_named_the_next_free_port_is_taken(
    taken: ListenAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "DEFAULT", taken)
    found = free_address(None)
    assert found.host == "127.0.0.1"
    assert taken.port < found.port < taken.port + 100


def test_only_this_machine_reaches_it_unless_somebody_wants_otherwise() -> None:
    assert ListenAddress("127.0.0.1", 10911) == addresses.DEFAULT


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(ListenAddressError, match=r"Name an address of this machine"):
        free_address(ListenAddress("192.0.2.1", 10911))


def test_port_0_takes_a_free_one() -> None:
    assert free_address(ListenAddress("127.0.0.1", 0)).port > 0


def test_make_passes_arguments_on() -> None:
    """The very command of the error message, up to the shell."""
    command = [
        "make",
        "--no-print-directory",
        "--dry-run",
        "run",
        "ARGS=--web.listen-address=:8080",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].endswith(" demo --web.listen-address=:8080")


def test_an_exporter_that_cannot_start_has_its_last_words_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no_folder = tmp_path / "data"
    no_folder.write_text("a file")
    assert demonstration.run(ListenAddress("127.0.0.1", free_port()), no_folder) == 1
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


@pytest.mark.parametrize("width", [60, 80, 200])
def test_times_and_totals_are_whole_on_any_terminal(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = EmbeddedAws()
    traffic = Traffic(aws, seed=1)
    traffic.headlines.append(Headline(0, "root signed in " + "from somewhere " * 10))
    exporter = Exporter(ListenAddress("127.0.0.1", 1), tmp_path, tmp_path / "log")
    long = PAGE.replace("aws_root_console_logins", "aws_cis_" + "long_name_" * 4)
    pages = iter((long.format(west=0), long.format(west=2)))
    monkeypatch.setattr(exporter, "_get", lambda _path: next(pages))
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, height=40, color_system=None)
    with LiveView(console, aws, traffic, exporter) as view:
        view.update()
    said = screen.getvalue()
    assert re.search(r"\d\d:\d\d:\d\d[ │]+root signed in", said)
    assert " 1,003 " in said


def test_it_says_which_prometheus_it_started_and_what_it_lacks_without_one(tmp_path: Path) -> None:
    aws = EmbeddedAws()
    exporter = Exporter(ListenAddress("127.0.0.1", 1), tmp_path, tmp_path / "log")
    screen = io.StringIO()
    console = Console(file=screen, width=100)
    PlainView(console, aws, Traffic(aws, seed=1), exporter).say_hello()
    assert "none is installed" in screen.getvalue()
    prometheus = Prometheus(Path("/opt/prometheus"), tmp_path, "127.0.0.1:1")
    PlainView(console, aws, Traffic(aws, seed=1), exporter, prometheus).say_hello()
    assert "The Prometheus is /opt/prometheus, started for the demo." in screen.getvalue()


def test_urls_name_this_machine_when_every_address_is_listened_on(tmp_path: Path) -> None:
    everywhere = Exporter(ListenAddress.parse(":10911"), tmp_path, tmp_path / "log")
    assert everywhere.url == "http://127.0.0.1:10911"
    assert Exporter(ListenAddress.parse("[::1]:80"), tmp_path, tmp_path).url == "http://[::1]:80"
