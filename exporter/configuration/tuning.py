"""Changes of a pack's rules in ``rule_packs``, without a copy of the rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from exporter.configuration.packs import PackUse
from exporter.yamlfile.documents import Item, Step
from exporter.yamlfile.problems import Findings, did_you_mean
from exporter.yamlfile.validation import Filled, reject_unknown

_KEYS = ("exclude", "severity", "max_series", "labels")
"""The keys of a rule that can be changed."""


def check_names(use: Filled[PackUse], rules: Iterable[str], findings: Findings) -> None:
    """Report rules that the use of a pack names, and that the pack does not have."""
    rules = list(rules)
    pack = use.model.name
    for index, name in enumerate(use.model.without):
        if name not in rules:
            message = f"the rule pack `{pack}` has no rule `{name}`{did_you_mean(name, rules)}"
            findings.error(use.fields.value_of("without", index), message)
    for name in use.model.rules:
        location = use.fields.key_of("rules", name)
        if name not in rules:
            message = f"the rule pack `{pack}` has no rule `{name}`{did_you_mean(name, rules)}"
            findings.error(location, message)
        elif name in use.model.without:
            findings.error(location, f"`without` leaves out the rule `{name}`: remove one of them")
        else:
            reject_unknown(use.fields.item.child("rules", name), _KEYS, findings)


def tuned(rule: Item, name: str, use: Filled[PackUse]) -> Item:
    """Return a rule of a pack with its changes; each value is located where it was written."""
    if name not in use.model.rules:
        return rule
    change = use.fields.item.child("rules", name)
    parts: dict[Step, Item] = {k: one for k, one in change.parts.items() if k in _KEYS}
    labels = parts.get("labels")
    if labels is not None and isinstance(labels.data, dict):
        own = rule.child("labels")
        parts["labels"] = _with(labels, {**own.parts, **labels.parts}, {**own.keys, **labels.keys})
    return _with(rule, {**rule.parts, **parts}, {**rule.keys, **change.keys})


def _with(item: Item, parts: Mapping[Step, Item], keys: Mapping[Step, Item]) -> Item:
    """Return a mapping with other parts."""
    data = {str(key): part.data for key, part in parts.items()}
    return replace(item, data=data, parts=parts, keys=keys)
