"""Rules of the CloudTrail packs, and questions about several of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from generator import links
from generator.packs import Pack, Rule
from generator.queries import (
    PLACE,
    RANGE,
    TARGET,
    all_grown,
    one_of,
    recorded,
    rule_facts,
    titled,
    total,
)

PACKS: Final = (
    "cis-aws-foundations",
    "cloudtrail-security",
    "cloudtrail-identity",
    "cloudtrail-data",
    "cloudtrail-compute",
    "cloudtrail-exposure",
    "cloudtrail-defenses",
    "cloudtrail-ai",
    "cloudtrail-account",
    "aws-findings",
)
RULES: Final = {rule.name: rule for pack in PACKS for rule in Pack(pack).rules}
PREFIXES: Final = "cis|security|identity|data|compute|exposure|defenses|ai|account|findings"
ALL: Final = f'rule=~"({PREFIXES})_.+"'
"""A matcher of them."""

EXPOSED: Final = (
    "security_ingress_opened_to_world",
    "security_bucket_acl_public",
    "security_bucket_policy_public",
    "security_public_access_block_removed",
    "security_snapshots_made_public",
    "security_lambda_made_public",
    "security_database_made_public",
    "exposure_policy_public",
    "exposure_blocks_removed",
    "exposure_shared",
)
IDENTITY: Final = (
    "cis_iam_policy_changes",
    "security_admin_policy_attached",
    "security_trust_policy_changes",
    "security_access_keys_created",
    "security_login_profile_changes",
    "security_mfa_deactivated",
    "security_principals_created",
    "identity_credentials_added",
    "identity_center_access_changes",
    "identity_boundary_changes",
)
NETWORK: Final = (
    "cis_security_group_changes",
    "cis_nacl_changes",
    "cis_network_gateway_changes",
    "cis_route_table_changes",
    "cis_vpc_changes",
)
TAMPERING: Final = (
    "security_trail_tampering",
    "security_detector_tampering",
    "security_config_tampering",
    "security_logs_deleted",
    "security_alarm_changes",
    "security_alarms_disabled",
    "cis_organizations_changes",
    "defenses_detectors_weakened",
    "defenses_findings_suppressed",
    "defenses_organization_weakened",
)
SECRETS: Final = (
    "security_kms_key_changes",
    "security_secrets_read",
    "security_parameters_decrypted",
    "security_instance_secrets_read",
    "security_remote_sessions",
)
OPERATIONS: Final = (
    "security_instances_launched",
    "security_instances_stopped",
    "security_buckets_deleted",
    "security_data_deleted",
    "security_snapshots_deleted",
    "data_stores_deleted",
    "data_protection_removed",
    "security_throttled_calls",
    "security_quota_exceeded",
)

CALL: Final = "account_id, region, user, session, event, error_code"
LEVELS: Final = {
    "place": frozenset({"metric", "account_id", "region"}),
    "principal": frozenset({"metric", *CALL.split(", ")}),
}
"""The labels of the series that alerts/security-overview.yaml records; the cheapest come first."""

TO_EVENTS: Final = links.event_history("Region", "Call")
TO_MATCHES: Final = links.last_matches("rule")
TO_RULE: Final = links.dashboard("Explore the rule", links.RULES, rule='${__data.fields["rule"]}')


def of_severity(*severities: str) -> list[Rule]:
    """The rules of the severities."""
    return [rule for rule in RULES.values() if rule.severity in severities]


def count(
    rules: Sequence[Rule], *labels: str, matcher: str = "", window: str = RANGE, at: str = ""
) -> str:
    """Matches of the rules' metrics, by labels or ``metric``; an event of two sources counts once.

    From what is recorded, if that has the labels, and from the metrics themselves if not.
    """
    metrics = [*dict.fromkeys(rule.metric for rule in rules)]
    levels = [level for level, known in LEVELS.items() if known.issuperset(labels)]
    if levels and not matcher:
        return total(_recorded(levels[0], metrics, window, at), *labels)
    own = ", ".join(sorted({"account_id", "region"}.union(*(rule.labels for rule in rules))))
    matchers = ", ".join(part for part in (matcher, PLACE, TARGET) if part)
    growth = all_grown(metrics, matchers, f"job, source, log_group, {own}", window, at)
    return total(f"max by (metric, {own}) ({growth})", *labels)


def _recorded(level: str, metrics: Sequence[str], window: str = RANGE, at: str = "") -> str:
    return recorded(level, f'metric=~"{one_of(metrics)}", {PLACE}', window, at)


def events(rules: Sequence[Rule], *labels: str) -> str:
    """Calls in the time range that match any of the rules, by labels.

    A call that several rules match counts once: of each place, caller and call, the metric that
    counted most.
    """
    call = "account_id, region, user, event"
    growth = _recorded("principal", [*dict.fromkeys(rule.metric for rule in rules)])
    return total(f"max by ({call}) (sum by (metric, {call}) ({growth}))", *labels)


def matches(rules: Sequence[Rule], *facts: str) -> str:
    """Matches of rules in the time range; no data, and not 0, if none of them is loaded."""
    names = "|".join(rule.name for rule in rules)
    loaded = rule_facts(f'rule=~"{names}"', *facts)
    found = f"{count(rules, 'metric')} and on (metric) {loaded}"
    return f"sum({found}) or sum(0 * {loaded})"


def by_title(rules: Sequence[Rule], *, window: str, at: str = "") -> str:
    """Matches of rules, each by its title."""
    names = first_of_each_metric(rules).values()
    return titled(count(rules, "metric", window=window, at=at), *names)


def by_person(rules: Sequence[Rule]) -> str:
    """Matches in the time range by person and call, and metric."""
    return f"({count(rules, 'metric', *CALL.split(', '))} > 0)"


def one_of_each_metric(rules: Sequence[Rule]) -> str:
    """A matcher of rules by name: rules share some metrics, and the first stands for all."""
    return f'rule=~"{"|".join(first_of_each_metric(rules).values())}"'


def first_of_each_metric(rules: Sequence[Rule]) -> dict[str, str]:
    """The name of the first rule that counts in each metric."""
    first: dict[str, str] = {}
    for rule in rules:
        first.setdefault(rule.metric, rule.name)
    return first
