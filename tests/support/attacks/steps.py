"""The steps of scenarios and routines: what an actor does, as templates of log events.

    steps:
      - {call: iam:CreateAccessKey, request: {userName: admin}}
      - {call: s3:GetObject, read: true, error: AccessDenied, times: 40, every: 5}
      - {sign_in: {mfa: false, failed: true}, actor: console_user, at: 120}

``at``: seconds after the start; by default it follows the step before. ``times``, ``every``: it is
done so often, so many seconds apart. A call may have the ``response`` and a ``region``, and more
fields of the record in ``extra``. ``event`` is a log event that is no call, as it stands. ``#`` is
the number of the time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tests.support.attacks.actors import actor, call, sign_in

_KEYS: Final = frozenset(
    {"actor", "at", "call", "error", "event", "every", "extra", "read", "region", "request"}
    | {"response", "sign_in", "times"}
)


def templates(
    steps: Iterable[Mapping[str, Any]], by: str, *, pause: float
) -> list[tuple[float, str]]:
    """Seconds after the start, and the template of the log event then.

    ``by``: who acts where a step does not say. ``pause``: seconds between steps. Raises ValueError
    for an unknown key and KeyError for an unknown actor.
    """
    found, at = [], 0.0
    for step in steps:
        if unknown := step.keys() - _KEYS:
            raise ValueError(f"unknown in a step: {', '.join(sorted(unknown))}")
        text = _template(step, by)
        at = float(step.get("at", at))
        for number in range(step.get("times", 1)):
            found.append((at, text.replace("#", str(number))))
            at += float(step.get("every", pause))
    return found


def _template(step: Mapping[str, Any], by: str) -> str:
    if "event" in step:
        return json.dumps(step["event"])
    caller = actor(step.get("actor", by))
    if "sign_in" in step:
        return sign_in(caller, **step["sign_in"])
    code = step.get("error")
    return call(
        caller,
        step["call"],
        region=step.get("region", ""),
        extra=step.get("extra"),
        read_only=step.get("read", False),
        request=step.get("request"),
        response=step.get("response"),
        error=(code, "is not authorized to perform this action") if code else None,
    )
