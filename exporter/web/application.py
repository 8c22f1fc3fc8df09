"""The web application: every path, with what it needs handed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter.web.coalescing import Coalescing
from exporter.web.origin import is_cross_site
from exporter.web.page import CONTENT_SECURITY_POLICY, render
from exporter.web.scrape import Metrics, scrape_endpoint
from exporter.web.shared import Shared
from exporter.web.status import StatusPage

_Endpoint = Callable[[Request], Awaitable[Response]]

_PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def create_app(
    *,
    metrics: Metrics,
    status: Callable[[], StatusPage],
    unready: Callable[[], Sequence[str]],
    reload: Coalescing[list[str]] | None,
    telemetry_path: str = "/metrics",
) -> Starlette:
    """Return the application.

    ``status`` gathers the facts of the status page. ``unready`` says why it is not ready, a
    sentence each (nothing: it is); it is asked often and answers at once.
    ``reload`` loads the configuration anew and returns why it could not (nothing: it did). None:
    the path refuses. ``status`` and ``metrics`` are called in worker threads.
    Raises ValueError where ``telemetry_path`` is a path of something else.
    """
    _check_telemetry_path(telemetry_path)
    routes = [
        Route(telemetry_path, scrape_endpoint(metrics), methods=["GET"]),
        Route("/-/healthy", _healthy, methods=["GET"]),
        Route("/-/ready", _ready_endpoint(unready), methods=["GET"]),
        Route(
            "/-/reload",
            _reload_endpoint(reload) if reload else _reload_refused,
            methods=["POST"],
        ),
    ]
    if telemetry_path != "/":
        routes.append(Route("/", _status_endpoint(status, telemetry_path), methods=["GET"]))
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _refused, Exception: _broken},
    )
    app.router.redirect_slashes = False
    return app


def _check_telemetry_path(path: str) -> None:
    if not path.startswith("/") or "{" in path or "?" in path or "#" in path:
        raise ValueError(
            f"The path of the metrics page, {path!r}, is not one: it begins with / and holds none"
            " of { ? #. Change --web.telemetry-path."
        )
    if path.startswith("/-/"):
        raise ValueError(
            f"The path of the metrics page, {path!r}, is kept for health, readiness and reload."
            " Change --web.telemetry-path."
        )


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("Healthy\n")


def _ready_endpoint(unready: Callable[[], Sequence[str]]) -> _Endpoint:
    async def endpoint(_: Request) -> Response:
        reasons = unready()
        if not reasons:
            return PlainTextResponse("Ready\n")
        text = "Not ready, nothing was read yet from:\n" + "\n".join(reasons) + "\n"
        return Response(text.encode("utf-8", errors="replace"), 503, media_type="text/plain")

    return endpoint


def _reload_endpoint(reload: Coalescing[list[str]]) -> _Endpoint:
    async def endpoint(request: Request) -> Response:
        if is_cross_site(request.headers):
            return PlainTextResponse(
                "403 Forbidden: a page of another site asks for a reload; the exporter's own pages"
                " and clients that are no browsers may\n",
                403,
            )
        errors = await reload.outcome()
        if errors:
            text = "The configuration was not reloaded, the old one stays in force:\n\n"
            body = (text + "\n".join(errors) + "\n").encode("utf-8", errors="replace")
            return Response(body, 400, media_type="text/plain")
        return PlainTextResponse("Reloaded\n")

    return endpoint


async def _reload_refused(_: Request) -> Response:
    return PlainTextResponse(
        "403 Forbidden: reloading over HTTP is switched off (--no-web.enable-lifecycle); the"
        " process reloads on SIGHUP\n",
        403,
    )


def _status_endpoint(status: Callable[[], StatusPage], telemetry_path: str) -> _Endpoint:
    pages = Shared[int | None, bytes](
        lambda refresh: render(status(), telemetry_path=telemetry_path, refresh=refresh)
    )

    async def endpoint(request: Request) -> Response:
        refresh = _refresh(request.query_params.get("refresh", ""))
        body = await pages.get(refresh)
        return HTMLResponse(body, headers=_PAGE_HEADERS)

    return endpoint


def _refresh(text: str) -> int | None:
    """Return the seconds of ``?refresh=10``, at least one; None where there are none."""
    if not text.isascii() or not text.isdecimal() or len(text) > 5:
        return None
    return max(1, int(text))


async def _refused(_: Request, error: Exception) -> Response:
    code, headers = 500, None
    if isinstance(error, HTTPException):
        code, headers = error.status_code, error.headers
    return PlainTextResponse(f"{code} {HTTPStatus(code).phrase}\n", code, headers=headers)


async def _broken(_: Request, _error: Exception) -> Response:
    # Starlette raises the error again, so that the server logs it.
    return PlainTextResponse("500 Internal Server Error; the log says why\n", 500)
