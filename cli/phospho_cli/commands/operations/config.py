"""`phospho config`: the settings as the environment gives them, with their sources; secrets are masked."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from phospho_cli.processes.settings import SETTINGS_OF_COMMANDS
from phospho_schemas.settings import BadSetting, Setting, given_value, load, settings_of, unknown_variables

_MASK = "***"
_SECRET_PROPERTY = re.compile(r"PASSWORD|SECRET|TOKEN(?!_ENDPOINT)|_KEY(?!_LOCATION)|PEM|_CONFIG|ASSERTION")


@click.command()
@click.argument("command", required=False, type=click.Choice(list(SETTINGS_OF_COMMANDS)))
@click.option("--all", "shows_defaults", is_flag=True, help="Show the settings that have their default too.")
def config(command: str | None, shows_defaults: bool) -> None:
    """
    Show the variables that are set, what they set, and which of them can't be used.

    Passwords, keys and URLs that may hold one are shown as ***. With COMMAND, only what that command reads. Exits
    with 2 if a variable can't be used or is not a setting.
    """
    commands = [command] if command else list(SETTINGS_OF_COMMANDS)
    classes = [each for name in commands for each in SETTINGS_OF_COMMANDS[name]]
    settings = {setting.variable: setting for each in classes for setting in settings_of(each) if setting.variable}
    problems: dict[str, None] = {}
    for setting in settings.values():
        try:
            for line in _lines(setting, shows_defaults):
                click.echo(line)
        except BadSetting as error:
            problems[str(error)] = None
    for each in classes:
        try:
            load(each)
        except BadSetting as error:
            problems[str(error)] = None
    every_class = [each for classes_of_one in SETTINGS_OF_COMMANDS.values() for each in classes_of_one]
    sentences = [*problems, *unknown_variables(every_class)]
    for sentence in sentences:
        click.echo(sentence, err=True)
    if sentences:
        raise click.exceptions.Exit(2)


def _lines(setting: Setting, shows_defaults: bool) -> Iterator[str]:
    """Yield `variable = value  (source)`: for one setting, or for each property that the environment sets."""
    name, value = given_value(setting)
    if isinstance(value, dict):
        for variable, text in value.items():
            yield _line(variable, _MASK if _SECRET_PROPERTY.search(variable) else text, "environment")
    elif value is not None:
        source = "environment" if name == setting.variable else f"file named by {name}"
        yield _line(setting.variable, _MASK if setting.is_secret else str(value), source)
    elif shows_defaults:
        yield _line(setting.variable, setting.shown_default, "default")


def _line(variable: str, value: str, source: str) -> str:
    return f"{variable} = {value}  ({source})"
