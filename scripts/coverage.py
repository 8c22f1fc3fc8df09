"""Writes docs/coverage.md and docs/attack-navigator.json: the controls that rules and alerts watch.

The controls are those of the rules (`controls` in config/rules); scripts/coverage.yaml has their
names. ``--check`` only checks whether both files are up to date.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # as scripts/coverage.py, which `make coverage` runs

from scripts.runbooks import load, read_alerts, write_or_check  # noqa: E402

PAGE: Final = ROOT / "docs" / "coverage.md"
LAYER: Final = ROOT / "docs" / "attack-navigator.json"
NAMES: Final = ROOT / "scripts" / "coverage.yaml"
SEVERITIES: Final = ("critical", "high", "medium", "low", "info")

_MOST: Final = 12
"""Rules or alerts that a row names; more are counted, the rules by pack."""
_INTRODUCTION: Final = """\
<!-- Written by scripts/coverage.py. -->

# Coverage

The controls that the [rules](detections.md) help to meet, by framework. Each rule lists them in
`controls`, which is also a label of `metric_filter_rule_info`.
[attack-navigator.json](attack-navigator.json) shows the techniques in the
[ATT&CK Navigator](https://mitre-attack.github.io/attack-navigator/) ("Open Existing Layer").

- Security Hub's CloudWatch.1 to CloudWatch.14 and the CIS recommendations ask for the metric
  filters that `cis-aws-foundations` has. Security Hub looks for them in CloudWatch, so these
  controls fail there if you use this exporter instead: disable them in Security Hub, with this as
  the reason.
- The mapping to all other ids, those of ATT&CK, NIST SP 800-53 (revision 5) and PCI DSS (version
  4.0.1), is this project's. A rule detects or records the events that a control is about. It does
  not meet the control alone.
- Rules that share a metric are one entry; (+3) is the number of the others. Alerts link to their
  runbooks."""
_SYNTAX: Final = {
    "attack": r"T\d{4}(\.\d{3})?",
    "security-hub": r"[A-Z][A-Za-z0-9]+\.\d+",
    "nist-800-53": r"[A-Z]{2}-\d+(\(\d+\))?",
    "pci-dss": r"\d+(\.\d+)+",
}
_CIS_VERSION: Final = re.compile(r"cis-v(\d+\.\d+\.\d+)")


@dataclass(frozen=True)
class Rule:
    """A rule of a pack."""

    name: str
    pack: str
    severity: str
    metric: str
    controls: Mapping[str, tuple[str, ...]]
    """Ids by framework."""


@dataclass(frozen=True)
class Coverage:
    """The rules, and the alerts that look at each."""

    rules: Sequence[Rule]
    alerts: Mapping[str, Sequence[str]]
    """By the name of the rule, the worst first."""
    names: Mapping[str, Any]

    def by_control(self, framework: str) -> dict[str, list[Rule]]:
        """Return the rules of each control of a framework, in the order of its ids."""
        found: dict[str, list[Rule]] = {}
        for rule in self.rules:
            for control in rule.controls.get(framework, ()):
                found.setdefault(control, []).append(rule)
        return dict(sorted(found.items(), key=lambda item: _order(item[0])))

    def techniques(self) -> dict[str, str]:
        """Return the names of all known techniques, by id."""
        attack = self.names["attack"]
        names: dict[str, str] = dict(attack["other"])
        for part in attack["iaas"].values():
            names |= part
        return names


def _order(control: str) -> list[tuple[int, str]]:
    """Return a key that sorts CloudWatch.2 before CloudWatch.10."""
    parts = re.findall(r"\d+|\D+", control)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]


def read_coverage() -> Coverage:
    """Read the rules, the alerts and the names of controls."""
    rules = [
        Rule(
            rule["name"],
            path.stem,
            rule.get("severity", ""),
            rule["metric"],
            {
                framework: tuple(str(ids).split(","))
                for framework, ids in rule.get("controls", {}).items()
            },
        )
        for path in sorted((ROOT / "config" / "rules").glob("*.yaml"))
        for rule in load(path)["rules"]
    ]
    alerts: dict[str, list[str]] = {}
    for alert in read_alerts():
        for rule in alert.rules:
            alerts.setdefault(rule["name"], []).append(alert.name)
    return Coverage(rules, alerts, load(NAMES))


def misspelt(rules: Iterable[Rule]) -> list[str]:
    """Return the controls that have not the form of their framework, and the rules without one."""
    faults = []
    for rule in rules:
        if not rule.controls:
            faults.append(f"{rule.name} has no controls")
        for framework, ids in rule.controls.items():
            form = (
                _SYNTAX["pci-dss"] if _CIS_VERSION.fullmatch(framework) else _SYNTAX.get(framework)
            )
            if form is None:
                faults.append(f"{rule.name}: there is no framework {framework}")
                continue
            faults += [
                f"{rule.name}: {framework} has no {one}"
                for one in ids
                if not re.fullmatch(form, one)
            ]
    return faults


def outputs(coverage: Coverage) -> dict[Path, str]:
    """Return the texts of both files."""
    return {PAGE: page(coverage), LAYER: json.dumps(layer(coverage), indent=1) + "\n"}


def page(coverage: Coverage) -> str:
    """Return the page, in Markdown."""
    parts = [
        _INTRODUCTION,
        _summary(coverage),
        *_attack(coverage),
        *_security_hub(coverage),
        *_cis(coverage),
        *_named(coverage, "nist-800-53", "NIST SP 800-53"),
        *_named(coverage, "pci-dss", "PCI DSS"),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(coverage: Coverage) -> str:
    iaas = [one for part in coverage.names["attack"]["iaas"].values() for one in part]
    watched = coverage.by_control("attack")
    rows = [
        (
            "ATT&CK",
            f"{len(watched)}, and {len(watched.keys() & set(iaas))} of the {len(iaas)} for IaaS",
        ),
        ("Security Hub", str(len(coverage.by_control("security-hub")))),
        ("CIS AWS Foundations", str(len(_recommendations(coverage)))),
        ("NIST SP 800-53", str(len(coverage.by_control("nist-800-53")))),
        ("PCI DSS", str(len(coverage.by_control("pci-dss")))),
    ]
    return _table(("Framework", "Controls with a rule"), rows)


def _attack(coverage: Coverage) -> Iterable[str]:
    watched = coverage.by_control("attack")
    names = coverage.techniques()
    tactics: dict[str, Sequence[str]] = {
        tactic: list(part) for tactic, part in coverage.names["attack"]["iaas"].items()
    }
    known = {one for part in tactics.values() for one in part}
    tactics["Techniques of other platforms"] = [one for one in watched if one not in known]
    yield "## ATT&CK"
    yield f"The ids are those of ATT&CK {coverage.names['attack']['version']}."
    for tactic, ids in tactics.items():
        rows = [
            (_technique(one), names.get(one, ""), *_cells(coverage, watched[one]))
            for one in ids
            if one in watched
        ]
        if rows:
            yield f"### {tactic}"
            yield _table(("Technique", "Name", "Rules", "Alerts"), rows)
    missing = [one for part in tactics.values() for one in part if one not in watched]
    yield "### Cloud techniques without a rule"
    yield (
        "Techniques of the IaaS platform that no rule names. Many leave no event in CloudTrail, or"
        " none that differs from normal use; GuardDuty's findings (pack `aws-findings`) are about"
        " some of them."
    )
    yield "\n".join(f"- {_technique(one)} {names[one]}" for one in missing) or "None."


def _technique(id_: str) -> str:
    return f"[{id_}](https://attack.mitre.org/techniques/{id_.replace('.', '/')}/)"


def _security_hub(coverage: Coverage) -> Iterable[str]:
    watched = coverage.by_control("security-hub")
    names = coverage.names["security-hub"]
    titles = names["expected"] | names["other"]
    yield "## Security Hub"
    yield (
        "CloudWatch.1 to CloudWatch.14 ask for a metric filter and an alarm on a trail's log"
        " group. Security Hub looks for these in CloudWatch, so it does not see the exporter:"
        " disable the controls, or suppress their findings. The rules of the other controls show"
        " that someone breaks them."
    )
    rows = [
        (control, titles.get(control, ""), *_cells(coverage, rules))
        for control, rules in watched.items()
    ]
    yield _table(("Control", "About", "Rules", "Alerts"), rows)
    missing = [control for control in names["expected"] if control not in watched]
    if missing:
        yield f"Without a rule: {', '.join(missing)}."


def _recommendations(coverage: Coverage) -> dict[tuple[tuple[str, str], ...], list[Rule]]:
    """Return the rules of each CIS recommendation: its version and id, oldest version first."""
    found: dict[tuple[tuple[str, str], ...], list[Rule]] = {}
    for rule in coverage.rules:
        ids = tuple(
            (version[1], one)
            for framework, controls in rule.controls.items()
            if (version := _CIS_VERSION.fullmatch(framework))
            for one in controls
        )
        if ids:
            found.setdefault(ids, []).append(rule)
    return found


def _cis(coverage: Coverage) -> Iterable[str]:
    yield "## CIS AWS Foundations"
    yield (
        "Each recommendation about metric filters has a rule. The benchmark's other recommendations"
        " are about settings, not events."
    )
    rows = []
    for ids, rules in _recommendations(coverage).items():
        parts = []
        for control, versions in groupby(ids, key=lambda one: one[1]):
            numbers = [version for version, _ in versions]
            last = "" if len(numbers) == 1 else f" to v{numbers[-1]}"
            parts.append(f"{control} (v{numbers[0]}{last})")
        rows.append((", ".join(parts), *_cells(coverage, rules)))
    yield _table(("Recommendation", "Rules", "Alerts"), rows)


def _named(coverage: Coverage, framework: str, title: str) -> Iterable[str]:
    names = coverage.names[framework]
    yield f"## {title}"
    rows = [
        (control, names.get(control, ""), *_cells(coverage, rules))
        for control, rules in coverage.by_control(framework).items()
    ]
    yield _table(("Control", "About", "Rules", "Alerts"), rows)


def _cells(coverage: Coverage, rules: Sequence[Rule]) -> tuple[str, str]:
    """Return the rules and alerts of a row."""
    families: dict[str, list[str]] = {}
    for rule in rules:
        families.setdefault(rule.metric, []).append(rule.name)
    shown = [
        f"`{names[0]}`" + (f" (+{len(names) - 1})" if names[1:] else "")
        for names in families.values()
    ]
    if len(shown) > _MOST:
        packs = groupby(sorted(rule.pack for rule in rules))
        shown = [f"{len(list(own))} of `{pack}`" for pack, own in packs]
    alerts = dict.fromkeys(name for rule in rules for name in coverage.alerts.get(rule.name, ()))
    links = ", ".join(f"[{name}](runbooks/{name}.md)" for name in alerts)
    return ", ".join(shown), f"{len(alerts)} alerts" if len(alerts) > _MOST else links


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def layer(coverage: Coverage) -> dict[str, Any]:
    """Return the layer of the ATT&CK Navigator: the score of a technique is its number of rules.

    Rules that share a metric are one.
    """
    watched = coverage.by_control("attack")
    techniques = [_scored(coverage, one, rules) for one, rules in watched.items()]
    return {
        "name": "metric-filter-exporter",
        "versions": {
            "attack": coverage.names["attack"]["version"],
            "navigator": "5.1.0",
            "layer": "4.5",
        },
        "domain": "enterprise-attack",
        "description": "Techniques that the rule packs of metric-filter-exporter watch.",
        "filters": {"platforms": ["IaaS", "Identity Provider", "Containers", "Linux", "SaaS"]},
        "sorting": 3,
        "hideDisabled": False,
        "techniques": techniques,
        "gradient": {
            "colors": ["#dbe9f6", "#2171b5"],
            "minValue": 0,
            "maxValue": max((one["score"] for one in techniques), default=0),
        },
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
    }


def _scored(coverage: Coverage, technique: str, rules: Sequence[Rule]) -> dict[str, Any]:
    severities = {rule.severity for rule in rules}
    alerts = dict.fromkeys(name for rule in rules for name in coverage.alerts.get(rule.name, ()))
    details = {
        "severity": next((one for one in SEVERITIES if one in severities), ""),
        "alerts": ", ".join(alerts) or "none",
    }
    return {
        "techniqueID": technique,
        "score": len({rule.metric for rule in rules}),
        "comment": ", ".join(rule.name for rule in rules),
        "enabled": True,
        "showSubtechniques": True,
        "metadata": [{"name": name, "value": value} for name, value in details.items()],
    }


def main() -> int:
    """Write the files, or check them; the exit code."""
    return write_or_check(outputs(read_coverage()), "scripts/coverage.py")


if __name__ == "__main__":
    sys.exit(main())
