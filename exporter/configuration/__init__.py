"""The YAML configuration: sources and rules, read from files, checked and complete.

``loading.py`` is the entry point: ``check`` returns all problems with file and line, ``load`` the
configuration. A rule is one model (``rules.py``); those of sources are in ``sources/``.
"""

from exporter.configuration.line_format import LineFormat
from exporter.configuration.loading import Checked, Configuration, check, load
from exporter.configuration.names import DEFAULT_METRIC
from exporter.configuration.references import EXACT_INTEGERS, LabelValue, Part, Reference, ValueSpec
from exporter.configuration.rules import MetricType, RuleConfig
from exporter.sources import SERIES_LABELS, SourceConfig
from exporter.yamlfile.durations import format_duration, parse_duration
from exporter.yamlfile.footprint import Footprint
from exporter.yamlfile.problems import ConfigurationError, Location, Problem

__all__ = [
    "DEFAULT_METRIC",
    "EXACT_INTEGERS",
    "SERIES_LABELS",
    "Checked",
    "Configuration",
    "ConfigurationError",
    "Footprint",
    "LabelValue",
    "LineFormat",
    "Location",
    "MetricType",
    "Part",
    "Problem",
    "Reference",
    "RuleConfig",
    "SourceConfig",
    "ValueSpec",
    "check",
    "format_duration",
    "load",
    "parse_duration",
]
