"""Names of rules, metrics and labels."""

from __future__ import annotations

import re

from exporter.sources import SERIES_LABELS

DEFAULT_METRIC = "metric_filter_matches_total"
"""The metric of rules that name none; its series have the label ``rule``."""
DEFAULT_METRIC_LABEL = "rule"

_RULE_NAME = re.compile("[a-z][a-z0-9_]*")
_METRIC_NAME = re.compile("[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")
_OWN_PREFIXES = (
    "metric_filter_excluded_matches",
    "metric_filter_exporter_",
    "metric_filter_rule_info",
    "metric_filter_threshold",
    "process_",
    "python_",
)
_OWN_NAMES = ("metric_filter_rule", "metric_filter_matches", "metric_filter_matches_created")
_SAMPLE_SUFFIXES = {
    "counter": ("", "_total", "_created"),
    "histogram": ("", "_bucket", "_count", "_sum", "_created"),
}
_HISTOGRAM_SUFFIXES = ("_total", "_bucket", "_count", "_sum", "_created", "_info")


def snake_case(text: str) -> str:
    """Return AWS's name in lower case with underscores: ``HTTPErrors`` → ``http_errors``.

    Characters other than ASCII letters and digits separate words. The result may be empty.
    """
    text = re.sub("([A-Z]+)([A-Z][a-z])", r"\1_\2", text)
    text = re.sub("([a-z0-9])([A-Z])", r"\1_\2", text)
    return re.sub("[^a-zA-Z0-9]+", "_", text).strip("_").lower()


def check_rule_name(name: str) -> str:
    """Return the name; raises ValueError if it is not a valid rule name."""
    return _checked(name, _RULE_NAME, "lower-case letters, digits and _, starting with a letter")


def check_metric_name(name: str) -> str:
    """Return the name; raises ValueError if Prometheus does not allow it."""
    return _checked(name, _METRIC_NAME, "letters, digits, _ and :, not starting with a digit")


def check_label_name(name: str) -> str:
    """Return the name; raises ValueError if Prometheus or the exporter does not allow it."""
    _checked(name, _LABEL_NAME, "letters, digits and _, not starting with a digit")
    if name.startswith("__"):
        raise ValueError("names that start with __ are reserved for Prometheus: choose another")
    if name in SERIES_LABELS:
        raise ValueError("every rule series already has this label: choose another name")
    return name


def _checked(name: str, allowed: re.Pattern[str], rule: str) -> str:
    if not allowed.fullmatch(name):
        snake = snake_case(name)
        hint = f"; write {snake}" if allowed.fullmatch(snake) else ""
        raise ValueError(f"must be {rule}{hint}")
    return name


def family_names(metric: str, metric_type: str) -> frozenset[str]:
    """Return the names of a metric's family and samples.

    OpenMetrics: if two families share a name, the whole page is invalid.
    """
    family = metric.removesuffix("_total") if metric_type == "counter" else metric
    return frozenset(family + suffix for suffix in _SAMPLE_SUFFIXES[metric_type])


def check_metric_family(name: str, metric_type: str) -> None:
    """Raise ValueError if a metric of this type cannot have the name.

    Prometheus: a counter ends in ``_total``, a histogram in its unit. The names of the exporter's
    own metrics are reserved.
    """
    is_default = name == DEFAULT_METRIC and metric_type == "counter"
    for taken in () if is_default else sorted(family_names(name, metric_type) | {name}):
        if taken.startswith(_OWN_PREFIXES) or taken in _OWN_NAMES:
            raise ValueError(f"{taken} is a name of the exporter's own metrics: choose another")
    if metric_type == "counter" and not name.endswith("_total"):
        stem = name.removesuffix("_count").removesuffix("_counter").rstrip("_")
        raise ValueError(f"a counter's name ends in _total: name it {stem or name}_total")
    if metric_type == "counter" and name.strip("_") == "total":
        raise ValueError("a counter's name needs a word before _total")
    suffix = next((end for end in _HISTOGRAM_SUFFIXES if name.endswith(end)), None)
    if metric_type == "histogram" and suffix:
        stem = name.removesuffix(suffix)
        raise ValueError(f"a histogram's name must not end in {suffix}: name it {stem or 'it'}")


def label_name_from_dimension(name: str) -> str:
    """Return a dimension's name if it is a valid label name, otherwise its snake case."""
    if _LABEL_NAME.fullmatch(name):
        return name
    return _with_letter(snake_case(name)) or name


def rule_name_from_filter(name: str) -> str:
    """Return a rule name for a metric filter's name, which can have any characters."""
    snake = snake_case(name)
    return f"filter_{snake}" if snake and not snake[0].isalpha() else snake


def metric_name_from_aws(namespace: str, name: str) -> str:
    """Return ``<namespace>_<name>_total`` in snake case, or an empty text."""
    stem = "_".join(part for part in (snake_case(namespace), snake_case(name)) if part)
    return f"{_with_letter(stem).removesuffix('_total')}_total" if stem else ""


def _with_letter(name: str) -> str:
    return f"_{name}" if name[:1].isdigit() else name
