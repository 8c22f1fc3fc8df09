"""Metric filters in AWS's spelling, read as rules.

DescribeMetricFilters prints camelCase and dimensions as a mapping. CloudFormation has PascalCase
and dimensions as a list of Key and Value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    """Return whether a rule has keys of a metric filter."""
    return any(_camel(key) in _FILTER_KEYS for key in item.mapping)


def read_metric_filter(item: Item, own_keys: Iterable[str], findings: Findings) -> Fields:
    """Read a metric filter as the fields of a rule; ``own_keys`` (of rules) have precedence."""
    return _MetricFilter(item, tuple(own_keys), findings).read()


class _MetricFilter:
    def __init__(self, item: Item, own_keys: tuple[str, ...], findings: Findings) -> None:
        self._item = item
        self._own_keys = own_keys
        self._findings = findings
        self._values = {key: item.mapping[key] for key in own_keys if key in item.mapping}
        self._origin: dict[str, tuple[Step, ...]] = {}

    def read(self) -> Fields:
        item, findings = self._item, self._findings
        keys = self._spelled((), _FILTER_KEYS, self._own_keys)
        name = keys.get("filterName", "filterName")
        self._take("name", (name,), rule_name_from_filter)
        self._take("title", (name,))
        self._take("pattern", (keys.get("filterPattern", "filterPattern"),))
        criteria = keys.get("fieldSelectionCriteria", "fieldSelectionCriteria")
        self._take("field_selection_criteria", (criteria,))
        transformed = keys.get("applyOnTransformedLogs")
        if transformed and str(item.mapping[transformed]).lower() == "true":
            findings.warning(
                item.value_of(transformed),
                f"`{transformed}` has no effect: log events are read as they were sent",
            )
        if "metricTransformations" in keys:
            self._read_transformation(keys["metricTransformations"])
        else:
            findings.error(item.location, "`metricTransformations` is missing")
        return Fields(item, self._values, self._origin)

    def _read_transformation(self, key: str) -> None:
        data = self._item.mapping[key]
        if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], dict):
            message = f"`{key}` must be a list of exactly one transformation"
            self._findings.error(self._item.value_of(key), message)
            return
        keys = self._spelled((key, 0), _TRANSFORMATION_KEYS)
        if "metric" not in self._values:
            missing = [name for name in ("metricNamespace", "metricName") if name not in keys]
            for name in missing:
                self._findings.error(self._item.value_of(key, 0), f"`{name}` is missing")
            if not missing:
                namespace = str(data[0][keys["metricNamespace"]] or "")
                self._take(
                    "metric",
                    (key, 0, keys["metricName"]),
                    lambda name: metric_name_from_aws(namespace, name),
                )
        if "metricValue" in keys:
            self._take("value", (key, 0, keys["metricValue"]))
        if "dimensions" in keys:
            self._read_dimensions((key, 0, keys["dimensions"]))

    def _read_dimensions(self, path: tuple[Step, ...]) -> None:
        labels: dict[str, Value] = {}
        for name, value in self._dimensions(path):
            label = label_name_from_dimension(name)
            if label in labels:
                message = f"two dimensions become the label `{label}`: rename one"
                self._findings.error(self._item.value_of(*path), message)
            labels[label] = value
        if labels and "labels" not in self._values:
            self._values["labels"], self._origin["labels"] = labels, path

    def _dimensions(self, path: tuple[Step, ...]) -> list[tuple[str, Value]]:
        data = self._item.child(*path).data
        if isinstance(data, dict):
            return list(data.items())
        if data is not None and not isinstance(data, list):
            message = f"`{path[-1]}` must be a mapping of names to values"
            self._findings.error(self._item.value_of(*path), message)
            return []
        pairs = []
        for index, entry in enumerate(data or ()):
            pair = {_camel(k): v for k, v in entry.items()} if isinstance(entry, dict) else {}
            if pair.keys() != {"key", "value"}:
                message = "a dimension has exactly `Key` and `Value`"
                self._findings.error(self._item.value_of(*path, index), message)
            else:
                pairs.append((str(pair["key"]), pair["value"]))
        return pairs

    def _spelled(
        self, path: tuple[Step, ...], known: tuple[str, ...], others: tuple[str, ...] = ()
    ) -> dict[str, str]:
        """Return the keys as written, by AWS's key; those not in ``others`` must be known."""
        keys: dict[str, str] = {}
        for key in self._item.child(*path).mapping:
            first = keys.setdefault(_camel(key), key) if _camel(key) in known else key
            if first != key:
                message = f"`{key}` is given twice, first as `{first}`"
            elif _camel(key) not in known and key not in others:
                message = unknown_key(key, (*known, *others))
            else:
                continue
            self._findings.error(self._item.key_of(*path, key), message)
        return keys

    def _take(
        self, field: str, path: tuple[Step, ...], convert: Callable[[str], str] | None = None
    ) -> None:
        """Set a field from AWS's key, unless the rule's own key exists.

        ``convert`` returns the field's name for AWS's name, or an empty one.
        """
        if field in self._values:
            return
        self._origin[field] = path
        part = self._item.child(*path[:-1]).parts.get(path[-1])
        if part is None:
            return
        value = part.data
        if convert is not None and isinstance(value, str):
            name = convert(value)
            if not name:
                self._findings.error(
                    part.location,
                    f"no name can be made from {value!r}, which has no ASCII letters or digits: add"
                    f" `{field}` next to it",
                )
            value = name or "unnamed_total"
        self._values[field] = value


def _camel(key: str) -> str:
    return key[:1].lower() + key[1:]
