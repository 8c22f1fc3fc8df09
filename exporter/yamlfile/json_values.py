"""YAML values as JSON has them, for messages that are written in YAML."""

from __future__ import annotations

import json
import re
from typing import TypeAlias

from exporter.yamlfile.items import Item

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def json_value(item: Item) -> JsonValue:
    """A YAML value by YAML 1.2: a number, a boolean or null if it looks so and is not quoted.

    YAML 1.1 would take ``No`` (which CloudTrail writes) for a boolean and a time for a date; here
    they are strings. The value is new each time and shares nothing.
    """
    if isinstance(item.data, dict):
        return {str(key): json_value(part) for key, part in item.parts.items()}
    if isinstance(item.data, list):
        return [json_value(part) for part in item.parts.values()]
    if item.data is None or item.style:
        return item.data
    if _NUMBER.fullmatch(item.data):
        number: int | float = json.loads(item.data)
        return number
    return _BOOLEANS.get(item.data, item.data)
