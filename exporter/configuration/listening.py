"""The sources that a rule listens to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from exporter.configuration.packs import FITTING_FORMATS, Pack
from exporter.configuration.rules import RuleConfig
from exporter.sources import TYPES, SourceConfig
from exporter.yamlfile.problems import Findings, did_you_mean
from exporter.yamlfile.validation import Fields, Filled

_CLOUDTRAIL_FIELDS = frozenset(
    {
        "additionalEventData",
        "awsRegion",
        "eventID",
        "eventName",
        "eventSource",
        "eventVersion",
        "recipientAccountId",
        "requestParameters",
        "responseElements",
        "sourceIPAddress",
        "userIdentity",
    }
)
"""Fields of CloudTrail records whose names are rare elsewhere (unlike ``errorCode``)."""


class Listening:
    """Resolves the sources of rules."""

    def __init__(
        self,
        sources: Sequence[Filled[SourceConfig]],
        unusable: frozenset[str],
        packs: Mapping[str, Pack],
        findings: Findings,
    ) -> None:
        """``unusable``: names of invalid sources; rules may name them."""
        self._sources = [source.model for source in sources]
        self._unusable = unusable
        self._findings = findings
        self._packs = packs
        self._of_pack: dict[str, tuple[str, ...]] = {}

    def resolve(self, rule: Filled[RuleConfig]) -> RuleConfig | None:
        """Return the rule with its sources in the configuration's order, or None on an error."""
        names = self._names(rule)
        if not names or rule.rejected:
            return None
        start = rule.model.start
        for source in self._sources:
            if (
                rule.model.field_selection_criteria is not None
                and source.name in names
                and not source.kind.on_series
            ):
                self._findings.error(
                    rule.fields.value_of("field_selection_criteria"),
                    "only log groups have system fields, and the rule listens to the source"
                    f" `{source.name}`: name sources of the type `log_groups` in `sources`",
                )
            warning = None if start is None else source.start_warning(start)
            if warning is not None and source.name in names:
                self._findings.warning(rule.fields.value_of("start"), warning)
        return rule.model.model_copy(update={"sources": names})

    def _names(self, rule: Filled[RuleConfig]) -> tuple[str, ...]:
        pack = rule.model.pack
        if pack:
            if pack not in self._of_pack:
                self._of_pack[pack] = self._fitting(self._packs[pack])
            return self._of_pack[pack]
        if rule.model.sources:
            return self._named(rule.model.sources, rule.fields)
        if not rule.is_right("pattern", "sources"):
            return ()
        is_json = rule.model.compiled.kind == "json"
        fitting = [s.name for s in self._sources if not (is_json and s.format == "lines")]
        if self._sources and not fitting:
            self._findings.error(
                rule.model.location,
                "no source fits a JSON pattern, all have the format `lines`: name them in `sources`"
                " if their lines are JSON",
            )
        return tuple(fitting)

    def _fitting(self, pack: Pack) -> tuple[str, ...]:
        use, fields = pack.use.model, pack.use.fields
        if use.sources:
            return self._named(use.sources, fields)
        fitting = tuple(source.name for source in self._sources if pack.fits(source))
        if self._sources and not fitting:
            formats = FITTING_FORMATS[pack.format]
            types = [
                name
                for name, model in TYPES.items()
                if not set(formats).isdisjoint(get_args(model.model_fields["format"].annotation))
            ]
            self._findings.error(
                fields.value_of("name"),
                f"no source fits the rule pack `{use.name}`, which listens to"
                f" {', '.join(types[:-1])} and {types[-1]} with the format"
                f" {' or '.join(formats)}: add one, or name one in the pack's `sources`",
            )
        return fitting

    def _named(self, names: Sequence[str], fields: Fields) -> tuple[str, ...]:
        known = [source.name for source in self._sources]
        for index, name in enumerate(names):
            if name not in known and name not in self._unusable:
                hint = did_you_mean(name, known) or f"; there are: {', '.join(known) or 'none'}"
                self._findings.error(
                    fields.value_of("sources", index), f"there is no source `{name}`{hint}"
                )
        return tuple(name for name in known if name in names)


def warn_of_sources(
    sources: Sequence[Filled[SourceConfig]], rules: Sequence[RuleConfig], findings: Findings
) -> None:
    """Warn of sources without a rule, and of those that should declare their format.

    A source should if one of its rules reads a field of CloudTrail records.
    """
    for source in sources:
        name, location = source.model.name, source.fields.value_of("name")
        listening = [rule for rule in rules if name in rule.sources]
        if not listening:
            message = f"no rule listens to the source `{name}`: reading it has no effect"
            findings.warning(location, message)
        kind = source.model.kind
        if not kind.local_ids or "format" in source.model.model_fields_set:
            continue
        reading = next((rule.name for rule in listening if _reads_cloudtrail(rule)), None)
        if reading is not None:
            findings.warning(
                location,
                f"the source `{name}` does not say whether its {kind.noun.lower()}s contain"
                f" CloudTrail records, whose fields rule `{reading}` reads: write `format:"
                " cloudtrail` if they contain nothing else (a record then counts once over all of"
                " them), `format: lines` if they contain no records (rules with JSON patterns then"
                " have to name the source), or else `format: auto`",
            )


def _reads_cloudtrail(rule: RuleConfig) -> bool:
    selectors = [*rule.compiled.selectors, *(reference.selector for reference in rule.references)]
    return any(selector and selector.steps[0] in _CLOUDTRAIL_FIELDS for selector in selectors)
