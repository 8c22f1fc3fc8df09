"""A declared order of fields: a pack's space-delimited patterns, rewritten for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict

from exporter.patterns import PatternError, compile_pattern
from exporter.patterns.syntax import AnyFields, Field, SpacePattern
from exporter.sources.options import Names
from exporter.yamlfile.documents import Item, Step
from exporter.yamlfile.problems import Findings, did_you_mean
from exporter.yamlfile.validation import Filled

if TYPE_CHECKING:
    from exporter.configuration.packs import PackUse

_REFERENCE = re.compile(r"\$(\w+)")


def _split(value: object) -> object:
    # AWS's LogFormat: `${version} ${account-id}`; the header of a file: `version account-id`.
    return re.findall(r"[^\s${}]+", value) if isinstance(value, str) else value


FieldNames: TypeAlias = Annotated[Names, BeforeValidator(_split)]
"""A list of names, a header line, or a log format as AWS writes it."""


class FieldOrder(BaseModel):
    """The key ``fields`` of a pack's file: how a declared order applies to its rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: Names
    """The order that patterns are written for. Rules of other orders give way to a declared one."""
    other: Names = ()
    """Names of further fields of the format."""
    guards: Names = ()
    """Conditions that only recognize a line: a pattern can do without them."""


@dataclass(frozen=True)
class DeclaredFields:
    """An order that the use of a pack declares."""

    use: Filled[PackUse]
    order: FieldOrder

    def apply(self, rules: list[Item], findings: Findings) -> list[Item]:
        """Return the rules of the default order, rewritten; warn of those that lack a field."""
        lacking: dict[str, list[str]] = {}
        result = []
        for rule in rules:
            entries = self._entries(rule)
            if entries is None:
                continue
            missing = self._missing(rule, entries)
            if missing:
                lacking.setdefault(missing, []).append(str(rule.mapping.get("name")))
            else:
                result.append(self._rewritten(rule, entries))
        for name, those in lacking.items():
            message = f"`fields` has no `{name}`: left out are {', '.join(those)}"
            findings.warning(self.use.fields.value_of("fields"), message)
        return result

    def _entries(self, rule: Item) -> dict[str, tuple[str, str]] | None:
        """Name in the pattern and text of each field; None for lines of another order."""
        text = str(rule.mapping.get("pattern"))
        try:
            tree = compile_pattern(text, aws_limits=False).tree
        except PatternError:
            return None
        if not isinstance(tree, SpacePattern) or len(tree.entries) != len(self.order.default) + 1:
            return None
        *fields, last = tree.entries
        found = [
            (entry.name or "", text[entry.span.start : entry.span.end])
            for entry in fields
            if isinstance(entry, Field)
        ]
        if not isinstance(last, AnyFields) or len(found) != len(fields):
            return None
        return dict(zip(self.order.default, found, strict=True))

    def _missing(self, rule: Item, entries: dict[str, tuple[str, str]]) -> str:
        """The first field that the rule needs and that is not declared."""
        taken = {
            name
            for key in ("labels", "value")
            for name in _REFERENCE.findall(str(rule.mapping.get(key)))
        }
        for field, (name, text) in entries.items():
            tested = text != name and text not in self.order.guards
            if field not in self.use.model.fields and (tested or name in taken):
                return field
        return ""

    def _rewritten(self, rule: Item, entries: dict[str, tuple[str, str]]) -> Item:
        texts = [
            entries[field][1] if field in entries else f"f{at}"
            for at, field in enumerate(self.use.model.fields)
        ]
        pattern = f"[{', '.join([*texts, '...'])}]"
        part = replace(rule.parts["pattern"], data=pattern, text=pattern)
        parts: dict[Step, Item] = {**rule.parts, "pattern": part}
        return replace(rule, data={**rule.mapping, "pattern": pattern}, parts=parts)


def declared_fields(
    use: Filled[PackUse], order: FieldOrder | None, findings: Findings
) -> DeclaredFields | None:
    """Check the ``fields`` of a pack's use; None without it, or if it is wrong."""
    names = use.model.fields
    if not names:
        return None
    if order is None:
        message = f"the rule pack `{use.model.name}` reads no lines of fields: remove `fields`"
        findings.error(use.fields.key_of("fields"), message)
        return None
    known = (*order.default, *order.other)
    unknown = [(at, name) for at, name in enumerate(names) if name not in known]
    for at, name in unknown:
        hint = did_you_mean(name, known) or f"; there are: {', '.join(known)}"
        message = f"the rule pack `{use.model.name}` knows no field `{name}`{hint}"
        findings.error(use.fields.value_of("fields", at), message)
    return None if unknown else DeclaredFields(use, order)
