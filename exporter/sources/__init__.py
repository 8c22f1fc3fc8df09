"""Where log events are read from."""

from exporter.sources.base import Discovery, Listener, Reading, Source
from exporter.sources.build import build_source

__all__ = ["Discovery", "Listener", "Reading", "Source", "build_source"]
