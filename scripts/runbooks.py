"""Writes the parts of the runbooks that follow from alerts and rule packs, and their index.

Each runbook has two such blocks: the labels that its commands need, and the alert with its
expression, rules, dashboards and related runbooks. All other text is written by hand. ``--check``
only checks whether everything is up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
RUNBOOKS: Final = ROOT / "docs" / "runbooks"
INDEX: Final = RUNBOOKS / "README.md"
SEVERITIES: Final = ("critical", "warning", "info")
SECURITY_PACKS: Final = ("cis-", "cloudtrail-", "aws-")
"""How the names of packs begin that the security overview shows."""
TRAIL_PACKS: Final = ("cis-", "cloudtrail-")
"""How the names of packs begin whose events are CloudTrail records."""
GLOBAL_SERVICES: Final = re.compile(r"\b(?:iam|signin|organizations)\.amazonaws\.com")

_EXPORTER: Final = "exporter"
_HISTOGRAM: Final = ("", "_bucket", "_sum", "_count")
"""What the names of a metric's series may end with."""
_MOST_RULES: Final = 4
"""Rules of an alert that are named; more are linked as a list."""
_FEWEST_RELATED: Final = 2
"""Runbooks that a page leads to at least: those next to it in its file if no others."""
_SUMMARY: Final = "{eventTime, eventName, sourceIPAddress, requestParameters, errorCode}"
_OF_CALLER: Final = (
    "select([.userIdentity | .userName, .sessionContext.sessionIssuer.userName]"
    f" | index($name)) | {_SUMMARY}"
)
"""jq: the calls of an IAM user or a role; what a record says of a call."""


@dataclass(frozen=True)
class Alert:
    """The alerts of a name, one for each severity."""

    name: str
    pack: str
    """The name of its file: a rule pack, or ``exporter``."""
    variants: Sequence[Mapping[str, Any]]
    records: Mapping[str, str]
    """The expressions of the recorded series that its own use, by name."""
    rules: Sequence[Mapping[str, Any]]
    """The rules of packs whose matches fire it."""
    yields_to: Sequence[Mapping[str, Any]]
    """The rules whose matches keep it from firing, since they fire another alert."""

    @property
    def severities(self) -> list[str]:
        """The worst first."""
        found = {variant["labels"]["severity"] for variant in self.variants}
        return [one for one in SEVERITIES if one in found]

    @property
    def labels(self) -> set[str]:
        """The labels that its description shows."""
        texts = " ".join(variant["annotations"]["description"] for variant in self.variants)
        return set(re.findall(r"\$labels\.(\w+)", texts))


def read_alerts() -> list[Alert]:
    """Return all alerts: the exporter's, then those of the packs, in the order of their files."""
    packs = sorted((ROOT / "config" / "rules").glob("*.yaml"))
    rules = [rule for pack in packs for rule in load(pack)["rules"]]
    files = sorted((ROOT / "alerts").glob("*.yaml"), key=lambda one: (one.stem != _EXPORTER, one))
    return [alert for file in files for alert in _alerts_of(file, rules)]


def _alerts_of(file: Path, rules: Sequence[Mapping[str, Any]]) -> Iterable[Alert]:
    written = [rule for group in load(file)["groups"] for rule in group["rules"]]
    recorded = {rule["record"]: rule["expr"] for rule in written if "record" in rule}
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for rule in written:
        if "alert" in rule:
            by_name.setdefault(rule["alert"], []).append(rule)
    for name, variants in by_name.items():
        # Without the alerts that it yields to.
        text = "\n".join(variant["expr"].partition("\nunless ")[0] for variant in variants)
        used = {series: expr for series, expr in recorded.items() if series in text}
        text = "\n".join((text, *used.values()))
        counted = _counted(text, rules)
        whole = "\n".join(variant["expr"] for variant in variants)
        others = [rule for rule in _counted(whole, rules) if rule not in counted]
        yield Alert(name, file.stem, variants, used, counted, others)


