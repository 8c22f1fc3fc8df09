"""Basic authentication: bcrypt is slow, so its results are cached."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Mapping

import bcrypt

from exporter.web.turns import AddressTurns

_CACHED = 1024
"""Results of each kind."""
_SIGNIFICANT = 72
"""Bytes of a password that bcrypt uses."""


def parse_basic(header: bytes) -> tuple[bytes, bytes] | None:
    """Return user and password of an ``Authorization`` header (RFC 7617), or None."""
    scheme, _, encoded = header.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return None
    user, colon, password = text.partition(b":")
    return (user, password) if colon else None


class PasswordCheck:
    """Checks passwords; an unknown user takes as long as a known one.

    One hash is computed at a time, in a thread, so guessing uses one core at most.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        # Separate, because a flood of guesses must not displace right passwords.
        self._right = _Recent()
        self._wrong = _Recent()
        self._turns = AddressTurns()

    async def verify(
        self, users: Mapping[bytes, bytes], user: bytes, password: bytes, address: str
    ) -> bool:
        """Return whether ``users`` (bcrypt hashes by name) has this user with this password.

        A cached result is returned immediately, to every address. Other checks wait for a turn of
        ``address``. Raises BusyError if too many wait.
        """
        hashed = users.get(user, b"")
        # The library refuses longer passwords; htpasswd and Go truncate them.
        password = password[:_SIGNIFICANT]
        key = self._digest(user, hashed, password)
        if (known := self._cached(key)) is not None:
            return known

        async def check() -> bool:
            if (known := self._cached(key)) is not None:  # by now
                return known
            against = hashed or _slowest(users)
            right = await asyncio.to_thread(bcrypt.checkpw, password, against) and bool(hashed)
            (self._right if right else self._wrong).add(key)
            return right

        return await self._turns.check(address, check)

    def _cached(self, key: bytes) -> bool | None:
        if self._right.knows(key):
            return True
        return False if self._wrong.knows(key) else None

    def _digest(self, *parts: bytes) -> bytes:
        digest = hashlib.blake2b(key=self._secret, digest_size=32)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


class _Recent(OrderedDict[bytes, None]):
    """The digests that were used last."""

    def knows(self, digest: bytes) -> bool:
        if found := digest in self:
            self.move_to_end(digest)
        return found

    def add(self, digest: bytes) -> None:
        self[digest] = None
        if len(self) > _CACHED:
            self.popitem(last=False)


def _slowest(users: Mapping[bytes, bytes]) -> bytes:
    """Return the hash with the highest cost (``$2y$12$…``)."""
    return max(users.values(), key=lambda hashed: hashed[4:6])
