"""Messages of SNS, which wrap others."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.jsontext import string

_KEYS = ("Type", "TopicArn", "Message")


def is_from_sns(members: Mapping[str, str]) -> bool:
    """Whether a JSON object, by the texts of its members, is a message of SNS."""
    return all(string(members.get(name)) for name in _KEYS)


def notified(members: Mapping[str, str]) -> str | None:
    """The text in a notification; None for other messages, such as of a new subscription."""
    if string(members["Type"]) != "Notification":
        return None
    return string(members["Message"])
