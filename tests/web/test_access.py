"""The key of a request."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from phospho_web.problems import Problem
from phospho_web.requests import bearer_secret


def request(authorization: str | None) -> Request:
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize("authorization", ["Bearer ph_1", "bearer  ph_1 ", "BEARER ph_1"])
def test_bearer_secret_is_found_in_any_case(authorization: str) -> None:
    assert bearer_secret(request(authorization)) == "ph_1"


@pytest.mark.parametrize("authorization", [None, "", "Basic YTpi", "ph_1"])
def test_bearer_secret_of_another_scheme_is_none(authorization: str | None) -> None:
    assert bearer_secret(request(authorization)) is None


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer  ", "Bearer " + "x" * 513])
def test_bearer_secret_that_is_no_key_is_refused(authorization: str) -> None:
    with pytest.raises(Problem) as refusal:
        bearer_secret(request(authorization))

    assert refusal.value.status == 401
