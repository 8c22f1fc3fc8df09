"""Where log events are read from."""

from exporter.sources.base import Discovery, Reading, Source
from exporter.sources.build import build_source

__all__ = ["Discovery", "Reading", "Source", "build_source"]
