"""YAML values as JSON has them, for messages that are written in YAML."""

from __future__ import annotations

import json
import re
from typing import TypeAlias

import yaml

from exporter.yamlfile.documents import Item, pairs

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}


def json_value(item: Item) -> JsonValue:
    """A YAML value by YAML 1.2: a number, a boolean or null where it looks so and is not quoted.

    YAML 1.1 would take ``No`` (which CloudTrail writes) for a boolean and a time for a date; here
    they are strings. The value is new each time, its parts are nobody else's.
    """
    return _value(item.node)


def _value(node: yaml.Node) -> JsonValue:
    if isinstance(node, yaml.MappingNode):
        result: dict[str, JsonValue] = {}
        for key, value in pairs(node):
            if key.value not in result:
                result[key.value] = _value(value)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_value(child) for child in node.value]
    text = str(node.value)
    # A plain scalar's style is None from one composer and empty from the other.
    if isinstance(node, yaml.ScalarNode) and node.style:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        number: int | float = json.loads(text)
        return number
    return text
