"""The settings of the gateway that a person gives, as variables PHOSPHO_GATEWAY_<SETTING>."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from phospho_gateway.access.rate_limit import parsed_rate
from phospho_gateway.settings import GatewaySettings

PREFIX = "PHOSPHO_GATEWAY_"


class BadSetting(ValueError):
    """A variable has a value that can't be used, or names no setting; the message says which."""


def settings_from(environment: Mapping[str, str]) -> GatewaySettings:
    """
    Return the settings, with the defaults of what no variable gives. Lists have commas between.

    Raises BadSetting.
    """
    given = {name.removeprefix(PREFIX).lower(): text for name, text in environment.items() if name.startswith(PREFIX)}
    known = {field.name: field for field in dataclasses.fields(GatewaySettings)}
    for name in given:
        if name not in known:
            raise BadSetting(f"there is no setting {PREFIX}{name.upper()}; there are {', '.join(variables())}")
    values = {name: _listed(text) if known[name].default == () else text for name, text in given.items()}
    try:
        settings = TypeAdapter(GatewaySettings).validate_python(values)
        parsed_rate(settings.rate_limit)
        return settings
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise BadSetting(f"{PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg']}") from None
    except ValueError:
        rate = given["rate_limit"]
        raise BadSetting(
            f"{PREFIX}RATE_LIMIT={rate!r} is no rate; write one such as 100/second or 6000/minute"
        ) from None


def variables() -> dict[str, str]:
    """Return every variable with its meaning and its default, in the order of the settings."""
    return {
        f"{PREFIX}{field.name.upper()}": f"{field.metadata['help']} [default: {_shown(field.default)}]"
        for field in dataclasses.fields(GatewaySettings)
    }


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _shown(default: object) -> str:
    return str(default) if default not in ("", ()) else "none"
