"""The command ``metric-filter-exporter``, also ``python -m exporter``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from exporter import __version__
from exporter.commands.check import check
from exporter.commands.demo import demo
from exporter.commands.explain import explain
from exporter.commands.iam_policy import iam_policy
from exporter.commands.match import match
from exporter.commands.run import run
from exporter.commands.storage import storage
from exporter.commands.test import run_rule_tests

NAME = "metric-filter-exporter"

app = typer.Typer(
    name=NAME,
    help="CloudWatch metric filters, evaluated outside AWS, as Prometheus counters.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_COMMANDS: dict[str, Callable[..., None]] = {
    "run": run,
    "check": check,
    "test": run_rule_tests,
    "match": match,
    "explain": explain,
    "iam-policy": iam_policy,
    "demo": demo,
}
for _name, _command in _COMMANDS.items():
    # Given as it is, a summary is wrapped and not cut.
    _summary = " ".join((_command.__doc__ or "").split("\n\n")[0].split())
    app.command(_name, short_help=_summary)(_command)
app.add_typer(storage, name="storage")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"{NAME} {__version__} (Python {sys.version.split()[0]})")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command that the arguments name, and exit."""
    app(prog_name=NAME)


if __name__ == "__main__":
    main()
