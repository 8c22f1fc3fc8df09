"""Which clients are taken for one when they are given fair shares."""

from __future__ import annotations

import ipaddress

_PREFIX = 64
"""Bits of an IPv6 address; a host chooses the rest at will (RFC 4291, 2.5.1)."""


def group_of(host: str) -> str:
    """Return the group of a client's address: an IPv4 address, or an IPv6 network of 64 bits.

    An IPv4 client of a socket for both families (``::ffff:192.0.2.1``) is the same as without the
    prefix. What is no address is a group of its own.
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
