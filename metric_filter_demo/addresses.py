"""The listen address of the demo's exporter."""

from __future__ import annotations

import socket

from exporter.settings import PREFIX, ListenAddress

DEFAULT = ListenAddress("127.0.0.1", 10911)
"""This machine only: a demo has no password."""
_TRIED = 100
"""Ports from the wanted one on that are looked at."""


class ListenAddressError(Exception):
    """The exporter cannot listen on the given address; the message suggests another."""


def free_address(wanted: ListenAddress | None) -> ListenAddress:
    """Return an address that can be listened on; a port of 0 is replaced by a free one.

    ``wanted``: the user's address; if None, DEFAULT, or the next port that is free. Raises
    ListenAddressError if the address is taken or does not belong to this machine.
    """
    try:
        return _probed(wanted or DEFAULT)
    except OSError as error:
        following = _next_free(wanted or DEFAULT)
        if wanted is None and following is not None:
            return following
        raise ListenAddressError(_sentence(wanted or DEFAULT, error, following)) from error


def _next_free(taken: ListenAddress) -> ListenAddress | None:
    for port in range(taken.port + 1, min(taken.port + _TRIED, 65536)):
        try:
            return _probed(ListenAddress(taken.host, port))
        except OSError:
            continue
    return None


def _probed(address: ListenAddress) -> ListenAddress:
    """Listen there for a moment. Raises OSError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address.host, address.port))
        return ListenAddress(address.host, int(probe.getsockname()[1]))


def _sentence(address: ListenAddress, error: OSError, free: ListenAddress | None) -> str:
    what = f"The exporter cannot listen on {address}: {error.strerror or error}."
    if free is None:
        return f"{what} Name an address of this machine with --web.listen-address."
    return (
        f"{what} {free} is free: --web.listen-address={free}, or the environment variable"
        f" {PREFIX}WEB_LISTEN_ADDRESS={free} (make run ARGS=--web.listen-address={free})."
    )
