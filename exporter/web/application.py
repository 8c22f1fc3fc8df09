"""The web application: its paths and their responses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter.web.coalescing import Coalescing
from exporter.web.page import CONTENT_SECURITY_POLICY, render, render_rule
from exporter.web.rule_list import Selection
from exporter.web.scrape import Metrics, scrape_endpoint
from exporter.web.status import MatchStatus, StatusPage

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
    reload: Coalescing[[], list[str]] | None,
    matches: Callable[[str], Sequence[MatchStatus]] = lambda _: (),
    telemetry_path: str = "/metrics",
) -> Starlette:
    """Return the application.

    ``unready`` returns the reasons why the exporter is not ready, if any; it is called on the
    event loop and must not block. ``reload`` loads the configuration again and returns the errors;
    None disables the path. ``matches`` returns the last matches of a rule. ``status``, ``matches``
    and ``metrics`` are called in threads. Raises ValueError if ``telemetry_path`` is invalid or
    reserved.
    """
    _check_telemetry_path(telemetry_path)
    routes = [
        Route(telemetry_path, scrape_endpoint(metrics), methods=["GET"]),
        Route("/-/healthy", _healthy, methods=["GET"]),
        Route("/-/ready", _ready_endpoint(unready), methods=["GET"]),
        Route("/-/reload", _reload_endpoint(reload) if reload else _no_reload, methods=["POST"]),
    ]
    if telemetry_path != "/":
        routes += [
            Route("/", _status_endpoint(status, telemetry_path), methods=["GET"]),
            Route("/rules/{rule}", _rule_endpoint(status, matches), methods=["GET"]),
        ]
    app = Starlette(
        routes=routes, exception_handlers={HTTPException: _http_error, Exception: _internal_error}
    )
    app.router.redirect_slashes = False
    return app


def _check_telemetry_path(path: str) -> None:
    if not path.startswith("/") or set(path) & set("{?#"):
        problem = "is invalid: it must begin with / and contain none of { ? #"
    elif path.startswith("/-/"):
        problem = "is reserved for health, readiness and reload"
    else:
        return
    raise ValueError(
        f"The path of the metrics page, {path!r}, {problem}. Change --web.telemetry-path."
    )


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("Healthy\n")


def _ready_endpoint(unready: Callable[[], Sequence[str]]) -> _Endpoint:
    async def endpoint(_: Request) -> Response:
        reasons = unready()
        if not reasons:
            return PlainTextResponse("Ready\n")
        return _lines("Not ready, nothing was read yet from:", reasons, 503)

    return endpoint


def _reload_endpoint(reload: Coalescing[[], list[str]]) -> _Endpoint:
    async def endpoint(request: Request) -> Response:
        if _is_cross_site(request.headers):
            return PlainTextResponse(
                "403 Forbidden: the request comes from a page of another site; use a client that is"
                " not a browser\n",
                403,
            )
        if errors := await reload.outcome():
            text = "The configuration was not reloaded, the previous one stays in use:\n"
            return _lines(text, errors, 400)
        return PlainTextResponse("Reloaded\n")

    return endpoint


def _is_cross_site(headers: Headers) -> bool:
    """Return whether a browser sends the request for a page of another site.

    Browsers add ``Origin`` to every POST (Fetch Standard, "append a request Origin header"), newer
    ones ``Sec-Fetch-Site`` too; clients such as curl send neither. The scheme of the origin may
    differ from the request's, because a proxy may terminate TLS.
    """
    if any(site not in ("same-origin", "none") for site in headers.getlist("sec-fetch-site")):
        return True
    host = headers.get("host", "").lower()
    return any(
        origin.partition("://")[2].lower() != host or not host
        for origin in headers.getlist("origin")
    )


async def _no_reload(_: Request) -> Response:
    return PlainTextResponse(
        "403 Forbidden: reload over HTTP is disabled (--no-web.enable-lifecycle); send SIGHUP"
        " instead\n",
        403,
    )


def _status_endpoint(status: Callable[[], StatusPage], telemetry_path: str) -> _Endpoint:
    def page(refresh: int | None, selection: Selection) -> bytes:
        path = telemetry_path
        return render(status(), telemetry_path=path, refresh=refresh, selection=selection)

    pages = Coalescing(page)

    async def endpoint(request: Request) -> Response:
        query = request.query_params
        refresh = _refresh(query.get("refresh", ""))
        page = await pages.outcome(refresh, Selection.of(query))
        return HTMLResponse(page, headers=_PAGE_HEADERS)

    return endpoint


def _rule_endpoint(
    status: Callable[[], StatusPage], matches: Callable[[str], Sequence[MatchStatus]]
) -> _Endpoint:
    def page(name: str) -> bytes | None:
        whole = status()
        rule = next((rule for rule in whole.rules if rule.name == name), None)
        return None if rule is None else render_rule(whole, rule, matches(name))

    pages = Coalescing(page)

    async def endpoint(request: Request) -> Response:
        page = await pages.outcome(request.path_params["rule"])
        if page is None:
            return PlainTextResponse("404 Not Found: no rule that is loaded has this name\n", 404)
        return HTMLResponse(page, headers=_PAGE_HEADERS)

    return endpoint


def _refresh(text: str) -> int | None:
    """Return the seconds of ``?refresh=10``, at least 1, or None."""
    if not text.isascii() or not text.isdecimal() or len(text) > 5:
        return None
    return max(1, int(text))


def _lines(head: str, lines: Sequence[str], status: int) -> Response:
    # UTF-8 cannot encode a lone surrogate, which a file name can contain.
    text = "\n".join((head, *lines, ""))
    return Response(text.encode("utf-8", errors="replace"), status, media_type="text/plain")


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette's type is wider
    code = error.status_code
    return PlainTextResponse(f"{code} {HTTPStatus(code).phrase}\n", code, headers=error.headers)


async def _internal_error(_: Request, _error: Exception) -> Response:
    # Starlette raises the error again, so that the server logs it.
    return PlainTextResponse("500 Internal Server Error; the log says why\n", 500)
