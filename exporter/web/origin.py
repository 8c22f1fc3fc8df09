"""Requests that a browser makes for a page of another site."""

from __future__ import annotations

from starlette.datastructures import Headers


def is_cross_site(headers: Headers) -> bool:
    """Whether these headers are those of a request that another site's page has caused.

    Browsers add ``Origin`` to every POST (Fetch Standard, "append a request Origin header"), newer
    ones ``Sec-Fetch-Site`` too (Fetch Metadata). Other clients, such as curl, send neither and may
    come in. The host and port of the origin must be the request's; its scheme may differ, for a
    proxy may end TLS.
    """
    if any(site not in ("same-origin", "none") for site in headers.getlist("sec-fetch-site")):
        return True
    host = headers.get("host", "").lower()
    return any(
        origin.partition("://")[2].lower() != host or not host
        for origin in headers.getlist("origin")
    )
