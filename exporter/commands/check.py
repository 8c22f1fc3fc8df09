"""``check``: validate configuration files and the rules in them."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exporter.clock import Clock
from exporter.commands.check_alerts import check_alerts
from exporter.commands.options import ConfigFile, setting_option, settings_from
from exporter.commands.plan import plan_lines
from exporter.commands.terminal import Colour, Painter
from exporter.configuration import Checked, Configuration
from exporter.configuration import check as check_files
from exporter.exactness import RuleVersion
from exporter.model import Partition
from exporter.planning.forecast import Rates, from_text
from exporter.sources.base import Environment
from exporter.yamlfile.problems import Problem, plural

if TYPE_CHECKING:
    from exporter.ledger.base import Relabeled
    from exporter.ledger.review import Move


def check(  # noqa: PLR0917 - typer passes them by name
    config_file: ConfigFile = None,
    web_config_file: Annotated[
        str | None, setting_option("web_config_file", "Check this too.")
    ] = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Ask AWS too, read-only, whether the accounts, roles, regions and log groups that"
            " the sources name are there: needs the credentials of the exporter (see"
            " `iam-policy`).",
        ),
    ] = False,
    storage_path: Annotated[
        Path | None,
        typer.Option(
            "--storage.path",
            metavar="DIRECTORY",
            help="Check this ledger too, read-only, also while the exporter runs: for damage, for"
            " metrics that the configuration restarts at zero, and from when new or edited rules"
            " count. [default: none]",
        ),
    ] = None,
    alerts: Annotated[
        list[str] | None,
        typer.Option(
            "--alerts",
            metavar="FILE",
            help="Check these Prometheus rules too, by name or glob: for selectors that overflow"
            " silences, and for metrics and label values that no rule makes. Repeatable.",
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="Print which requests reading will take and why, with calls a day and their price:"
            " by the rates that the exporter of `--storage.path` has measured, else by assumptions."
            " AWS is only called with `--online`, to count the partitions.",
        ),
    ] = False,
    events_per_second: Annotated[
        float,
        typer.Option(
            "--plan.events-per-second",
            min=0.0,
            metavar="NUMBER",
            help="Log events of each account and region, or log group, that a plan assumes.",
        ),
    ] = 1.0,
) -> None:
    """Check the configuration and its rules.

    Prints every error and warning with file, line and a caret; exits 1 if there is an error.
    """
    settings = settings_from({"config_file": config_file, "web_config_file": web_config_file})
    checked = check_files(settings.config_file)
    problems = [*checked.problems, *_web_problems(settings.web_config_file)]
    if alerts and checked.configuration is not None:
        problems += check_alerts(alerts, checked.configuration.rules)
    about_lines: list[str] = []
    if online:
        problems += _online_problems(checked, about_lines)
    paint = Painter(sys.stderr)
    for problem in problems:
        print(_painted(problem, paint), file=sys.stderr)
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    counts = [plural(errors, "error")] if errors else []
    counts += [plural(warnings, "warning")] if warnings else []
    if errors or checked.configuration is None:
        print(", ".join(counts), file=sys.stderr)
        raise typer.Exit(1)
    sources = plural(len(checked.configuration.sources), "source")
    rules = plural(len(checked.configuration.rules), "rule")
    for sentence in about_lines:
        print(sentence)
    print(f"{sources}, {rules}: ok{f' ({counts[0]})' if counts else ''}")
    seen = {} if storage_path is None else _check_ledger(storage_path, checked.configuration)
    if plan:
        found = _partitions(checked.configuration) if online else {}
        print()
        print("\n".join(plan_lines(checked.configuration, events_per_second, seen, found)))


def _web_problems(path: Path | None) -> Sequence[Problem]:
    if path is None:
        return ()
    # The web server's libraries must not slow a check of the rules down.
    from exporter.web.config import load_web_config  # noqa: PLC0415

    return load_web_config(path).problems


def _online_problems(checked: Checked, seen: list[str]) -> Sequence[Problem]:
    """Problems that AWS reports; ``seen`` gets sentences about the newest lines."""
    # boto3 takes a while to import.
    from exporter.aws.accounts import AwsAccounts  # noqa: PLC0415
    from exporter.commands.check_lines import check_lines  # noqa: PLC0415

    environment = Environment(AwsAccounts(), Clock())
    sources = checked.configuration.sources if checked.configuration else ()
    problems = [
        problem
        for source in sources
        for problem in source.problems_online(environment, checked.sources[source.name])
    ]
    found = list(check_lines(checked, environment))
    seen += [one for one in found if isinstance(one, str)]
    return [*problems, *(one for one in found if isinstance(one, Problem))]


def _partitions(configuration: Configuration) -> Mapping[str, Sequence[Partition]]:
    """The partitions that AWS has now, by source."""
    from exporter.aws.accounts import AwsAccounts  # noqa: PLC0415 - as above

    environment = Environment(AwsAccounts(), Clock())
    return {
        source.name: source.source(environment, {}).discover().partitions
        for source in configuration.sources
    }


def _painted(problem: Problem, paint: Painter) -> str:
    colour: Colour = "red" if problem.severity == "error" else "yellow"
    head = f"{problem.location}: {problem.severity}:"
    painted = f"{paint(str(problem.location), 'cyan')}: "
    painted += paint(f"{problem.severity}:", colour, bold=True)
    return painted + problem.render().removeprefix(head)


def _check_ledger(directory: Path, configuration: Configuration) -> Mapping[str, Sequence[Rates]]:
    """Print how loading the configuration would change a ledger; return the rates in it."""
    # Assembling imports boto3, which takes a while.
    from exporter.ledger.base import LedgerError  # noqa: PLC0415
    from exporter.ledger.review import review  # noqa: PLC0415
    from exporter.runtime.assembly import kept_versions, rule_uses  # noqa: PLC0415

    now = int(time.time() * 1000)
    try:
        found = review(
            directory,
            lambda read_before: rule_uses(configuration, read_before, now),
            now=now,
            keep=kept_versions(configuration),
            feeds={source.name: source.feed_name for source in configuration.sources},
        )
    except LedgerError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error
    if found is None:
        print(f"{directory} has no ledger: a new one will be begun, every counter starts from 0")
        return {}
    if not found.is_migrated:
        print(
            f"{found.path} is of an earlier version: it will be migrated when the exporter starts"
        )
        return {}
    print(f"{found.path} is whole")
    for metric, series in sorted(found.restarted.items()):
        print(f"metric {metric} restarts at zero, {series} series end")
    for relabeled in found.relabeled:
        print(_relabeled(relabeled, configuration))
    for move in found.moves:
        print(_moved(move))
    unchanged = 0
    for source, rule in sorted(found.before.keys() | found.after.keys()):
        before = found.before.get((source, rule), [])
        after = found.after.get((source, rule), [])
        if before == after or (before and not before[-1].definition and after):
            unchanged += bool(after and after[-1].until is None)
            continue
        print(f"rule {rule} on {source} {_change(before, after)}")
    print(f"{plural(unchanged, 'rule')} on their sources: unchanged")
    return {source: from_text(text) for source, text in found.seen.items()}


def _relabeled(one: Relabeled, configuration: Configuration) -> str:
    """The change of a metric's series whose labels change, in words."""
    own = {value for key in one.before for name, value in key.labels if name == "rule"}
    rules = sorted(own) or [rule.name for rule in configuration.rules if rule.metric == one.metric]
    changes = [f"gains the label {name}" for name in one.gained]
    changes += [f"loses the label {name}" for name in one.lost]
    before, after = len(one.before), len(one.after)
    totals = "totals kept" if after == before else f"merged into {after:,}, totals added up"
    return (
        f"metric {one.metric} (rules: {', '.join(rules)}) {' and '.join(changes)}:"
        f" {plural(before, 'existing label set')}, {totals}"
        f"{'; the new label is empty there' if one.gained else ''}"
    )


def _moved(move: Move) -> str:
    """The way of a source to a feed, in words."""
    since = "" if move.since is None else f", events from {_moment(move.since)} on"
    if move.before is None:
        return f"source {move.source} joins the feed {move.feed} and counts in it{since}"
    text = f"source {move.source} moves from the feed {move.before} to {move.feed}{since}"
    if not move.series:
        return text
    return (
        f'{text}: {move.series:,} series with source="{move.before}" stay as'
        f" they are, and new ones begin at 0; to keep the totals, stop the exporter and run"
        f" `storage rename-feed {move.before} {move.feed}` first"
    )


def _change(before: Sequence[RuleVersion], after: Sequence[RuleVersion]) -> str:
    """The change of a rule on a source, in words."""
    if not after or after[-1].until is not None:
        return "is no longer configured and ends when this is loaded"
    since = after[-1].since
    when = "everything" if since is None else f"events from {_moment(since)} on"
    if not before:
        return f"is new and counts {when}"
    if before[-1].until is not None:
        return f"comes back and counts {when}"
    if before[-1].definition == after[-1].definition:
        return f"is unchanged and counts {when}"
    return f"is edited; the new version counts {when}"


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
