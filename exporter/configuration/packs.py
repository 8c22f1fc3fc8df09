"""Rule packs: rules that are part of the exporter and are used by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from exporter.configuration.field_order import (
    DeclaredFields,
    FieldNames,
    FieldOrder,
    declared_fields,
)
from exporter.configuration.line_format import LineFormat
from exporter.configuration.log_line_prefix import DeclaredPrefix, PrefixedLines, declared_prefix
from exporter.configuration.names import check_rule_name
from exporter.configuration.thresholds import AnyThreshold, Number, Threshold, thresholds
from exporter.sources import SourceConfig
from exporter.sources.options import Names
from exporter.yamlfile.documents import Item
from exporter.yamlfile.problems import Findings, did_you_mean
from exporter.yamlfile.validation import Fields, Filled, fill

PackFormat: TypeAlias = Literal["cloudtrail", "lines"]
"""``cloudtrail``: rules for CloudTrail records. ``lines``: rules for other log events."""

FITTING_FORMATS = {"cloudtrail": ("cloudtrail", "auto"), "lines": ("auto", "lines")}
"""The formats of sources that fit a pack, by the pack's format."""

FOLDERS = (
    Path(__file__).parents[1] / "packs",
    Path(__file__).parents[2] / "config" / "rules",
)
"""The folder of packs is the first that exists: in the installed package, or the repository."""


class _PackHeader(BaseModel):
    """The keys of a pack's file other than ``rules``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    description: str
    format: PackFormat
    thresholds: dict[Annotated[str, AfterValidator(check_rule_name)], Number] = Field(
        default_factory=dict
    )
    """Numbers that the pack's alerts compare with, by name."""
    fields: FieldOrder | None = None
    log_line_prefix: PrefixedLines | None = None
    recognize: LineFormat | None = None


class PackUse(BaseModel):
    """An element of ``rule_packs``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sources: Names = ()
    """Empty: every source of a fitting format."""
    without: Names = ()
    """Names of rules that are not used."""
    rules: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By name, keys of rules to replace (see ``tuning``)."""
    thresholds: dict[str, AnyThreshold] = Field(default_factory=dict)
    fields: FieldNames = ()
    """The order of fields in the lines, if it is not one that the pack knows."""
    log_line_prefix: str | None = None
    """PostgreSQL's, if it is not one that the pack knows."""


@dataclass(frozen=True)
class Pack:
    """A pack that a configuration uses."""

    use: Filled[PackUse]
    format: PackFormat
    thresholds: tuple[Threshold, ...] = ()
    declared: DeclaredFields | DeclaredPrefix | None = None
    lines: LineFormat | None = None
    """The lines of its format; None for CloudTrail records."""

    def fits(self, source: SourceConfig) -> bool:
        """Return whether the pack's rules listen to a source by default."""
        return source.format in FITTING_FORMATS[self.format]


def available_packs() -> dict[str, Path]:
    """Return the packs' files by name."""
    folder = next((folder for folder in FOLDERS if folder.is_dir()), None)
    found = folder.glob("*.yaml") if folder is not None else ()
    return {path.stem: path for path in sorted(found)}


def read_pack_use(item: Item, findings: Findings) -> Filled[PackUse] | None:
    """Read an element of ``rule_packs``: the name of a pack, or a mapping with it."""
    fields = Fields.of(item, "name")
    if fields is None:
        findings.error(
            item.location,
            "`rule_packs` lists names of rule packs, or mappings with `name`, `sources`,"
            " `without`, `rules`, `thresholds`, `fields` and"
            " `log_line_prefix`: this is neither",
        )
        return None
    use = fill(PackUse, fields, findings, stand_ins={"name": ""})
    if use is None or not use.is_right("name"):
        return None
    name, packs = use.model.name, available_packs()
    if name not in packs:
        hint = did_you_mean(name, packs) or f"; there are: {', '.join(packs) or 'none'}"
        findings.error(fields.value_of("name"), f"there is no rule pack `{name}`{hint}")
        return None
    return use


def read_pack(item: Item, use: Filled[PackUse], findings: Findings) -> Pack:
    """Check the keys of a pack's file other than ``rules``, and of its use."""
    values = {key: value for key, value in item.mapping.items() if key != "rules"}
    stand_ins = {"title": "", "description": "", "format": "lines"}
    header = fill(_PackHeader, Fields(item, values), findings, stand_ins=stand_ins)
    if header is None:
        return Pack(use, "lines")
    given = use.model.thresholds
    known = header.model.thresholds
    for name in given.keys() - known.keys():
        hint = did_you_mean(name, known) or f"; there are: {', '.join(known) or 'none'}"
        message = f"the rule pack `{use.model.name}` has no threshold `{name}`{hint}"
        findings.error(use.fields.key_of("thresholds", name), message)
    fields = declared_fields(use, header.model.fields, findings)
    prefix = declared_prefix(use, header.model.log_line_prefix, findings)
    lines = header.model.recognize
    if lines is not None and prefix is not None:
        lines = prefix.recognizing(lines)
    return Pack(use, header.model.format, thresholds(known, given), fields or prefix, lines)
