"""Events of AWS's global services, which CloudTrail shows in one region only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from exporter.configuration.rules import RuleConfig
from exporter.patterns.syntax import And, Comparison, Condition, JsonPattern, Or, Text
from exporter.sources import SourceConfig
from exporter.yamlfile.problems import Findings, plural
from exporter.yamlfile.validation import Filled

_SOURCES: Final = frozenset(
    f"{service}.amazonaws.com"
    for service in (
        *("iam", "signin", "organizations"),
        *("cloudfront", "route53", "route53domains"),
    )
)
# STS is not here: its regional endpoints are the default of SDKs.
_NAMES: Final = frozenset(
    (
        *("ConsoleLogin", "CreateAccessKey", "CreateRole", "UpdateAssumeRolePolicy"),
        *("AttachGroupPolicy", "AttachRolePolicy", "AttachUserPolicy"),
        *("DetachGroupPolicy", "DetachRolePolicy", "DetachUserPolicy"),
        *("PutGroupPolicy", "PutRolePolicy", "PutUserPolicy"),
        *("DeleteGroupPolicy", "DeleteRolePolicy", "DeleteUserPolicy"),
        *("CreateLoginProfile", "UpdateLoginProfile", "UpdateAccountPasswordPolicy"),
        *("CreateSAMLProvider", "UpdateSAMLProvider", "CreateOpenIDConnectProvider"),
        *("DeactivateMFADevice", "DeleteVirtualMFADevice"),
        *("AcceptHandshake", "InviteAccountToOrganization", "RemoveAccountFromOrganization"),
        *("LeaveOrganization", "MoveAccount"),
    )
)
"""Names of events that no regional service has."""
_NAMED: Final = 3
"""Rules that a warning names."""


def warn_of_global_services(
    sources: Sequence[Filled[SourceConfig]], rules: Iterable[RuleConfig], findings: Findings
) -> None:
    """Warn of rules that need events of global services, which none of their sources reads."""
    lacking = {one.model.name for one in sources if one.model.lacks_global_services}
    missing: dict[str, list[str]] = {}
    for rule in rules if lacking else ():
        if lacking.issuperset(rule.sources) and _needs_them(rule):
            missing.setdefault(rule.sources[0], []).append(rule.name)
    for source in sources:
        names = missing.get(source.model.name, [])
        if names:
            named = ", ".join(f"`{name}`" for name in names[:_NAMED])
            more = len(names) - _NAMED
            named += f" and {plural(more, 'more rule')}" if more > 0 else ""
            findings.warning(
                source.fields.value_of("regions"),
                "add us-east-1, which alone shows events of global services (IAM, sign-in of root"
                f" users, Organizations, CloudFront, Route 53): {named} would miss them",
            )


def _needs_them(rule: RuleConfig) -> bool:
    tree = rule.compiled.tree
    return isinstance(tree, JsonPattern) and _is_global(tree.condition)


def _is_global(condition: Condition) -> bool:
    """Whether a part of the matches can only be events of global services."""
    if isinstance(condition, Or):
        return any(map(_is_global, condition.operands))
    if isinstance(condition, And):
        return any(map(_is_global, condition.operands)) and not any(
            _equals(operand, "eventSource") not in (None, *_SOURCES)
            for operand in condition.operands
        )
    return (
        _equals(condition, "eventSource") in _SOURCES or _equals(condition, "eventName") in _NAMES
    )


def _equals(condition: Condition, field: str) -> str | None:
    """The text that a condition requires of a field; None if it requires none."""
    if (
        isinstance(condition, Comparison)
        and condition.operator == "="
        and condition.selector.steps == (field,)
        and isinstance(condition.value, Text)
        and "*" not in condition.value.text
    ):
        return condition.value.text
    return None
