"""Sources of log events: one module for each type, registered here.

To add a type, write a module with a subclass of SourceConfig and add the class to the tuple below.
No other module names a type.
"""

from exporter.sources.base import SourceConfig
from exporter.sources.event_bus import EventBusConfig
from exporter.sources.event_history import EventHistoryConfig
from exporter.sources.files import FilesConfig
from exporter.sources.log_groups import LogGroupsConfig
from exporter.sources.trail_bucket import TrailBucketConfig

_REGISTERED: tuple[type[SourceConfig], ...] = (
    EventHistoryConfig,
    EventBusConfig,
    LogGroupsConfig,
    TrailBucketConfig,
    FilesConfig,
)

TYPES = {str(config.model_fields["type"].default): config for config in _REGISTERED}
"""The configuration model of each type, by the value of ``type:``."""
RESOURCE_LABELS = tuple(
    dict.fromkeys(config.kind.label for config in _REGISTERED if config.kind.label)
)
"""Labels of the exporter's own metrics that name the resource of a partition."""
LOCATION_LABELS = ("account_id", "region", "source")
"""Labels of every rule series."""
SERIES_LABELS = (
    *LOCATION_LABELS,
    *(config.kind.label for config in _REGISTERED if config.kind.on_series),
)
"""These, and the labels that types add for their partitions."""
__all__ = [
    "LOCATION_LABELS",
    "RESOURCE_LABELS",
    "SERIES_LABELS",
    "TYPES",
    "SourceConfig",
]
