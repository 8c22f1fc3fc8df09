"""What holds between rules, and between rules and sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from exporter.configuration.drafts import Draft
from exporter.configuration.names import family_names
from exporter.configuration.packs import FITTING_FORMATS, PackMembership, pack_fits
from exporter.configuration.rules import RuleConfig
from exporter.sources import TYPES, SourceConfig
from exporter.yamlfile.problems import Findings, Location, did_you_mean
from exporter.yamlfile.validation import Fields


def check_rule_names(drafts: Sequence[Draft], findings: Findings) -> None:
    """A rule's name is unique over all files."""
    seen: dict[str, Location] = {}
    for draft in drafts:
        if "name" in draft.rejected:
            continue
        place = draft.fields.value_of("name")
        first = seen.setdefault(draft.entry.name, place)
        if first is not place:
            sentence = duplicate_sentence("rule", draft.entry.name, first)
            if "name" in draft.fields.origin:
                # AWS: a filter's name is unique in its log group only.
                sentence += "; add a `name` beside the filter's"
            findings.error(place, sentence)


def duplicate_sentence(what: str, name: str, first: Location) -> str:
    """The sentence for a name that is taken; says where the first one is."""
    where = f"{first.file}:{first.line}"
    return f"there is a {what} `{name}` already ({where}): names are unique"


def check_shared_metrics(drafts: Sequence[Draft], findings: Findings) -> None:
    """Rules that share a metric agree in type, label names and buckets; metrics do not clash."""
    first_of: dict[str, Draft] = {}
    taken: dict[str, Draft] = {}
    for draft in drafts:
        if draft.rejected & {"metric", "type"}:
            continue
        first = first_of.setdefault(draft.metric, draft)
        if first is draft:
            _check_family(draft, taken, findings)
        elif not draft.uses_default_metric:
            _compare(first, draft, findings)


def _check_family(draft: Draft, taken: dict[str, Draft], findings: Findings) -> None:
    """``taken``: the rule whose metric has a name for itself, by name; this one's are added."""
    for name in sorted(family_names(draft.metric, draft.entry.type)):
        other = taken.setdefault(name, draft)
        if other is not draft:
            findings.error(
                draft.fields.value_of("metric"),
                f"the metric {draft.metric} clashes with {other.metric} of {_rule(other)}: in"
                f" OpenMetrics both have the name {name}, and Prometheus refuses the whole page;"
                " rename one",
            )
            return


def _compare(first: Draft, draft: Draft, findings: Findings) -> None:
    rule = _rule(first)
    same = f"rules that share the metric {draft.metric} need"
    if draft.entry.type != first.entry.type:
        findings.error(
            draft.fields.value_of("type"),
            f"{same} the same type: {rule} has {first.entry.type}, this one {draft.entry.type}",
        )
    elif draft.entry.buckets != first.entry.buckets and "buckets" not in (
        draft.rejected | first.rejected
    ):
        findings.error(draft.fields.value_of("buckets"), f"{same} the same buckets as {rule}")
    if "labels" not in draft.rejected | first.rejected:
        here, there = sorted(draft.entry.labels), sorted(first.entry.labels)
        if here != there:
            findings.error(
                draft.fields.value_of("labels"),
                f"{same} equal label names: {rule} has {_listed(there)}, this one {_listed(here)}",
            )


def _rule(draft: Draft) -> str:
    place = draft.fields.value_of("name")
    return f"rule `{draft.entry.name}` ({place.file}:{place.line})"


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def complete(
    draft: Draft, names: tuple[str, ...], sources: Sequence[SourceConfig], findings: Findings
) -> RuleConfig | None:
    """Complete a rule with the names of the sources that it listens to; None: it is in error."""
    if draft.compiled is None or draft.rejected or not names:
        return None
    entry = draft.entry
    for source in sources:
        warning = None if entry.start is None else source.start_warning(entry.start)
        if warning is not None and source.name in names:
            findings.warning(draft.fields.value_of("start"), warning)
    return RuleConfig(
        name=entry.name,
        title=entry.title or entry.name,
        description=entry.description,
        severity=entry.severity,
        sources=names,
        pattern=entry.pattern,
        compiled=draft.compiled,
        metric=draft.metric,
        uses_default_metric=draft.uses_default_metric,
        type=entry.type,
        value=draft.value,
        buckets=entry.buckets,
        labels=entry.labels,
        max_series=entry.max_series,
        start=entry.start,
        location=draft.fields.item.location,
        remediation=entry.remediation,
        controls=entry.controls,
        pack=draft.membership.use.name if draft.membership is not None else "",
    )


class Listening:
    """Finds the sources that rules listen to."""

    def __init__(
        self, sources: Sequence[SourceConfig], unusable: frozenset[str], findings: Findings
    ) -> None:
        """``unusable``: names of sources that are in error themselves; rules may name them."""
        self._sources = sources
        self._unusable = unusable
        self._findings = findings
        self._of_pack: dict[str, tuple[str, ...]] = {}

    def of(self, draft: Draft) -> tuple[str, ...]:
        """The names of a rule's sources, in the configuration's order; empty where in error."""
        if draft.membership is not None:
            pack = draft.membership.use.name
            if pack not in self._of_pack:
                self._of_pack[pack] = self._pack(draft.membership)
            return self._of_pack[pack]
        if draft.entry.sources is not None:
            return self._named(draft.entry.sources, draft.fields)
        if draft.compiled is None or "sources" in draft.rejected:
            return ()
        fitting = tuple(
            source.name
            for source in self._sources
            if not (source.format == "lines" and draft.compiled.kind == "json")
        )
        if self._sources and not fitting:
            self._findings.error(
                draft.fields.item.location,
                "no source fits a JSON pattern, all have the format `lines`: name them in `sources`"
                " if their lines are JSON",
            )
        return fitting

    def _pack(self, membership: PackMembership) -> tuple[str, ...]:
        use = membership.use
        if use.sources is not None:
            return self._named(use.sources, use.fields)
        fitting = tuple(
            source.name for source in self._sources if pack_fits(membership.format, source)
        )
        if self._sources and not fitting:
            formats = FITTING_FORMATS[membership.format]
            types = [
                name
                for name, model in TYPES.items()
                if not set(formats).isdisjoint(get_args(model.model_fields["format"].annotation))
            ]
            self._findings.error(
                use.location,
                f"no source fits the rule pack `{use.name}`, which listens to"
                f" {' and '.join(types)} with the format {' or '.join(formats)}: add one, or name"
                " one in the pack's `sources`",
            )
        return fitting

    def _named(self, names: Sequence[str], fields: Fields) -> tuple[str, ...]:
        known = [source.name for source in self._sources]
        for index, name in enumerate(names):
            if name not in known and name not in self._unusable:
                hint = did_you_mean(name, known) or f"; there are: {_listed(known)}"
                self._findings.error(
                    fields.value_of("sources", index), f"there is no source `{name}`{hint}"
                )
        return tuple(name for name in known if name in names)
