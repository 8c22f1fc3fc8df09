"""Who may send messages to a queue, by its policy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from exporter.patterns.compile import wildcard_test

_SEND: Final = "sqs:sendmessage"
_LIMITING: Final = frozenset(
    {
        "aws:sourcearn",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
    }
)
"""Condition keys that name who may send."""


def open_to(policy: str) -> list[str]:
    """Who may send without any limit: ``anyone``, or a service on behalf of any account.

    AWS: a service such as ``events.amazonaws.com`` sends for every account that names the queue,
    unless ``aws:SourceArn`` or ``aws:SourceAccount`` limits it. Raises ValueError if the policy is
    not JSON.
    """
    document = json.loads(policy)
    if not isinstance(document, Mapping):
        raise ValueError("not a policy")  # noqa: TRY004 - as for what is not JSON
    found: list[str] = []
    for statement in _listed(document.get("Statement")):
        if isinstance(statement, Mapping) and _allows_sending(statement) and not _limits(statement):
            found += _anyone_in(statement.get("Principal"))
    return list(dict.fromkeys(found))


def _allows_sending(statement: Mapping[str, object]) -> bool:
    if statement.get("Effect") != "Allow":
        return False
    if "NotAction" in statement:
        return not _covers(statement["NotAction"])
    return _covers(statement.get("Action"))


def _covers(actions: object) -> bool:
    return any(
        wildcard_test(action.lower())(_SEND)
        for action in _listed(actions)
        if isinstance(action, str)
    )


def _limits(statement: Mapping[str, object]) -> bool:
    """Whether a condition says who may send."""
    conditions = statement.get("Condition")
    if not isinstance(conditions, Mapping):
        return False
    return any(
        isinstance(keys, Mapping)
        and not str(operator).lower().endswith("ifexists")
        and "not" not in str(operator).lower()
        and any(str(key).lower() in _LIMITING and "*" not in _listed(keys[key]) for key in keys)
        for operator, keys in conditions.items()
    )


def _anyone_in(principal: object) -> Iterator[str]:
    if principal == "*":
        yield "anyone"
    elif isinstance(principal, Mapping):
        if "*" in _listed(principal.get("AWS")):
            yield "anyone"
        for service in _listed(principal.get("Service")):
            yield f"{service} on behalf of any account"


def _listed(value: object) -> Sequence[object]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)
