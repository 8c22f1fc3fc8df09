"""The HTTP server: metrics, status page, health, readiness and reload; TLS and basic auth.

``server.py`` serves ``application.py`` on the connections of ``connections.py``; ``live.py`` keeps
the web configuration up to date. Knows the ledger, sources and rules only by what it is given.
"""

from exporter.web.application import create_app
from exporter.web.limits import ClientLimits
from exporter.web.live import LiveWebConfig
from exporter.web.server import ListenError, Server

__all__ = ["ClientLimits", "ListenError", "LiveWebConfig", "Server", "create_app"]
