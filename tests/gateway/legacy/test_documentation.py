"""docs/legacy.md says what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from phospho_gateway.docs import document
from phospho_gateway.legacy.endpoints import DEFAULT_LIMIT, MAX_LIMIT
from phospho_gateway.legacy.reads.filters import FILTERS, condition_of
from phospho_gateway.legacy.writes.conversation import MERGE_MODES
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.settings import settings_of
from phospho_web.problems import Problem

PAGE = (Path(__file__).parents[3] / "docs/legacy.md").read_text()


def test_the_table_of_endpoints_is_that_of_the_openapi_document() -> None:
    described = {path for path in document()["paths"] if path.startswith(("/v2/", "/v3/"))}
    listed = re.findall(r"(?:GET|POST) (/v[23]/[^`]*)`", PAGE)

    assert {_nameless(path) for path in described} == {_nameless(path) for path in listed}


@pytest.mark.parametrize("name", ["PHOSPHO_GATEWAY_MAX_PAGE_BYTES", "PHOSPHO_GATEWAY_ALLOW_FLAG_WITHOUT_KEY"])
def test_the_variables_that_it_names_are_there(name: str) -> None:
    assert name in PAGE
    assert name in [setting.variable for setting in settings_of(GatewaySettings)]


def test_the_filters_that_are_refused_are_named() -> None:
    refused = [name for name in FILTERS if _code(name) == "unsupported_filter"]

    assert len(refused) == 2
    assert all(f"`{name}`" in PAGE for name in refused)


def test_its_limits_and_merge_modes_are_those_of_the_code() -> None:
    assert f"1 to {MAX_LIMIT:,}, by default {DEFAULT_LIMIT:,}" in PAGE
    for mode in MERGE_MODES:
        assert f"| `{mode}`" in PAGE


def _nameless(path: str) -> str:
    return re.sub(r"{[^}]*}", "{}", path)


def _code(name: str) -> str:
    """Return the code with which a filter is refused, whatever its value; empty where it may be taken."""
    try:
        condition_of({name: "x"})
    except Problem as problem:
        return problem.code
    return ""
