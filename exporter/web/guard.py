"""Headers, rate limit and basic authentication for all paths."""

from __future__ import annotations

import asyncio
import math
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.web.addresses import group_of
from exporter.web.auth import PasswordCheck, parse_basic
from exporter.web.config import WebConfig
from exporter.web.live import LiveWebConfig
from exporter.web.sections import RateLimitSection
from exporter.web.turns import BusyError

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="metric-filter-exporter", charset="UTF-8"'}
_PAUSE = 1.0
"""Seconds before a 503, which slow down clients that retry immediately."""


class Guard:
    """Answers requests that the web configuration refuses, and passes on all others."""

    def __init__(self, app: ASGIApp, web_config: LiveWebConfig) -> None:
        self._app = app
        self._web_config = web_config
        self._passwords = PasswordCheck()
        self._full_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, 429 or 503, or pass the request on."""
        config = self._web_config.current()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(config.headers)
            await send(message)

        refusal = self._limit(config.rate_limit) or await self._authenticate(config, scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _limit(self, limit: RateLimitSection | None) -> Response | None:
        """Apply a token bucket, stored as the time at which it will be full again."""
        if limit is None:
            return None
        now = time.monotonic()
        capacity = limit.burst * limit.interval
        # The limit may have changed since the last request.
        self._full_at = min(max(self._full_at, now), now + capacity)
        if self._full_at + limit.interval > now + capacity:
            wait = {"Retry-After": str(math.ceil(limit.interval))}
            return PlainTextResponse("429 Too Many Requests\n", 429, headers=wait)
        self._full_at += limit.interval
        return None

    async def _authenticate(self, config: WebConfig, scope: Scope) -> Response | None:
        if not config.users:
            return None
        given = Headers(scope=scope).getlist("authorization")
        login = parse_basic(given[0].encode("latin-1")) if len(given) == 1 else None
        address = group_of(scope["client"][0]) if scope["client"] else ""
        try:
            if login and await self._passwords.verify(config.users, *login, address):
                return None
        except BusyError:
            await asyncio.sleep(_PAUSE)
            text = "503 Service Unavailable: too many password checks are waiting\n"
            return PlainTextResponse(text, 503, headers={"Retry-After": "5"})
        return PlainTextResponse("401 Unauthorized\n", 401, headers=_CHALLENGE)
