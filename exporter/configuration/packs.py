"""Rule packs: rules that come with the exporter and are used by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from exporter.sources import SourceConfig
from exporter.sources.options import Names
from exporter.yamlfile.documents import Item
from exporter.yamlfile.problems import Findings, Location, did_you_mean
from exporter.yamlfile.validation import Fields, fill

PackFormat: TypeAlias = Literal["cloudtrail", "lines"]
"""``cloudtrail``: the rules are for CloudTrail records; ``lines``: for what systems log."""

FITTING_FORMATS = {"cloudtrail": ("cloudtrail", "auto"), "lines": ("auto", "lines")}
"""Formats of sources that a pack's rules listen to, by the pack's format."""

FOLDERS = (
    Path(__file__).parents[1] / "packs",
    Path(__file__).parents[2] / "config" / "rules",
)
"""Where packs are: in the installed package, and in the repository. The first that exists."""


class PackHeader(BaseModel):
    """What a pack's file says about all of its rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    description: str
    format: PackFormat


class _UseEntry(BaseModel):
    """An element of ``rule_packs``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sources: Names | None = None
    without: Names = ()


@dataclass(frozen=True)
class PackUse:
    """A pack that a configuration uses."""

    name: str
    path: Path
    sources: tuple[str, ...] | None
    """None: every source of a fitting format."""
    without: tuple[str, ...]
    """Names of rules that are left out."""
    fields: Fields

    @property
    def location(self) -> Location:
        """Where the configuration names it."""
        return self.fields.value_of("name")


@dataclass(frozen=True)
class PackMembership:
    """What a rule has of the pack that it comes from."""

    use: PackUse
    format: PackFormat


def available_packs() -> dict[str, Path]:
    """The packs' files by name."""
    folder = next((folder for folder in FOLDERS if folder.is_dir()), None)
    found = folder.glob("*.yaml") if folder is not None else ()
    return {path.stem: path for path in sorted(found)}


def read_pack_use(item: Item, findings: Findings) -> PackUse | None:
    """Read an element of ``rule_packs``: a name, or a mapping with more about it."""
    if isinstance(item.data, str):
        fields = Fields(item, {"name": item.data}, {"name": ()})
    elif isinstance(item.data, dict):
        fields = Fields(item, item.data, {})
    else:
        findings.error(
            item.location,
            "`rule_packs` lists names of rule packs, or mappings with `name`, `sources` and"
            " `without`: this is neither",
        )
        return None
    filled = fill(_UseEntry, fields, findings, stand_ins={"name": ""})
    if filled is None or "name" in filled.rejected:
        return None
    entry = filled.model
    packs = available_packs()
    if entry.name not in packs:
        known = ", ".join(packs) or "none"
        hint = did_you_mean(entry.name, packs) or f"; there are: {known}"
        findings.error(fields.value_of("name"), f"there is no rule pack `{entry.name}`{hint}")
        return None
    return PackUse(entry.name, packs[entry.name], entry.sources, entry.without, fields)


def read_pack_header(item: Item, findings: Findings) -> PackFormat:
    """Check what a pack's file says beside its rules; return the format of its sources."""
    data = item.data if isinstance(item.data, dict) else {}
    values = {key: value for key, value in data.items() if key != "rules"}
    stand_ins = {"title": "", "description": "", "format": "lines"}
    filled = fill(PackHeader, Fields(item, values, {}), findings, stand_ins=stand_ins)
    return "lines" if filled is None else filled.model.format


def pack_fits(pack_format: PackFormat, source: SourceConfig) -> bool:
    """Whether a pack's rules listen to a source if nobody says more."""
    return source.format in FITTING_FORMATS[pack_format]
