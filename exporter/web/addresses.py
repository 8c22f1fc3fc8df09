"""Client addresses that share their limits."""

from __future__ import annotations

import ipaddress

_PREFIX = 64
"""Bits of an IPv6 address; a host may choose the rest (RFC 4291, 2.5.1)."""


def group_of(host: str) -> str:
    """Return the group of a client's address: an IPv4 address, or an IPv6 network of 64 bits.

    An IPv4 client of a dual-stack socket (``::ffff:192.0.2.1``) is the IPv4 address. Any other
    text is a group of its own.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), _PREFIX), strict=False))
