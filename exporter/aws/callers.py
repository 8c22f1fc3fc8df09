"""Which account an access key belongs to."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping

from exporter.model import SourceError

_KEYS = 1000
"""Access keys that are remembered. Roles have a new one every hour."""
# Signature Version 4: Credential=<access key>/<date>/<region>/<service>/aws4_request
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")


def signing_key(headers: Mapping[str, object]) -> str:
    """The access key that a signed request names; empty: it is not signed."""
    authorization = headers.get("Authorization") or ""
    if isinstance(authorization, bytes):
        authorization = authorization.decode("ascii", "replace")
    found = _CREDENTIAL.search(str(authorization))
    return found[1] if found else ""


class Callers:
    """The accounts of the access keys seen so far; each key is asked for once. Thread-safe."""

    def __init__(self) -> None:
        self._accounts: dict[str, str] = {}
        self._asking = threading.Lock()
        self._failure: tuple[str, float, SourceError] | None = None

    def known(self, access_key: str) -> str | None:
        """The account of a key, if it was found before."""
        return self._accounts.get(access_key)

    def find(self, access_key: str, ask: Callable[[], str]) -> str:
        """The account of a key; ``ask`` finds it if it is not known.

        One thread asks, and those that wait share its result. Raises what ``ask`` raises.
        """
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