def _counted(text: str, rules: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rules whose metrics an expression has."""
    words = set(re.findall(r"\w+", text))
    metrics = {word.removesuffix(part) for word in words for part in _HISTOGRAM}
    return [rule for rule in rules if rule["metric"] in metrics]


def pages() -> dict[Path, str]:
    """Return the text of each runbook and of the index."""
    alerts = read_alerts()
    texts = {alert.name: _read(RUNBOOKS / f"{alert.name}.md") for alert in alerts}
    if missing := sorted(name for name, text in texts.items() if not text):
        sys.exit(f"These alerts have no page in docs/runbooks: {', '.join(missing)}. Write them.")
    related = _related(alerts, {name: _by_hand(text) for name, text in texts.items()})
    return {
        INDEX: _index(alerts),
        **{
            RUNBOOKS / f"{alert.name}.md": _page(alert, texts[alert.name], related[alert.name])
            for alert in alerts
        },
    }


def _page(alert: Alert, text: str, related: Sequence[str]) -> str:
    by_hand = _by_hand(text)
    title, diagnosis, rest = by_hand.partition("## Diagnosis\n\n")
    block = _marked("labels", _labels(alert, by_hand))
    last = _marked("alert", _alert(alert, related))
    return f"{title}{diagnosis}{block}{rest.rstrip()}\n\n{last}".rstrip() + "\n"


def _marked(name: str, text: str) -> str:
    if not text:
        return ""
    return (
        f"<!-- {name}: written by scripts/runbooks.py -->\n\n{text}\n\n<!-- end of {name} -->\n\n"
    )


def _by_hand(text: str) -> str:
    """Return a page without its blocks."""
    return re.sub(r"<!-- (\w+): written by .*?<!-- end of \1 -->\n*", "", text, flags=re.DOTALL)


def _labels(alert: Alert, by_hand: str) -> str:
    """Return how to set the variables of a page's AWS commands."""
    if not re.search(r"\baws [a-z0-9]+ [a-z]", by_hand):
        return ""
    used = set(re.findall(r"\$\{?([A-Z_]+)", by_hand)) | {"REGION"}
    names = {"account_id": "ACCOUNT", "region": "REGION"}
    names |= {label: label.upper() for label in sorted(alert.labels) if label not in names}
    given = {label: name for label, name in names.items() if label in alert.labels and name in used}
    variables = list(dict.fromkeys([*given.values(), "REGION"]))
    account = "that the source reads"
    if "account_id" in alert.labels:
        account = "in the alert's label `account_id`"
    text = f"Use credentials of the account {account}"
    if given:
        chosen = "these" if len(given) > 1 else f"`{variables[0]}`"
        text += f", and set {chosen} from its {_words(list(given))}"
    text += "." if "region" in given else ". Set `REGION` to the one to look in."
    if any(GLOBAL_SERVICES.search(rule["pattern"]) for rule in alert.rules):
        text += (
            " IAM, Organizations and most sign-ins are global: their events are in `us-east-1`"
            " (`us-gov-west-1` in GovCloud, `cn-north-1` in China)."
        )
    commands = [
        " ".join(f"{name}=…" for name in variables),
        'export AWS_REGION="$REGION" AWS_DEFAULT_REGION="$REGION"',
    ]
    parts = [text, _shell(*commands)]
    if alert.pack.startswith(TRAIL_PACKS) and "aws cloudtrail lookup-events" in by_hand:
        parts += _records(alert)
    return "\n\n".join(parts)


def _records(alert: Alert) -> Iterable[str]:
    """How to find the record behind an alert, and other calls of a user or of a role's session."""
    yield (
        "Look up the record by its event id. The exemplar of the series has it, and so does the"
        " rule's page on the exporter's status page:"
    )
    yield _shell("EVENT_ID=…", _looked_up("EventId", "EVENT_ID"))
    if "session" in alert.labels:
        yield (
            "All calls of the same person or instance. CloudTrail's Username is the session of a"
            " role, so set `NAME` to the label `session`, or to `user` if `session` is empty:"
        )
        yield _shell("NAME=…", _looked_up("Username", "NAME", _SUMMARY))
    elif {"user", "event"} <= alert.labels:
        yield "The same call by the same user or role (the labels `event` and `user`):"
        yield _shell("EVENT=… NAME=…", _looked_up("EventName", "EVENT", _OF_CALLER))


def _looked_up(attribute: str, variable: str, program: str = "") -> str:
    argument = ' --arg name "$NAME"' if "$name" in program else ""
    program = f" | {program}" if program else ""
    return (
        "aws cloudtrail lookup-events --max-results 50 \\\n"
        f'  --lookup-attributes AttributeKey={attribute},AttributeValue="${variable}" \\\n'
        "  --query 'Events[].CloudTrailEvent' --output json |\n"
        f"  jq{argument} '.[] | fromjson{program}'"
    )


def _shell(*lines: str) -> str:
    return "\n".join(("```sh", *lines, "```"))


def _words(labels: Sequence[str]) -> str:
    named = [f"`{label}`" for label in labels]
    if len(named) == 1:
        return f"label {named[0]}"
    return f"labels {', '.join(named[:-1])} and {named[-1]}"


def _alert(alert: Alert, related: Sequence[str]) -> str:
    parts = ["## Alert"]
    for variant in alert.variants:
        severity = variant["labels"]["severity"]
        parts.append(f"Severity `{severity}`. {_when(variant)}")
        parts.append(_promql(variant["expr"]))
    for name, expression in alert.records.items():
        parts += [f"`{name}` is recorded:", _promql(expression)]
    links = [f"- {line}" for line in (*_rule_links(alert), *_dashboards(alert))]
    links.append(f"- Related: {', '.join(f'[{name}]({name}.md)' for name in related)}.")
    links.append(f"- All alerts: [{_pack_title(alert.pack)}]({_section(alert.pack)}).")
    return "\n\n".join((*parts, "\n".join(links)))


def _promql(expression: str) -> str:
    return f"```promql\n{expression.strip()}\n```"


def _when(variant: Mapping[str, Any]) -> str:
    held, kept = variant.get("for", "0m"), variant.get("keep_firing_for")
    fires = "It fires as soon as this is true"
    if not re.fullmatch(r"0[smh]", held):
        fires = f"It fires once this has been true for {_duration(held)}"
    return f"{fires}, and for {_duration(kept)} after:" if kept else f"{fires}:"


def _duration(text: str) -> str:
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if found is None:
        return text
    unit = {"s": "second", "m": "minute", "h": "hour", "d": "day"}[found[2]]
    return f"{found[1]} {unit}" + ("" if found[1] == "1" else "s")


def _rule_links(alert: Alert) -> Iterable[str]:
    names = [rule["name"] for rule in alert.rules]
    if not names:
        if "rule" in alert.labels:
            yield "The rule: on the exporter's status page, `/rules/` with the label `rule`."
        return
    if len(names) > _MOST_RULES:
        metrics = sorted({rule["metric"] for rule in alert.rules})
        addresses = ", ".join(f"`/?rules={metric}#rules`" for metric in metrics)
        yield f"Its {len(names)} rules: on the exporter's status page, {addresses}."
        return
    addresses = ", ".join(f"`/rules/{name}`" for name in names)
    yield f"The last matches, with event ids: on the exporter's status page, {addresses}."


def _dashboards(alert: Alert) -> Iterable[str]:
    if alert.pack == _EXPORTER:
        yield (
            "Dashboard: [Health and cost](../dashboards.md#health-and-cost),"
            " `/d/mfe-exporter-health` in Grafana."
        )
        return
    title, uid = "Application and infrastructure logs", "mfe-logs"
    if alert.pack.startswith(SECURITY_PACKS):
        title, uid = "AWS security overview", "mfe-aws-security"
    anchor = title.lower().replace(" ", "-")
    line = f"Dashboards: [{title}](../dashboards.md#{anchor}), `/d/{uid}` in Grafana"
    if 0 < len(alert.rules) <= _MOST_RULES:
        address = f"/d/mfe-rule-explorer?var-rule={alert.rules[0]['name']}"
        line += f"; [Rule explorer](../dashboards.md#rule-explorer), `{address}`"
    yield f"{line}."


def _section(pack: str) -> str:
    anchor = "the-exporters-own-health" if pack == _EXPORTER else f"pack-{pack}"
    return f"../alerts.md#{anchor}"


def _pack_title(pack: str) -> str:
    return "the exporter's own health" if pack == _EXPORTER else f"pack {pack}"


def _related(alerts: Sequence[Alert], texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the runbooks that each leads to, in the order of the alerts.

    Those that it names, that name it, or whose alerts look at the same rules; else its neighbours.
    """
    found: dict[str, set[str]] = {alert.name: set() for alert in alerts}
    rules = {
        alert.name: {rule["name"] for rule in (*alert.rules, *alert.yields_to)} for alert in alerts
    }
    for name, text in texts.items():
        named = found.keys() & set(re.findall(r"\w+", text))
        named |= {other for other in found if rules[name] & rules[other]}
        for other in named - {name}:
            found[name].add(other)
            found[other].add(name)
    for place, alert in enumerate(alerts):
        own = [(abs(n - place), one.name) for n, one in enumerate(alerts) if one.pack == alert.pack]
        for _, name in sorted(own)[1:]:
            if len(found[alert.name]) < _FEWEST_RELATED:
                found[alert.name].add(name)
    return {
        name: [alert.name for alert in alerts if alert.name in others]
        for name, others in found.items()
    }


def _index(alerts: Sequence[Alert]) -> str:
    parts = [
        "<!-- Written by scripts/runbooks.py. -->\n\n# Runbooks",
        "A page for each alert: its meaning and impact, how to find the cause, the remedy, and its"
        " expression. [How the alerts work](../alerts.md#how-they-work).",
        "An alert's label `alertname` is the name of its page. The pages' commands need the AWS CLI"
        " and `jq`, and say which labels of the alert to set first.",
    ]
    for pack in dict.fromkeys(alert.pack for alert in alerts):
        own = [alert for alert in alerts if alert.pack == pack]
        own.sort(key=lambda alert: SEVERITIES.index(alert.severities[0]))
        rows = [
            f"| {', '.join(alert.severities)} | [{alert.name}]({alert.name}.md) |"
            f" {alert.variants[0]['annotations']['summary']} |"
            for alert in own
        ]
        title = "The exporter itself" if pack == _EXPORTER else f"Pack {pack}"
        parts.append(f"## {title}")
        parts.append("\n".join(("| Severity | Alert | Meaning |", "| --- | --- | --- |", *rows)))
    return "\n\n".join(parts) + "\n"


def load(path: Path) -> Any:
    """The contents of a YAML file."""
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


def main() -> int:
    """Write the pages, or check them; the exit code."""
    return write_or_check(pages(), "scripts/runbooks.py")


def write_or_check(outputs: Mapping[Path, str], script: str) -> int:
    """Write the files that changed, or with ``--check`` name them; the exit code of ``script``."""
    stale = {path: text for path, text in outputs.items() if _read(path) != text}
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run {script}")
        return bool(stale)
    for path, text in stale.items():
        path.write_text(text)
    return 0


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
