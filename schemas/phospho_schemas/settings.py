"""
Settings of processes: frozen dataclasses whose fields carry variable, option, unit and help.

`load` is the only reader of the environment. Options of commands and docs/settings.md are made from `settings_of`.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, TypeAdapter, ValidationError

_Settings = TypeVar("_Settings")

# A class with this attribute names the variables of its fields itself, and refuses others that begin so.
_PREFIX_ATTRIBUTE = "variable_prefix"
_UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes", "_kbytes": "KiB"}
_LIST_SEPARATOR = re.compile(r"[\s,]+")
_MAX_SHOWN_CHARACTERS = 60
# A variable that ends so stands for all that begin as it does, and no other setting of its class is.
_ANY_ENDING = "_*"
_FILE_ENDING = "_FILE"
# Properties of librdkafka that end with `.file` take a path themselves.
_OWN_FILE_VARIABLES = re.compile(r"PHOSPHO_KAFKA_SASL_OAUTHBEARER_ASSERTION_\w*FILE")
# Kubernetes sets these in every container for a service named as our own variables begin, such as phospho-kafka.
_SERVICE_LINK = re.compile(r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")
# Variables of deploy/kafka/run and of the tests.
_OTHER_PROGRAMS = ("PHOSPHO_BROKER_", "PHOSPHO_NO_SKIPS")


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
        return get_origin(_bare_type(self.value_type)) is tuple

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


def _checked_http_url(url: str) -> str:
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("it must start with http:// or https://")
    return url


HttpUrl = Annotated[str, AfterValidator(_checked_http_url)]


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


def given_value(setting: Setting, environment: Mapping[str, str] | None = None) -> tuple[str, Any]:
    """
    Return the variable that gives a setting, and its text; None where none does. Raises BadSetting.

    The text of a setting for all variables that begin alike is a dictionary, by variable.
    """
    return _Source(os.environ if environment is None else environment, {}).value_of(setting)


@dataclass(frozen=True)
class _Source:
    environment: Mapping[str, str]
    options: Mapping[str, Any]

    def value_of(self, setting: Setting) -> tuple[str, Any]:
        """Return the name by which a setting was given, and its value; None where it was not given."""
        value = self.options.get(setting.option)
        if value is not None and value != ():
            return setting.option, value
        if setting.variable.endswith(_ANY_ENDING):
            return setting.variable, self._values_by_prefix(setting) or None
        file_variable = setting.variable + _FILE_ENDING
        text = self._text(setting.variable)
        if setting.is_secret and self._text(file_variable):
            if text:
                raise BadSetting(f"{setting.variable} and {file_variable} are both set: unset one of them.")
            return file_variable, _content_of(file_variable, self._text(file_variable))
        return setting.variable or setting.option, text or None

    def _text(self, variable: str) -> str:
        return self.environment.get(variable, "").strip()

    def _values_by_prefix(self, setting: Setting) -> dict[str, str]:
        """Return the values of all variables that begin as the setting's does, those in files read."""
        beginning = setting.variable.removesuffix("*")
        others = {each.variable for each in settings_of(setting.owner)}
        values: dict[str, str] = {}
        for variable in sorted(self.environment):
            is_ours = variable.startswith(beginning) and variable not in others and not is_service_link(variable)
            if not is_ours or not (text := self._text(variable)):
                continue
            name = variable
            if variable.endswith(_FILE_ENDING) and not _OWN_FILE_VARIABLES.fullmatch(variable):
                name, text = variable.removesuffix(_FILE_ENDING), _content_of(variable, text)
            if name in values:
                raise BadSetting(f"{name} and {name}{_FILE_ENDING} are both set: unset one of them.")
            values[name] = text
        return values


def is_service_link(variable: str) -> bool:
    """Return whether Kubernetes made the variable, from the name of a service."""
    return _SERVICE_LINK.fullmatch(variable) is not None


def _content_of(variable: str, path: str) -> str:
    try:
        content = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadSetting(f"{variable}={path!r} can't be used: {reason}.") from None
    if not content:
        raise BadSetting(f"{variable}={path!r} can't be used: the file is empty.")
    return content


def _load(settings_class: type, source: _Source) -> Any:
    _refuse_unknown(settings_class, source.environment)
    hints = get_type_hints(settings_class, include_extras=True)
    values = {}
    for each in dataclasses.fields(settings_class):
        group, is_optional = _group(hints[each.name])
        if group is not None:
            is_given = not is_optional or source.value_of(settings_of(group)[0])[1] is not None
            values[each.name] = _load(group, source) if is_given else None
        elif (described := _setting(settings_class, each, hints[each.name])) is not None:
            name, value = source.value_of(described)
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


def unknown_variables(settings_classes: Iterable[type], environment: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for each variable that begins as those of the classes do and is none of them."""
    settings = [each for settings_class in settings_classes for each in settings_of(settings_class)]
    variables = {each.variable for each in settings}
    variables |= {each.variable + _FILE_ENDING for each in settings if each.is_secret}
    any_ending = tuple(name.removesuffix("*") for name in variables if name.endswith(_ANY_ENDING))
    return [
        f"{name} is not a setting and is ignored.{_suggestion(name, variables)}"
        for name in sorted(os.environ if environment is None else environment)
        if name.startswith("PHOSPHO_")
        and name not in variables
        and not name.startswith((*any_ending, *_OTHER_PROGRAMS))
        and not is_service_link(name)
    ]


def _suggestion(name: str, variables: Iterable[str]) -> str:
    # All of them begin alike.
    nearest = difflib.get_close_matches(name, list(variables), n=1, cutoff=0.8)
    return f" Did you mean {nearest[0]}?" if nearest else ""


def _refuse_unknown(settings_class: type, environment: Mapping[str, str]) -> None:
    prefix = getattr(settings_class, _PREFIX_ATTRIBUTE, None)
    if prefix is None:
        return
    variables = [setting.variable for setting in settings_of(settings_class)]
    for name in environment:
        if name.startswith(prefix) and name not in variables and not is_service_link(name):
            suggestion = _suggestion(name, variables)
            raise BadSetting(f"{name} is not a setting.{suggestion} Unset it, or use one of {', '.join(variables)}.")


def _described(settings_class: type) -> Iterator[Setting]:
    hints = get_type_hints(settings_class, include_extras=True)
    for each in dataclasses.fields(settings_class):
        group, is_optional = _group(hints[each.name])
        if group is not None:
            first, *others = settings_of(group)
            # Such a group has no default before its first setting is given.
            yield replace(first, default=None) if is_optional and first.default is not MISSING else first
            yield from others
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


def _bare_type(value_type: Any) -> Any:
    return get_args(value_type)[0] if get_origin(value_type) is Annotated else value_type
