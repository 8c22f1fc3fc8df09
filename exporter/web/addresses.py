"""Groups of client addresses that share limits."""

from __future__ import annotations

import ipaddress

_PREFIX = 64
"""Bits of an IPv6 address; a host may choose the rest (RFC 4291, 2.5.1)."""


def group_of(host: str) -> str:
    """Return the group of a client's address: an IPv4 address, or a /64 IPv6 network.

    An IPv4-mapped address (``::ffff:192.0.2.1``) is in the group of the IPv4 address. A text that
    is not an address is a separate group.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    network = ipaddress.IPv6Network((int(address), _PREFIX), strict=False)
    return str(address.ipv4_mapped or network)
