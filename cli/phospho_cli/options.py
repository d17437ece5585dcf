"""Options of commands, made from the fields of settings classes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click

from phospho_schemas.settings import BadSetting, Setting, load, settings_of

_Command = TypeVar("_Command", bound=Callable[..., Any])


class UnusableSetting(click.ClickException):
    """A variable or an option has a value that can't be used."""

    exit_code = 2


def settings_options(settings_class: type) -> Callable[[_Command], _Command]:
    """
    Give a command an option for each setting that has one, and the loaded `settings` in their place.

    A BadSetting, here or later in the command, ends it with one sentence and exit code 2.
    """
    settings = [setting for setting in settings_of(settings_class) if setting.option]
    parameters = {_parameter(setting): setting.option for setting in settings}

    def decorate(command: _Command) -> _Command:
        @functools.wraps(command)
        def with_settings(**arguments: Any) -> Any:
            options = {option: arguments.pop(parameter) for parameter, option in parameters.items()}
            try:
                return command(settings=load(settings_class, options=options), **arguments)
            except BadSetting as error:
                raise UnusableSetting(str(error)) from error

        decorated: Any = with_settings
        for setting in reversed(settings):
            decorated = _option(setting)(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate


def variables_help(*settings_classes: type) -> str:
    """Return the variables that have no option, for the end of a help text."""
    settings = [setting for each in settings_classes for setting in settings_of(each) if not setting.option]
    lines = [f"  {setting.variable}\n    {_help(setting, '')}" for setting in settings]
    return "\b\nMore settings, as environment variables:\n" + "\n".join(lines)


def _option(setting: Setting) -> Callable[[Any], Any]:
    choices = _choices(setting.value_type)
    return click.option(
        setting.option,
        _parameter(setting),
        is_flag=setting.value_type is bool,
        multiple=setting.is_list,
        default=None,
        type=click.Choice(choices) if choices else None,
        metavar=None if choices or setting.value_type is bool else _metavar(setting),
        help=_help(setting, setting.variable),
    )


def _parameter(setting: Setting) -> str:
    return "setting_" + setting.option.removeprefix("--").replace("-", "_")


def _help(setting: Setting, variable: str) -> str:
    default = f"default: {setting.shown_default}" if setting.shown_default else ""
    notes = "; ".join(note for note in (variable, default) if note)
    return f"{setting.help}  [{notes}]" if notes else setting.help


def _choices(value_type: Any) -> list[str]:
    literals = [each for each in (value_type, *get_args(value_type)) if get_origin(each) is Literal]
    return list(get_args(literals[0])) if literals else []


def _metavar(setting: Setting) -> str:
    if isinstance(setting.default, bool | int):
        return "NUMBER"
    return "PATH" if isinstance(setting.default, Path) else "TEXT"
