"""The HTTP server: metrics, status page, health, readiness and reload; TLS and basic auth."""

from exporter.web.application import create_app
from exporter.web.limits import ClientLimits
from exporter.web.live import LiveWebConfig
from exporter.web.server import ListenError, Server

__all__ = ["ClientLimits", "ListenError", "LiveWebConfig", "Server", "create_app"]
