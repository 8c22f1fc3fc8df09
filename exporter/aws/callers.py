"""Finds the account of an access key."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping

from exporter.model import SourceError

_KEYS = 1000
"""Maximum number of access keys to cache. Roles have a new one every hour."""
# Signature Version 4: Credential=<access key>/<date>/<region>/<service>/aws4_request
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")


def signing_key(headers: Mapping[str, object]) -> str:
    """The access key of a signed request; empty if it is not signed."""
    authorization = headers.get("Authorization") or ""
    if isinstance(authorization, bytes):
        authorization = authorization.decode("ascii", "replace")
    found = _CREDENTIAL.search(str(authorization))
    return found[1] if found else ""


class Callers:
    """A cache of accounts by access key. Thread-safe."""

    def __init__(self) -> None:
        self._accounts: dict[str, str] = {}
        self._asking = threading.Lock()
        self._failure: tuple[str, float, SourceError] | None = None

    def find(self, access_key: str, ask: Callable[[], str]) -> str:
        """The account of a key, from the cache or from ``ask``, whose errors it raises.

        One thread calls ``ask``; threads that wait share the result.
        """
        account = self._accounts.get(access_key)
        if account is not None:
            return account
        came = time.monotonic()
        with self._asking:
            account = self._accounts.get(access_key)
            if account is not None:
                return account
            if self._failure is not None:
                failed_key, failed_at, error = self._failure
                if failed_key == access_key and failed_at > came:
                    raise error
            try:
                account = ask()
            except SourceError as error:
                self._failure = (access_key, time.monotonic(), error)
                raise
            if len(self._accounts) >= _KEYS:
                del self._accounts[next(iter(self._accounts))]
            self._accounts[access_key] = account
            return account
