"""The key and the project that a request names in its headers."""

from __future__ import annotations

from starlette.requests import Request

from phospho_web.problems import unauthorized

PROJECT_HEADER = "x-phospho-project"
_MAX_SECRET_CHARACTERS = 512


def bearer_secret(request: Request) -> str | None:
    """
    Return the secret in `Authorization: Bearer`, or None without one: another scheme may be a proxy's.

    Raises Problem (401) for a secret that is empty or longer than any key.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    secret = secret.strip()
    if not 0 < len(secret) <= _MAX_SECRET_CHARACTERS:
        raise unauthorized()
    return secret
