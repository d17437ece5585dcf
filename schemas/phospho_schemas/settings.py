"""
Settings of processes: frozen dataclasses whose fields carry variable, option, unit and help.

`load` is the only reader of the environment. Options of commands and docs/settings.md are made from `settings_of`.
"""

from __future__ import annotations

import dataclasses
import os
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, TypeAdapter, ValidationError

_Settings = TypeVar("_Settings")

# A class with this attribute names the variables of its fields itself, and refuses others that begin so.
_PREFIX_ATTRIBUTE = "variable_prefix"
_UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes", "_kbytes": "KiB"}
_LIST_SEPARATOR = re.compile(r"[\s,]+")
_MAX_SHOWN_CHARACTERS = 60


class BadSetting(ValueError):
    """A setting has a value that can't be used. The message is one sentence with its name and what to do."""


@dataclass(frozen=True)
class Setting:
    """One setting as people give it. `owner` is the class of its field; `default` MISSING makes it required."""

    owner: type
    variable: str
    option: str
    value_type: Any
    default: Any
    unit: str
    help: str
    is_secret: bool

    @property
    def is_list(self) -> bool:
        return get_origin(_plain(self.value_type)) is tuple

    @property
    def shown_default(self) -> str:
        """The default as help and docs show it, empty where there is none."""
        if self.default in (MISSING, None, "", ()) or dataclasses.is_dataclass(self.default):
            return ""
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)


def setting(
    default: Any = MISSING, help: str = "", *, variable: str = "", option: str = "", is_secret: bool = False
) -> Any:
    """Return a dataclass field that people may set by `variable` or `option`, or code alone without either."""
    metadata = {"help": help, "variable": variable, "option": option}
    return field(default=default, repr=not is_secret, metadata=metadata)


def kafka_setting(default: str = "127.0.0.1:9092") -> Any:
    """Return the field that names the Kafka of a process."""
    return setting(
        default, "Kafka's bootstrap servers, as host:port,host:port.", variable="PHOSPHO_KAFKA", option="--kafka"
    )


def _checked_http_url(url: str) -> str:
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("it must start with http:// or https://")
    return url


HttpUrl = Annotated[str, AfterValidator(_checked_http_url)]


def clickhouse_setting(default: str = "http://127.0.0.1:8123") -> Any:
    """Return the field that names the ClickHouse of a process."""
    help_text = "URL of ClickHouse, as http://user:password@host:port/database."
    return setting(default, help_text, variable="PHOSPHO_CLICKHOUSE", option="--clickhouse", is_secret=True)


@cache
def settings_of(settings_class: type) -> tuple[Setting, ...]:
    """Return the settings of a class that people may give, those of the groups in it included."""
    return tuple(_described(settings_class))


def load(
    settings_class: type[_Settings],
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> _Settings:
    """
    Return the settings from `options` (by name, where not None), then the environment, then the defaults.

    A variable that is empty counts as not set. Lists have commas or spaces between. A group that may be None is None
    unless its first setting is given. Raises BadSetting.
    """
    source = _Source(os.environ if environment is None else environment, options or {})
    settings: _Settings = _load(settings_class, source)
    return settings


@dataclass(frozen=True)
class _Source:
    environment: Mapping[str, str]
    options: Mapping[str, Any]

    def given(self, setting: Setting) -> tuple[str, Any]:
        """Return the name by which a setting was given, and its value; None where it was not given."""
        value = self.options.get(setting.option)
        if value is not None and value != ():
            return setting.option, value
        text = self.environment.get(setting.variable, "").strip()
        return setting.variable or setting.option, text or None


def _load(settings_class: type, source: _Source) -> Any:
    _refuse_unknown(settings_class, source.environment)
    hints = get_type_hints(settings_class, include_extras=True)
    values = {}
    for each in dataclasses.fields(settings_class):
        group, is_optional = _group(hints[each.name])
        if group is not None:
            is_given = not is_optional or source.given(settings_of(group)[0])[1] is not None
            values[each.name] = _load(group, source) if is_given else None
        elif (described := _setting(settings_class, each, hints[each.name])) is not None:
            name, value = source.given(described)
            if value is not None:
                values[each.name] = _validated(described, name, value)
            elif described.default is MISSING:
                raise BadSetting(f"{name} is not set; give it. {described.help}")
    try:
        return settings_class(**values)
    except ValueError as error:
        raise BadSetting(str(error)) from None


def _validated(setting: Setting, name: str, value: Any) -> Any:
    if setting.is_list and isinstance(value, str):
        value = [item for item in _LIST_SEPARATOR.split(value) if item]
    try:
        validated = TypeAdapter(setting.value_type).validate_python(value)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]["msg"].partition(", unable to")[0]
        problem = fault.removeprefix("Value error, ").replace("Input should", "it must")
        shown = "" if setting.is_secret else f"={str(value)[:_MAX_SHOWN_CHARACTERS]!r}"
        raise BadSetting(f"{name}{shown} can't be used: {problem}.") from None
    if isinstance(validated, int | float) and validated < 0:
        raise BadSetting(f"{name}={value!s} can't be used: it must not be negative.")
    return validated


def _refuse_unknown(settings_class: type, environment: Mapping[str, str]) -> None:
    prefix = getattr(settings_class, _PREFIX_ATTRIBUTE, None)
    if prefix is None:
        return
    variables = [setting.variable for setting in settings_of(settings_class)]
    for name in environment:
        if name.startswith(prefix) and name not in variables:
            raise BadSetting(f"{name} is no setting: unset it, or use one of {', '.join(variables)}.")


def _described(settings_class: type) -> Iterator[Setting]:
    hints = get_type_hints(settings_class, include_extras=True)
    for each in dataclasses.fields(settings_class):
        group, _ = _group(hints[each.name])
        if group is not None:
            yield from settings_of(group)
        elif (described := _setting(settings_class, each, hints[each.name])) is not None:
            yield described


def _setting(settings_class: type, each: dataclasses.Field[Any], value_type: Any) -> Setting | None:
    """Return how people give a field, None where code alone sets it."""
    prefix = getattr(settings_class, _PREFIX_ATTRIBUTE, "")
    variable = each.metadata.get("variable") or (f"{prefix}{each.name.upper()}" if prefix else "")
    option = each.metadata.get("option", "")
    if not variable and not option:
        return None
    unit = next((unit for ending, unit in _UNITS.items() if each.name.endswith(ending)), "")
    return Setting(
        settings_class,
        variable,
        option,
        value_type,
        default=each.default,
        unit=unit,
        help=each.metadata["help"],
        is_secret=not each.repr,
    )


def _group(value_type: Any) -> tuple[type | None, bool]:
    """Return the settings class that a field's type is, if it is one, and whether the field may be None."""
    members = get_args(value_type) if get_origin(value_type) in (Union, types.UnionType) else (value_type,)
    for member in members:
        if isinstance(member, type) and dataclasses.is_dataclass(member) and settings_of(member):
            return member, type(None) in members
    return None, False


def _plain(value_type: Any) -> Any:
    return get_args(value_type)[0] if get_origin(value_type) is Annotated else value_type
