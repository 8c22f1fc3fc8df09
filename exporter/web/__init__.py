"""The HTTP side: the metrics page, the status page, health, readiness and reload."""

from exporter.web.application import create_app
from exporter.web.server import ListenError, Server

__all__ = ["ListenError", "Server", "create_app"]
