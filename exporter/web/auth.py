"""Basic authentication: bcrypt is slow once, then the result is remembered."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping

import bcrypt

from exporter.web.turns import Turns

_REMEMBERED = 1024
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
    """Checks passwords, an unknown user's as slowly as a known one's.

    One hash is computed at a time, in a thread, so guessing takes one core at most.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        # Separate, so that a flood of guesses does not push out right passwords.
        self._right = _Recent()
        self._wrong = _Recent()
        self._turns = Turns()

    async def verify(
        self, users: Mapping[bytes, bytes], user: bytes, password: bytes, address: str
    ) -> bool:
        """Return whether ``users`` (bcrypt hashes by name) has this user with this password.

        A recent result is known at once, for every address. Anything else waits for a turn of
        ``address``; raises BusyError if too many wait.
        """
        hashed = users.get(user, b"")
        # The library refuses longer passwords; htpasswd and Go truncate them.
        password = password[:_SIGNIFICANT]
        key = self._digest(user, hashed, password)
        if (known := self._remembered(key)) is not None:
            return known

        async def check() -> bool:
            if (known := self._remembered(key)) is not None:  # by now
                return known
            against = hashed or _slowest(users)
            right = await asyncio.to_thread(bcrypt.checkpw, password, against) and bool(hashed)
            (self._right if right else self._wrong).add(key)
            return right

        return await self._turns.check(address, check)

    def _remembered(self, key: bytes) -> bool | None:
        if self._right.knows(key):
            return True
        return False if self._wrong.knows(key) else None

    def _digest(self, *parts: bytes) -> bytes:
        digest = hashlib.blake2b(key=self._secret, digest_size=32)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


class _Recent:
    """The digests that were used last."""

    def __init__(self) -> None:
        self._digests: dict[bytes, None] = {}

    def knows(self, digest: bytes) -> bool:
        if digest not in self._digests:
            return False
        del self._digests[digest]
        self._digests[digest] = None
        return True

    def add(self, digest: bytes) -> None:
        self._digests[digest] = None
        if len(self._digests) > _REMEMBERED:
            del self._digests[next(iter(self._digests))]


def _slowest(users: Mapping[bytes, bytes]) -> bytes:
    """The hash of the highest cost: ``$2y$12$…``."""
    return max(users.values(), key=lambda hashed: hashed[4:6])
