"""What stands before every path: headers, rate limit, basic authentication."""

from __future__ import annotations

import asyncio
import math
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.web.addresses import group_of
from exporter.web.auth import PasswordCheck, parse_basic
from exporter.web.config import RateLimit, WebConfig
from exporter.web.live import LiveWebConfig
from exporter.web.turns import BusyError

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="metric-filter-exporter", charset="UTF-8"'}
_PAUSE = 1.0
"""Seconds before a client hears that too many passwords wait, so that one that asks again at once
leaves the server time for others."""


class Guard:
    """Hands on the requests that the web configuration allows."""

    def __init__(self, app: ASGIApp, web_config: LiveWebConfig) -> None:
        self._app = app
        self._web_config = web_config
        self._passwords = PasswordCheck()
        self._bucket: _Bucket | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, 429 or 503, or hand the request on."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")
        config = self._web_config.current().config

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in config.headers.items():
                    headers[name] = value
            await send(message)

        refusal = self._limit(config.rate_limit) or await self._identify(config, scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _limit(self, limit: RateLimit | None) -> Response | None:
        if limit is None:
            self._bucket = None
            return None
        if self._bucket is None or self._bucket.limit != limit:
            self._bucket = _Bucket(limit)
        if self._bucket.take():
            return None
        wait = {"Retry-After": str(math.ceil(limit.interval))}
        return PlainTextResponse("429 Too Many Requests\n", 429, headers=wait)

    async def _identify(self, config: WebConfig, scope: Scope) -> Response | None:
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
            wait = {"Retry-After": "5"}
            text = "503 Service Unavailable: too many passwords from your address wait\n"
            return PlainTextResponse(text, 503, headers=wait)
        return PlainTextResponse("401 Unauthorized\n", 401, headers=_CHALLENGE)


class _Bucket:
    """A token an interval, up to ``burst`` of them."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._tokens = float(limit.burst)
        self._time = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        earned = (now - self._time) / self.limit.interval
        self._tokens = min(float(self.limit.burst), self._tokens + earned)
        self._time = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
