"""The botocore session of the environment, and its clients."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from botocore.exceptions import NoCredentialsError
from botocore.session import Session

from exporter.aws.client import Conduct, make_client
from exporter.aws.live_session import LiveSession

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.credentials import ReadOnlyCredentials

    from exporter.aws.direct import DirectReader

MOST_CLIENTS = 128
"""Clients that are kept, those used last: two services in each of AWS's regions, and more."""


class Clients:
    """Clients by service, region and endpoint, which all accounts share. Thread-safe.

    They are made again when the AWS configuration files change. ``sessions`` makes a session.
    """

    def __init__(self, sessions: Callable[[], Session], conduct: Conduct) -> None:
        self.conduct = conduct
        self._sessions = LiveSession(sessions)
        self._clients: OrderedDict[tuple[str, str, str], BaseClient] = OrderedDict()
        """Those used last at the end."""
        self._direct: WeakKeyDictionary[BaseClient, DirectReader] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def get(self, service: str, region: str, endpoint: str = "") -> BaseClient:
        """The client of a service; raises SourceError. ``endpoint``: see make_client."""
        name = service, region, endpoint
        with self._lock:
            session = self._open()
            if name not in self._clients:
                self._clients[name] = make_client(
                    session, service, region, self.conduct, endpoint=endpoint
                )
            self._clients.move_to_end(name)
            if len(self._clients) > MOST_CLIENTS:
                self._clients.popitem(last=False)
            return self._clients[name]

    def direct(self, service: str, region: str) -> DirectReader:
        """The fast way to read the objects that a client reads; raises SourceError."""
        # Only S3 needs libcurl, which has 10 MB.
        from exporter.aws.direct import DirectReader  # noqa: PLC0415

        client = self.get(service, region)
        with self._lock:
            if client not in self._direct:
                self._direct[client] = DirectReader(client, self._open(), self.conduct)
            return self._direct[client]

    @property
    def default_region(self) -> str | None:
        """The region that the environment or the profile names; raises SourceError."""
        with self._lock:
            region: str | None = self._open().get_config_variable("region")
        # botocore reads AWS_DEFAULT_REGION only; AWS's services set AWS_REGION.
        return region or os.environ.get("AWS_REGION") or None

    def environment_keys(self) -> ReadOnlyCredentials:
        """The environment's credentials as they are now; raises one of AWS_ERRORS."""
        with self._lock:
            credentials = self._open().get_credentials()
        if credentials is None:
            raise NoCredentialsError
        return credentials.get_frozen_credentials()  # fetches new ones if these run out

    def _open(self) -> Session:
        """The session; drops the clients of an outdated one. Needs the lock."""
        session, is_new = self._sessions.current()
        if is_new:
            self._clients.clear()
        return session
