"""DescribeLogGroups and ListLogGroups as AWS documents them, over moto's log groups."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from moto.backends import get_backend
from moto.logs.models import LogsBackend

from metric_filter_demo.log_groups import GroupKey
from metric_filter_demo.protocol import ApiError, Request, page_position, page_token

_MOST: Mapping[str, int] = {"DescribeLogGroups": 50, "ListLogGroups": 1000}
_DEFAULT = 50
_FILTERS: Mapping[str, frozenset[str]] = {
    "DescribeLogGroups": frozenset({"logGroupNamePrefix", "logGroupIdentifiers"}),
    "ListLogGroups": frozenset({"logGroupTags"}),
}
_COMMON = frozenset({"limit", "nextToken", "includeLinkedAccounts", "accountIdentifiers"})


class LogGroupLists:
    """Lists log groups, with those of linked accounts and with classes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._links: dict[str, set[str]] = {}
        self._classes: dict[GroupKey, str] = {}
        self._protection: dict[GroupKey, dict[str, Any]] = {}

    def link(self, account: str, monitoring: str) -> None:
        """Link an account to a monitoring account."""
        with self._lock:
            self._links.setdefault(monitoring, set()).add(account)

    def set_class(self, group: GroupKey, log_group_class: str) -> None:
        """Give a log group another class than STANDARD."""
        with self._lock:
            self._classes[group] = log_group_class

    def protect(self, group: GroupKey, **described: Any) -> None:
        """Give a log group a data protection policy; ``described`` by DescribeLogGroups."""
        with self._lock:
            self._protection[group] = described

    def class_of(self, group: GroupKey) -> str:
        """The class of a log group."""
        with self._lock:
            return self._classes.get(group, "STANDARD")

    def sees(self, account: str, owner: str) -> bool:
        """Whether an account may read the log groups of another one."""
        with self._lock:
            return account == owner or owner in self._links.get(account, ())

    def answer(self, request: Request) -> dict[str, Any]:
        """Answer DescribeLogGroups or ListLogGroups; raises ApiError as AWS does."""
        operation, parameters = request.operation, request.parameters()
        limit = parameters.get("limit", _DEFAULT)
        if not isinstance(limit, int) or not 1 <= limit <= _MOST[operation]:
            raise _invalid(f"limit must be 1 through {_MOST[operation]}, not {limit}.")
        unknown = parameters.keys() - _FILTERS[operation] - _COMMON
        if unknown:
            raise _invalid(f"This AWS does not know {', '.join(sorted(unknown))}.")
        found = self._found(request, _condition(parameters))
        start = _start(parameters)
        page = found[start : start + limit]
        answer: dict[str, Any] = {"logGroups": [self._record(one, operation) for one in page]}
        if start + limit < len(found):
            answer["nextToken"] = page_token({"start": start + limit}, parameters)
        return answer

    def _found(
        self, request: Request, wanted: Callable[[Any, Mapping[str, str]], bool]
    ) -> list[GroupKey]:
        """The log groups, sorted by name; ``wanted``: of one of moto's, and its tags."""
        accounts = {request.account}
        parameters = request.parameters()
        if parameters.get("includeLinkedAccounts"):
            with self._lock:
                accounts |= self._links.get(request.account, set())
            accounts &= set(parameters.get("accountIdentifiers") or accounts)
        found = []
        for account in accounts:
            backend = logs_backend(account, request.region)
            found += [
                (account, request.region, group.name)
                for group in list(backend.groups.values())
                if wanted(group, backend.list_tags_for_resource(group.arn))
            ]
        return sorted(found, key=lambda one: (one[2], one[0]))

    def _record(self, key: GroupKey, operation: str) -> dict[str, Any]:
        account, region, name = key
        described: dict[str, Any] = logs_backend(account, region).groups[name].to_describe_dict()
        described["logGroupClass"] = self.class_of(key)
        if operation == "DescribeLogGroups":
            with self._lock:
                return described | self._protection.get(key, {})
        return {one: described[one] for one in ("logGroupName", "logGroupArn", "logGroupClass")}


def logs_backend(account: str, region: str) -> LogsBackend:
    """The log groups of moto in an account and region."""
    return get_backend("logs")[account][region]


def _condition(parameters: Mapping[str, Any]) -> Callable[[Any, Mapping[str, str]], bool]:
    prefix = parameters.get("logGroupNamePrefix", "")
    identifiers = parameters.get("logGroupIdentifiers")
    filters = parameters.get("logGroupTags", ())
    if identifiers is not None and parameters.keys() - {
        "logGroupIdentifiers",
        "includeLinkedAccounts",
        "nextToken",
    }:
        raise _invalid("logGroupIdentifiers excludes all filters but includeLinkedAccounts.")
    if len(filters) > 5 or len(identifiers or ()) > 50:
        raise _invalid("There are too many filters.")
    if not parameters.get("includeLinkedAccounts") and any(
        one.startswith("arn:") for one in identifiers or ()
    ):
        raise _invalid("ARNs are for monitoring accounts.")

    def wanted(group: Any, tags: Mapping[str, str]) -> bool:
        if identifiers is not None and not {group.name, group.arn} & set(identifiers):
            return False
        return group.name.startswith(prefix) and all(
            one["key"] in tags and _has(tags[one["key"]], one.get("values") or ["*"])
            for one in filters
        )

    return wanted


def _has(value: str, filters: Sequence[str]) -> bool:
    """Whether a tag's value is one of those of a filter.

    AWS: ``!`` negates. Wildcards do not see case, equality does.
    """
    for one in filters:
        text = one.removeprefix("!")
        same = fnmatchcase(value.lower(), text.lower()) if "*" in text else value == text
        if same != one.startswith("!"):
            return True
    return False


def _start(parameters: Mapping[str, Any]) -> int:
    token = parameters.get("nextToken")
    if token is None:
        return 0
    position = page_position(token, parameters)
    if position is None:
        raise _invalid("The specified nextToken is invalid.")
    return int(position["start"])


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterException", message)
