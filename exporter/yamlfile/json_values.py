"""YAML values as JSON values, for messages that are written in YAML."""

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
    """Return a new JSON value, by YAML 1.2: numbers, booleans and null are not quoted.

    YAML 1.1 would read ``No`` (which CloudTrail writes) as a boolean and a time as a date; here
    they are strings.
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
