"""Where log events are read from: one module for each type of source, registered here.

A further type is a module with a subclass of SourceConfig, and its place in the tuple below.
Nothing else names a type.
"""

from exporter.sources.base import SourceConfig
from exporter.sources.event_history import EventHistoryConfig
from exporter.sources.files import FilesConfig
from exporter.sources.log_groups import LogGroupsConfig

_REGISTERED: tuple[type[SourceConfig], ...] = (EventHistoryConfig, LogGroupsConfig, FilesConfig)

TYPES = {str(config.model_fields["type"].default): config for config in _REGISTERED}
"""The configuration model of each type, by its name in the file."""
RESOURCE_LABELS = tuple(config.kind.label for config in _REGISTERED if config.kind.label)
"""Labels of the exporter's own metrics that name the resource of a partition."""
LOCATION_LABELS = ("account_id", "region", "source")
"""Labels that every rule series carries by itself."""
SERIES_LABELS = (
    *LOCATION_LABELS,
    *(config.kind.label for config in _REGISTERED if config.kind.on_series),
)
"""These, and what the types add for their partitions."""
PLANNED_TYPES = ("trail_bucket",)
"""Types of the file format that this version cannot read yet."""
PLANNED_OPTIONS = ("accounts",)
"""Options of every source that this version cannot honour yet."""

__all__ = [
    "LOCATION_LABELS",
    "PLANNED_OPTIONS",
    "PLANNED_TYPES",
    "RESOURCE_LABELS",
    "SERIES_LABELS",
    "TYPES",
    "SourceConfig",
]
