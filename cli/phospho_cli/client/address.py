"""Where the server is and who asks: flags, then the environment, then what a local `phospho up` left, then defaults."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

DEFAULT_BASE_URL = "http://127.0.0.1:8420"
_DEFAULT_DATA_DIR = "phospho-data"
# Ends of a base URL that mean the same server: upstream's clients are configured with them.
_SAME_SERVER = ("/api/v1", "/v2", "/v3")


@dataclass(frozen=True)
class Address:
    """
    A server, and the credentials for it. `project_id` None leaves the choice to the server.

    `local` is the folder of the `phospho up` whose token is the key; it makes another one at each start.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    project_id: str | None = None
    local: Path | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers that say who asks, and for which project."""
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return headers | ({"X-Phospho-Project": self.project_id} if self.project_id else {})

    def renewed(self) -> Address | None:
        """Return the address with the token of a local server that was started anew; None where there is none."""
        token = _token(self.local) if self.local else None
        return replace(self, api_key=token) if token and token != self.api_key else None


def data_dir() -> Path:
    """Return the folder of the local `phospho up`: PHOSPHO_DATA, or `phospho-data` in the current folder."""
    return Path(os.environ.get("PHOSPHO_DATA") or _DEFAULT_DATA_DIR)


def find_address(base_url: str | None, api_key: str | None, project_id: str | None, local: Path) -> Address:
    """
    Return the address out of what was given, filled up with what the `phospho up` in folder `local` wrote.

    The local administrator's token goes to the local server alone, never to another base URL. Raises
    click.UsageError for a URL or a key that can't be used.
    """
    running = _running(local)
    local_url = _text(running, "base_url")
    url = _normalised(base_url or local_url or DEFAULT_BASE_URL)
    is_local = local_url is not None and url == _normalised(local_url)
    if api_key is None and is_local and (token := _token(local)):
        return Address(url, token, project_id or _text(running, "project_id"), local)
    return Address(url, _checked_key(api_key), project_id)


def _normalised(base_url: str) -> str:
    url = base_url.strip().rstrip("/")
    for suffix in _SAME_SERVER:
        url = url.removesuffix(suffix).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"The base URL {base_url!r} must start with http:// or https://.")
    return url


def _checked_key(api_key: str | None) -> str | None:
    """Refuse a key that no header can carry, without showing it."""
    key = (api_key or "").strip()
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise click.UsageError("The API key contains characters that no key has. Copy it again.")
    return key or None


def _running(local: Path) -> dict[str, Any]:
    """Return what the local server wrote about itself; nothing where there is none, or half of it."""
    try:
        document = json.loads((local / "server.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _token(local: Path) -> str | None:
    try:
        return (local / "admin-token").read_text("utf-8").strip() or None
    except (OSError, ValueError):
        return None


def _text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) and value else None
