"""Settings come from options, then variables, then defaults; a bad one is a sentence with its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import AfterValidator, Field

from phospho_schemas.settings import BadSetting, load, setting, settings_of, unknown_variables
from phospho_store.clickhouse import ClickHouseSettings


def shouting(text: str) -> str:
    if not text.isupper():
        raise ValueError("write it in capitals")
    return text


@dataclass(frozen=True)
class Server:
    url: str = setting(help="URL of a server.", variable="PHOSPHO_T_URL")
    model: str = setting(help="Its model.", variable="PHOSPHO_T_MODEL")
    token: Annotated[str, AfterValidator(shouting)] = setting(
        "", "Its token.", variable="PHOSPHO_T_TOKEN", is_secret=True
    )


@dataclass(frozen=True)
class Limits:
    variable_prefix: ClassVar[str] = "PHOSPHO_T_LIMIT_"

    size_bytes: Annotated[int, Field(ge=1)] = setting(10, "Largest body.")
    names: tuple[str, ...] = setting((), "Some names.")


@dataclass(frozen=True)
class Everything:
    port: int = setting(80, "Port to listen on.", variable="PHOSPHO_T_PORT", option="--port")
    is_open: bool = setting(False, "Open to all.", variable="PHOSPHO_T_OPEN")
    internal: int = 7
    limits: Limits = Limits()
    server: Server | None = None


def test_settings_are_the_defaults_without_anything_given() -> None:
    assert load(Everything, {}) == Everything()


def test_settings_prefer_an_option_to_a_variable_and_that_to_a_default() -> None:
    environment = {"PHOSPHO_T_PORT": " 81 ", "PHOSPHO_T_OPEN": "true", "PHOSPHO_T_LIMIT_NAMES": "a, b  c"}

    from_variables = load(Everything, environment)
    from_options = load(Everything, environment, {"--port": "82"})

    assert from_variables == Everything(81, True, limits=Limits(names=("a", "b", "c")))
    assert from_options.port == 82


def test_settings_take_an_empty_variable_for_one_that_is_not_set() -> None:
    assert load(Everything, {"PHOSPHO_T_PORT": "", "PHOSPHO_T_URL": " "}) == Everything()


def test_settings_of_an_optional_group_begin_with_its_first_variable() -> None:
    assert load(Everything, {"PHOSPHO_T_MODEL": "m"}).server is None
    environment = {"PHOSPHO_T_URL": "http://a", "PHOSPHO_T_MODEL": "m", "PHOSPHO_T_TOKEN": "T"}
    assert load(Everything, environment).server == Server("http://a", "m", "T")
    assert "T'" not in repr(load(Everything, environment))


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PHOSPHO_T_PORT": "x"}, "PHOSPHO_T_PORT='x' can't be used: it must be a valid integer."),
        (
            {"PHOSPHO_T_LIMIT_SIZE_BYTES": "0"},
            "PHOSPHO_T_LIMIT_SIZE_BYTES='0' can't be used: it must be greater than or equal to 1.",
        ),
        ({"PHOSPHO_T_URL": "http://a"}, "PHOSPHO_T_MODEL is not set; give it. Its model."),
        (
            {"PHOSPHO_T_URL": "http://a", "PHOSPHO_T_MODEL": "m", "PHOSPHO_T_TOKEN": "hush"},
            "PHOSPHO_T_TOKEN can't be used: write it in capitals.",
        ),
        (
            {"PHOSPHO_T_LIMIT_SIZE": "1"},
            "PHOSPHO_T_LIMIT_SIZE is not a setting. Did you mean PHOSPHO_T_LIMIT_SIZE_BYTES? Unset it, or use one of"
            " PHOSPHO_T_LIMIT_SIZE_BYTES, PHOSPHO_T_LIMIT_NAMES.",
        ),
    ],
)
def test_settings_name_the_variable_that_can_not_be_used(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadSetting) as raised:
        load(Everything, environment)
    assert str(raised.value) == sentence


def test_settings_name_an_option_by_its_option() -> None:
    with pytest.raises(BadSetting, match=r"^--port='x' can't be used"):
        load(Everything, {"PHOSPHO_T_PORT": "80"}, {"--port": "x"})


def test_settings_describe_what_people_may_give() -> None:
    described = {each.variable: (each.option, each.shown_default, each.unit) for each in settings_of(Everything)}

    assert list(described) == [
        *("PHOSPHO_T_PORT", "PHOSPHO_T_OPEN", "PHOSPHO_T_LIMIT_SIZE_BYTES", "PHOSPHO_T_LIMIT_NAMES"),
        *("PHOSPHO_T_URL", "PHOSPHO_T_MODEL", "PHOSPHO_T_TOKEN"),
    ]
    assert described["PHOSPHO_T_PORT"] == ("--port", "80", "")
    assert described["PHOSPHO_T_LIMIT_SIZE_BYTES"] == ("", "10", "bytes")


def test_negative_number_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"PHOSPHO_T_PORT=-1 can't be used: it must not be negative\."):
        load(Everything, {"PHOSPHO_T_PORT": "-1", "PHOSPHO_T_URL": "x", "PHOSPHO_T_MODEL": "y"})


def test_clickhouse_needs_an_http_url() -> None:
    with pytest.raises(BadSetting, match="PHOSPHO_CLICKHOUSE can't be used: it must start with http:// or https://"):
        load(ClickHouseSettings, {"PHOSPHO_CLICKHOUSE": "nonsense"})


def test_secret_is_read_from_the_file_that_its_variable_names(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("HUSH\n")
    environment = {"PHOSPHO_T_URL": "http://a", "PHOSPHO_T_MODEL": "m", "PHOSPHO_T_TOKEN_FILE": str(tmp_path / "token")}

    assert load(Server, environment).token == "HUSH"
    with pytest.raises(BadSetting, match="PHOSPHO_T_TOKEN_FILE are both set"):
        load(Server, {**environment, "PHOSPHO_T_TOKEN": "HUSH"})


def test_unknown_variables_are_named_with_the_nearest_setting() -> None:
    given = ("PHOSPHO_T_PROT", "PHOSPHO_T_PORT", "PHOSPHO_XYZW", "PHOSPHO_BROKER_PORT", "PATH")

    assert unknown_variables([Everything], dict.fromkeys(given, "1")) == [
        "PHOSPHO_T_PROT is not a setting and is ignored. Did you mean PHOSPHO_T_PORT?",
        "PHOSPHO_XYZW is not a setting and is ignored.",
    ]
