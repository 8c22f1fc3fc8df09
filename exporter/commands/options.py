"""Options and error reporting of the sub-commands."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Literal, NoReturn, TypeAlias

import typer
from typer.models import OptionInfo

from exporter.commands.terminal import Colour, Painter
from exporter.configuration import format_duration
from exporter.settings import (
    FLAGS,
    Settings,
    SettingsError,
    load_settings,
    unknown_variables,
    variable_of,
)

USAGE_ERROR = 2


def setting_option(field: str, text: str = "", *, default: str = "") -> OptionInfo:
    """The option of a setting; ``text`` and ``default`` replace the help of ``Settings``."""
    flag = FLAGS[field]
    names = flag.name if flag.metavar else f"{flag.name}/{flag.name.replace('--', '--no-', 1)}"
    default = default or _shown(Settings.model_fields[field].default)
    option: OptionInfo = typer.Option(
        names,
        metavar=flag.metavar,
        help=f"{text or flag.help} [env: {variable_of(field)}; default: {default}]",
        show_default=False,
    )
    return option


def _shown(default: object) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, float):
        return format_duration(default)
    return str(default).lower() if default is None or isinstance(default, bool) else str(default)


ConfigFile: TypeAlias = Annotated[list[str] | None, setting_option("config_file")]


def with_setting_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes ``**flags`` an option for each setting."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [one for one in own if one.kind is not inspect.Parameter.VAR_KEYWORD]
    for field, flag in FLAGS.items():
        annotation: object = Annotated[str | None, setting_option(field)]
        if flag.metavar is None:
            annotation = Annotated[bool | None, setting_option(field)]
        elif field == "config_file":
            annotation = ConfigFile
        parameters.append(
            inspect.Parameter(
                field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
            )
        )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def report(message: str, severity: Literal["error", "warning"] = "error") -> None:
    """Print a problem on standard error, in colour on a terminal."""
    sys.stdout.flush()  # keeps the order if both are one terminal
    colour: Colour = "red" if severity == "error" else "yellow"
    print(f"{Painter(sys.stderr)(f'{severity}:', colour, bold=True)} {message}", file=sys.stderr)


def fail(message: str, code: int) -> NoReturn:
    """Report an error and exit with a code."""
    report(message)
    raise typer.Exit(code)


def settings_from(flags: Mapping[str, object]) -> Settings:
    """Load the settings, warn of unknown variables; exit on an error."""
    try:
        settings = load_settings(flags)
    except SettingsError as error:
        fail(str(error), USAGE_ERROR)
    for sentence in unknown_variables():
        report(sentence, "warning")
    return settings
