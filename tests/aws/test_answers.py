"""An answer that is not AWS's is an error, never an empty page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from exporter.aws.quotas import Quotas
from exporter.aws.session import AwsAccount
from exporter.errors import SourceError
from exporter.events import Partition
from exporter.sources.event_history import EventHistory
from exporter.sources.log_groups import LogGroups

HISTORY = Partition("history", "123456789012", "us-east-1")
GROUP = Partition("apps", "123456789012", "us-east-1", log_group="/app")


class Answering(ThreadingHTTPServer):
    """Answers everything with 200 and one body."""

    body = b""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Answering)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    with Answering(("127.0.0.1", 0), _Handler) as answering:
        threading.Thread(target=answering.serve_forever, daemon=True).start()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{answering.server_port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        yield answering
        answering.shutdown()


FOREIGN = [
    b"<html><body>Sign in to the network</body></html>",
    b'{"Events": [{"EventId": "a"',
    b'{"events": [{"eventId": "a"',
    b"",
    b"[]",
    b"null",
    b'{"message": "maintenance"}',
]


@pytest.mark.parametrize("body", FOREIGN)
def test_what_is_not_awss_is_no_empty_page(server: Answering, body: bytes) -> None:
    server.body = body
    account = AwsAccount(quotas=Quotas(lambda *_: None))
    with pytest.raises(SourceError, match="not AWS's") as history:
        list(EventHistory("history", account, ["us-east-1"]).pages(HISTORY, 0, 1000))
    assert history.value.reason == "unreadable"
    with pytest.raises(SourceError, match="not AWS's"):
        list(LogGroups("apps", account, ["/app"]).pages(GROUP, 0, 1000))


@pytest.mark.parametrize("body", [b"{}", b'{"Events": [], "events": []}'])
def test_a_page_without_events_is_one(server: Answering, body: bytes) -> None:
    server.body = body
    account = AwsAccount(quotas=Quotas(lambda *_: None))
    (page,) = EventHistory("history", account, ["us-east-1"]).pages(HISTORY, 0, 1000)
    assert page.events == []
    (page,) = LogGroups("apps", account, ["/app"]).pages(GROUP, 0, 1000)
    assert page.events == []
