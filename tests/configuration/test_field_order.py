"""A declared order of fields: the rules of a pack read lines of it, and of no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.configuration import RuleConfig, check

WriteFile = Callable[..., Path]

SOURCE = "sources: [{name: flows, type: log_groups, log_groups: [a]}]\n"
LINE = {
    "version": "5",
    "account-id": "111122223333",
    "interface-id": "eni-0a1b2c3d",
    "vpc-id": "vpc-0a1b",
    "srcaddr": "10.0.0.7",
    "dstaddr": "198.51.100.4",
    "srcport": "40000",
    "dstport": "443",
    "protocol": "6",
    "packets": "9",
    "bytes": "1234",
    "start": "1714557600",
    "end": "1714557660",
    "action": "ACCEPT",
    "log-status": "OK",
    "flow-direction": "egress",
}


def checked(write: WriteFile, fields: str) -> tuple[dict[str, RuleConfig], list[str]]:
    path = write(f"{SOURCE}rule_packs:\n  - name: vpc-flow-logs\n    fields: {fields}\n")
    result = check([path])
    rules = result.configuration.rules if result.configuration else ()
    return {rule.name: rule for rule in rules}, [problem.render() for problem in result.problems]


def matching(rules: dict[str, RuleConfig], line: str) -> dict[str, dict[str, str]]:
    found = {name: rule.compiled.match(line) for name, rule in rules.items()}
    return {name: dict(match.fields) for name, match in found.items() if match is not None}


@pytest.mark.parametrize("form", ["[{}]", "'{}'", "'${{{}}}'"])
def test_lines_of_the_declared_order_count(write: WriteFile, form: str) -> None:
    names = list(reversed(LINE))
    joined = {"[{}]": ", ", "'{}'": " ", "'${{{}}}'": "} ${"}[form].join(names)
    rules, problems = checked(write, form.format(joined))
    assert problems == []
    line = " ".join(LINE[name] for name in names)
    found = matching(rules, line)
    assert set(found) == {"vpc_flow_accepts", "vpc_flow_bytes_web", "vpc_flow_outbound_bytes"}
    assert found["vpc_flow_accepts"]["$protocol"] == "6"
    assert found["vpc_flow_outbound_bytes"]["$bytes"] == "1234"
    rejected = line.replace("ACCEPT", "REJECT")
    assert "vpc_flow_rejects" in matching(rules, rejected)
    # The order that the pack knows by itself.
    assert matching(rules, "2 1 eni-0a 10.0.0.7 198.51.100.4 4 443 6 9 12 1 2 ACCEPT OK") == {}


def test_fields_that_only_recognize_a_line_may_be_left_out(write: WriteFile) -> None:
    names = ["action", "protocol", "srcaddr", "dstaddr", "dstport", "bytes"]
    rules, problems = checked(write, f"[{', '.join(names)}]")
    line = " ".join(LINE[name] for name in names)
    found = set(matching(rules, line))
    assert found == {"vpc_flow_accepts", "vpc_flow_bytes_web", "vpc_flow_outbound_bytes"}
    assert [problem.splitlines()[0].partition("warning: ")[2] for problem in problems] == [
        "`fields` has no `srcport`: left out are vpc_flow_accepted_public_admin",
        "`fields` has no `log-status`: left out are vpc_flow_skipped_records",
    ]
    assert all(":4:13: warning" in problem for problem in problems)


def test_rules_that_lack_a_field_are_left_out_and_named(write: WriteFile) -> None:
    rules, problems = checked(write, "[srcaddr, dstaddr, protocol, action, log-status]")
    assert set(rules) == {"vpc_flow_accepts", "vpc_flow_rejects", "vpc_flow_skipped_records"}
    text = "\n".join(problems)
    assert "has no `dstport`: left out are vpc_flow_rejected_service_ports" in text
    assert "has no `bytes`: left out are vpc_flow_outbound_bytes" in text


def test_a_field_that_aws_does_not_have_is_an_error_at_its_place(write: WriteFile) -> None:
    _, (problem,) = checked(write, "[version, dst-addr, action]")
    assert ":4:23: error: the rule pack `vpc-flow-logs` knows no field `dst-addr`" in problem
    assert "did you mean `dstaddr`?" in problem


def test_a_field_twice_is_an_error(write: WriteFile) -> None:
    _, problems = checked(write, "[version, action, version]")
    assert any(":4:13: error: `fields`" in problem for problem in problems)


def test_a_pack_of_other_lines_has_no_fields(write: WriteFile) -> None:
    path = write(f"{SOURCE}rule_packs:\n  - {{name: waf, fields: [action]}}\n")
    (problem,) = check([path]).errors
    assert problem.message == "the rule pack `waf` reads no lines of fields: remove `fields`"
