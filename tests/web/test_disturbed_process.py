"""The real exporter and clients that mean it ill: nobody else may notice them."""

from __future__ import annotations

import base64
import json
import resource
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import bcrypt
import httpx
import pytest
import yaml

from tests.support.flood import Flood
from tests.support.http import PLAIN_HTTP
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

Make = Callable[..., Exporter]

FLOOD, PROMETHEUS, KUBELET = "127.0.0.2", "127.0.0.3", "127.0.0.4"
SOON = 2.0
"""Seconds."""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make an exporter of one file; ``series``: how many its rule has."""

    def exporter(*arguments: str, series: int = 1) -> Exporter:
        lines = (json.dumps({"level": "ERROR", "key": f"{n:040}"}) for n in range(series))
        (tmp_path / "app.log").write_text("".join(f"{line}\n" for line in lines))
        rule = {
            "name": "errors",
            "pattern": '{ $.level = "ERROR" }',
            "metric": "app_errors_total",
            "labels": {"key": "$.key"},
            "max_series": 2 * series,
        }
        source = {"name": "replay", "type": "files", "paths": ["app.log"], "interval": "1s"}
        path = tmp_path / "exporter.yaml"
        path.write_text(yaml.safe_dump({"sources": [source], "rules": [rule]}))
        return Exporter(path, tmp_path / "data", arguments=arguments)

    return exporter


def get(exporter: Exporter, path: str, address: str, user: str = "") -> tuple[int, float]:
    """The status of a GET from an address on a new connection, and the seconds that it took."""
    began = time.monotonic()
    transport = httpx.HTTPTransport(local_address=address)
    auth = (user, "secret") if user else None
    with httpx.Client(transport=transport, timeout=30, auth=auth) as client:
        answer = client.get(f"{exporter.url}{path}")
    return answer.status_code, time.monotonic() - began


def test_a_flood_of_guesses_holds_back_no_other_address_and_nobody_who_is_known(
    make: Make, tmp_path: Path
) -> None:
    web = tmp_path / "web.yml"
    names = ["alice", *(f"user{number}" for number in range(4))]
    users = {name: bcrypt.hashpw(b"secret", bcrypt.gensalt(10)).decode() for name in names}
    web.write_text(yaml.safe_dump({"basic_auth_users": users}))
    exporter = make(f"--web.config.file={web}")
    with exporter, Flood(exporter.port, address=FLOOD, clients=220) as flood:
        for start in range(2):
            if start:
                exporter.kill()
                flood.answers.clear()
                exporter.start()
            wait_for("guesses to be judged", lambda: 401 in flood.answers, timeout=60)
            # Each is the first with its password; the first of all is as quick as any other.
            first = [get(exporter, "/metrics", PROMETHEUS, name) for name in names]
            assert [status for status, _ in first] == [200] * len(names)
            assert sorted(seconds for _, seconds in first)[len(names) // 2] < SOON
            # The kubelet has an address of its own, or is on the host of the flood.
            for address in (KUBELET, FLOOD):
                for path in ("/-/healthy", "/-/ready", "/metrics"):
                    status, seconds = get(exporter, path, address, "alice")
                    assert status == 200
                    assert seconds < SOON
        wait_for("guesses to be turned away", lambda: 503 in flood.answers, timeout=60)
        assert 200 not in flood.answers
        assert exporter.terminate() == 0
        assert "Traceback" not in exporter.logs()


@pytest.fixture
def sockets() -> Iterator[Callable[[Exporter, str], socket.socket]]:
    """Raw connections from an address, which take in little."""
    with ExitStack() as stack:

        def connect(exporter: Exporter, address: str) -> socket.socket:
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(10)
            client.bind((address, 0))
            client.connect(("127.0.0.1", exporter.port))
            return client

        yield connect


def test_readers_that_take_nothing_and_silent_clients_keep_nobody_waiting(
    make: Make, sockets: Callable[[Exporter, str], socket.socket]
) -> None:
    with make(series=10_000) as exporter:
        exporter.wait_until_ready()
        alone = min(get(exporter, "/metrics", PROMETHEUS)[1] for _ in range(3))
        readers = [sockets(exporter, FLOOD) for _ in range(250)]
        for reader in readers:
            reader.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        # Each rendering of its own would take 250 times as long as one.
        assert get(exporter, "/metrics", PROMETHEUS)[1] < 50 * alone
        for path in ("/-/healthy", "/-/ready", "/", "/metrics"):
            assert get(exporter, path, PROMETHEUS)[1] < SOON
        for _ in range(300):  # more than there are places
            sockets(exporter, FLOOD)
        for path in ("/-/healthy", "/-/ready", "/", "/metrics"):
            for address in (PROMETHEUS, FLOOD):
                status, seconds = get(exporter, path, address)
                assert status == 200
                assert seconds < SOON


def probe(exporter: Exporter, path: str) -> float:
    """The seconds that a GET by alice takes, without what an HTTP client costs."""
    login = base64.b64encode(b"alice:secret").decode()
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n\r\n"
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", exporter.port), 30, (KUBELET, 0)) as client:
        client.sendall(head.encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    return time.monotonic() - began


def test_probes_are_answered_during_a_flood_and_while_large_pages_are_rendered(
    make: Make, tmp_path: Path
) -> None:
    series = 30_000
    web = tmp_path / "web.yml"
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(10)).decode()
    web.write_text(yaml.safe_dump({"basic_auth_users": {"alice": hashed}}))
    with make(f"--web.config.file={web}", series=series) as exporter:
        wait_for("it to listen", lambda: "msg=listening" in exporter.logs())

        def all_shown() -> bool:
            page = PLAIN_HTTP.get(f"{exporter.url}/metrics", auth=("alice", "secret"), timeout=30)
            return page.text.count("\napp_errors_total{") == series

        wait_for("all series", all_shown, timeout=120, every=1)
        waits = []
        with Flood(exporter.port, address=FLOOD, clients=220), ThreadPoolExecutor(2) as pool:
            scrapes = [
                pool.submit(get, exporter, path, PROMETHEUS, "alice")
                for path in ["/metrics", "/"] * 8
            ]
            while not all(scrape.done() for scrape in scrapes):
                waits += [probe(exporter, path) for path in ("/-/healthy", "/-/ready")]
        assert {scrape.result()[0] for scrape in scrapes} == {200}
    assert len(waits) > 20
    assert sorted(waits)[len(waits) * 99 // 100] < 1.0  # the default timeout of a kubelet


def test_reloads_in_a_row_are_one_each_is_answered_truly_and_no_other_site_may(
    make: Make, tmp_path: Path
) -> None:
    configuration = tmp_path / "exporter.yaml"
    # One client: making 60 takes so long on a busy machine that the bursts are none.
    with make("--no-config.watch") as exporter, httpx.Client(timeout=30, trust_env=False) as client:
        exporter.wait_until_ready()
        good = configuration.read_text()

        def reload(**headers: str) -> int:
            return client.post(f"{exporter.url}/-/reload", headers=headers).status_code

        assert reload(Origin="https://evil.example") == 403
        assert reload(**{"Sec-Fetch-Site": "cross-site"}) == 403
        assert "reloaded" not in exporter.logs()

        with ThreadPoolExecutor(60) as pool:
            for text, status in ((good, 200), (good + "x: y\n", 400), (good, 200)):
                configuration.write_text(text)
                answers = [pool.submit(reload) for _ in range(60)]
                assert get(exporter, "/-/healthy", PROMETHEUS)[1] < SOON
                assert get(exporter, "/metrics", PROMETHEUS)[1] < SOON
                assert {answer.result() for answer in answers} == {status}
        # Each burst of 60 is two loads, or three if some came late.
        assert 2 <= exporter.logs().count("msg=reloaded") <= 6
        assert 1 <= exporter.logs().count("reload failed") <= 3
        assert reload(Origin=exporter.url) == 200

        answer = client.put(f"{exporter.url}/-/reload")
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "POST"


def test_without_file_descriptors_clients_wait_and_the_log_says_why_once(
    make: Make, sockets: Callable[[Exporter, str], socket.socket]
) -> None:
    with make() as exporter:
        exporter.wait_until_ready()
        descriptors = Path(f"/proc/{exporter.pid}/fd")
        before = resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE)
        few = 1 + max(int(entry.name) for entry in descriptors.iterdir())
        resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE, (few + 4, before[1]))
        crowd = [sockets(exporter, FLOOD) for _ in range(20)]
        wait_for("the log", lambda: "accepting connections failed" in exporter.logs())
        time.sleep(2.5)  # asyncio tries again every second
        resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE, before)
        assert get(exporter, "/-/healthy", PROMETHEUS)[0] == 200
        assert len(crowd) == 20
        assert exporter.logs().count("accepting connections failed") == 1
        assert "Traceback" not in exporter.logs()


@pytest.mark.parametrize(
    ("version", "status"), [(b"9.9", b"505"), (b"2.0", b"505"), (b"0.9", b"505"), (b"1.0", b"200")]
)
def test_only_http_1_is_answered(serve_once: Exporter, version: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", serve_once.port), timeout=10) as client:
        client.sendall(b"GET /-/healthy HTTP/" + version + b"\r\nHost: x\r\n\r\n")
        assert client.recv(4096).split()[1] == status
        while client.recv(4096):  # none of them keeps the connection
            pass


@pytest.fixture(scope="module")
def serve_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One exporter for several tests."""
    folder = tmp_path_factory.mktemp("once")
    path = folder / "exporter.yaml"
    source = {"name": "replay", "type": "files", "paths": ["*.log"], "interval": "1s"}
    rule = {"name": "errors", "pattern": "ERROR", "metric": "app_errors_total"}
    path.write_text(yaml.safe_dump({"sources": [source], "rules": [rule]}))
    with Exporter(path, folder / "data") as exporter:
        exporter.wait_until_listening()
        yield exporter
