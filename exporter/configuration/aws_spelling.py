"""Metric filters in AWS's own spelling, read as rules.

As DescribeMetricFilters prints them (camelCase, dimensions as a mapping) and as CloudFormation
writes them (PascalCase, dimensions as a list of Key and Value).
"""

from __future__ import annotations

from collections.abc import Callable

from exporter.configuration.names import (
    label_name_from_dimension,
    metric_name_from_aws,
    rule_name_from_filter,
)
from exporter.yamlfile.documents import Item, Step, Value
from exporter.yamlfile.problems import Findings
from exporter.yamlfile.validation import Fields, unknown_key

_FILTER_KEYS = (
    "filterName",
    "filterPattern",
    "metricTransformations",
    "logGroupName",
    "creationTime",
    "applyOnTransformedLogs",
    "fieldSelectionCriteria",
    "emitSystemFieldDimensions",
)
_TRANSFORMATION_KEYS = (
    "metricName",
    "metricNamespace",
    "metricValue",
    "defaultValue",
    "dimensions",
    "unit",
)


def is_metric_filter(item: Item) -> bool:
    """Whether a rule is written with a metric filter's keys."""
    data = item.data
    return isinstance(data, dict) and any(_camel(key) in _FILTER_KEYS for key in data)


def read_metric_filter(item: Item, own_keys: tuple[str, ...], findings: Findings) -> Fields:
    """Read a metric filter as a rule's fields; a rule's own keys beside AWS's win."""
    return _MetricFilter(item, own_keys, findings).read()


class _MetricFilter:
    def __init__(self, item: Item, own_keys: tuple[str, ...], findings: Findings) -> None:
        self._item = item
        self._data = item.data if isinstance(item.data, dict) else {}
        self._own_keys = own_keys
        self._findings = findings
        self._values: dict[str, Value] = {}
        self._origin: dict[str, tuple[Step, ...]] = {}

    def read(self) -> Fields:
        for key, value in self._data.items():
            if key in self._own_keys:
                self._values[key] = value
        for key, value in self._data.items():
            if key not in self._own_keys:
                self._read_key(key, value)
        # What is missing is missed under AWS's name, as the user would write it.
        self._origin.setdefault("name", ("filterName",))
        self._origin.setdefault("pattern", ("filterPattern",))
        if not any(_camel(key) == "metricTransformations" for key in self._data):
            self._findings.error(self._item.location, "`metricTransformations` is missing")
        return Fields(self._item, self._values, self._origin)

    def _read_key(self, key: str, value: Value) -> None:
        place = self._item.value_of(key)
        match _camel(key):
            case "filterName":
                self._set_name("name", value, (key,), rule_name_from_filter)
                self._set("title", value, (key,))
            case "filterPattern":
                self._set("pattern", value, (key,))
            case "metricTransformations":
                self._read_transformations(key, value)
            case "fieldSelectionCriteria" if value:
                self._findings.error(
                    place,
                    f"`{key}` is not supported: say it in the pattern, or by choosing `sources`",
                )
            case "applyOnTransformedLogs" if str(value).lower() == "true":
                self._findings.warning(
                    place, f"`{key}` has no effect: log events are read as they were sent"
                )
            case known if known not in _FILTER_KEYS:
                keys = (*_FILTER_KEYS, *self._own_keys)
                self._findings.error(self._item.key_of(key), unknown_key(key, keys))

    def _read_transformations(self, key: str, value: Value) -> None:
        if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
            message = f"`{key}` must be a list of exactly one transformation"
            self._findings.error(self._item.value_of(key), message)
            return
        path = (key, 0)
        spelled: dict[str, str] = {}
        for name in value[0]:
            if _camel(name) in _TRANSFORMATION_KEYS:
                spelled[_camel(name)] = name
            else:
                message = unknown_key(name, _TRANSFORMATION_KEYS)
                self._findings.error(self._item.key_of(*path, name), message)
        self._read_metric(path, value[0], spelled)
        if "metricValue" in spelled:
            name = spelled["metricValue"]
            self._set("value", value[0][name], (*path, name))
        if "dimensions" in spelled:
            name = spelled["dimensions"]
            self._read_dimensions((*path, name), value[0][name])

    def _read_metric(
        self, path: tuple[Step, ...], values: dict[str, Value], spelled: dict[str, str]
    ) -> None:
        if "metric" in self._values:
            return
        for key in ("metricNamespace", "metricName"):
            if key not in spelled:
                self._findings.error(self._item.value_of(*path), f"`{key}` is missing")
        if "metricName" not in spelled or "metricNamespace" not in spelled:
            return
        namespace = str(values[spelled["metricNamespace"]] or "")
        name_path = (*path, spelled["metricName"])
        self._set_name(
            "metric",
            values[spelled["metricName"]],
            name_path,
            lambda name: metric_name_from_aws(namespace, name),
        )

    def _read_dimensions(self, path: tuple[Step, ...], value: Value) -> None:
        pairs: list[tuple[str, Value]] = []
        if isinstance(value, dict):
            pairs = list(value.items())
        elif isinstance(value, list):
            for index, entry in enumerate(value):
                keys = {_camel(key): key for key in entry} if isinstance(entry, dict) else {}
                if not isinstance(entry, dict) or set(keys) != {"key", "value"}:
                    place = self._item.value_of(*path, index)
                    self._findings.error(place, "a dimension has exactly `Key` and `Value`")
                    continue
                pairs.append((str(entry[keys["key"]]), entry[keys["value"]]))
        elif value is not None:
            self._findings.error(
                self._item.value_of(*path), f"`{path[-1]}` must be a mapping of names to values"
            )
            return
        labels: dict[str, Value] = {}
        for name, reference in pairs:
            label = label_name_from_dimension(name)
            if label in labels:
                message = f"two dimensions become the label `{label}`: rename one"
                self._findings.error(self._item.value_of(*path), message)
            labels[label] = reference
        if labels:
            self._set("labels", labels, path)

    def _set_name(
        self, field: str, value: Value, path: tuple[Step, ...], convert: Callable[[str], str]
    ) -> None:
        """Set a name that is made from one of AWS's."""
        if not isinstance(value, str):
            self._set(field, value, path)
            return
        name = convert(value)
        if not name and field not in self._values:
            self._findings.error(
                self._item.value_of(*path),
                f"no name can be made from {value!r}, which has no letters or digits of ASCII:"
                f" add `{field}` beside it",
            )
        self._set(field, name or "unnamed_total", path)

    def _set(self, field: str, value: Value, path: tuple[Step, ...]) -> None:
        if field not in self._values:
            self._values[field] = value
            self._origin[field] = path


def _camel(key: str) -> str:
    return key[:1].lower() + key[1:]
