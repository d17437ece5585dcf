"""Failures out of responses and lost connections: what happened, and what to do."""

from __future__ import annotations

import httpx

from phospho_cli.client.address import Address
from phospho_cli.client.failures import Failure, Unreachable

_MAX_RETRY_AFTER_S = 60.0


def refusal(response: httpx.Response, address: Address) -> Failure:
    """Return the failure of a response with an error, in the server's words."""
    try:
        error = response.json()["error"]
        message, hint = str(error["message"]), str(error.get("hint") or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return not_phospho(response)
    if response.status_code == 401 and not address.api_key:
        hint = (
            "Give --api-key or set PHOSPHO_API_KEY; beside a running `phospho up`, set PHOSPHO_DATA to its folder"
            " and no key is needed."
        )
    return Failure(message, hint, status=response.status_code)


def not_phospho(response: httpx.Response) -> Failure:
    """Return the failure of a response that no phospho server gives."""
    return Failure(
        f"{response.request.url} answered HTTP {response.status_code} in a form that no phospho server gives.",
        "Check the base URL, and any proxy before it.",
        status=response.status_code,
    )


def unreachable(address: Address, error: httpx.TransportError) -> Unreachable:
    """Return the failure of a connection that was not made."""
    return Unreachable(
        f"No server answers at {address.base_url} ({error}).",
        "Start one with `phospho up`, or name another with --base-url or PHOSPHO_BASE_URL.",
    )


def lost_answer(address: Address, error: httpx.TransportError) -> Unreachable:
    """Return the failure of a request without a response: the server may have carried it out."""
    return Unreachable(
        f"{address.base_url} took the request and did not answer ({type(error).__name__}).",
        "Look at the server's log: it may have carried the request out.",
    )


def retry_after_s(response: httpx.Response) -> float:
    """Return the seconds of Retry-After, at most a minute; 0 without it, or for a date."""
    try:
        return min(max(float(response.headers.get("Retry-After", "0")), 0.0), _MAX_RETRY_AFTER_S)
    except ValueError:
        return 0.0
