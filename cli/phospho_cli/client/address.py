"""The server and the credentials of a client command: options, then environment, then a local `phospho up`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from phospho_cli.data_folder import DataFolder
from phospho_schemas.settings import setting

DEFAULT_BASE_URL = "http://127.0.0.1:8420"
# Ends of a base URL that mean the same server: upstream's clients are configured with them.
_SAME_SERVER = ("/api/v1", "/v2", "/v3")


@dataclass(frozen=True)
class ClientSettings:
    """Settings of the commands that talk to a server."""

    base_url: str = setting(
        "",
        "URL of the server; by default that of the local `phospho up`.",
        variable="PHOSPHO_BASE_URL",
        option="--base-url",
    )
    api_key: str = setting("", "A project's key.", variable="PHOSPHO_API_KEY", option="--api-key", is_secret=True)
    project_id: str = setting(
        "", "Project to act on, for an administrator.", variable="PHOSPHO_PROJECT_ID", option="--project"
    )
    data_dir: Path = setting(
        Path("phospho-data"), "Folder of the local `phospho up`, whose token needs no key.", variable="PHOSPHO_DATA"
    )


@dataclass(frozen=True)
class Address:
    """
    A server, and the credentials for it. `project_id` None leaves the choice to the server.

    `local` is the folder of the `phospho up` whose token is the key; each start makes a new one. `idle_folder` is the
    data folder in which no `phospho up` runs, where the settings name no other server.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    project_id: str | None = None
    local: DataFolder | None = None
    idle_folder: Path | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers with the key and the project."""
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return headers | ({"X-Phospho-Project": self.project_id} if self.project_id else {})

    def renewed(self) -> Address | None:
        """Return the address with the token of a local server that was restarted, None without one."""
        token = self.local.admin_token() if self.local else None
        return replace(self, api_key=token) if token and token != self.api_key else None


def find_address(settings: ClientSettings) -> Address:
    """
    Return the address in the settings, completed with what the `phospho up` in the data folder announced.

    The local administrator's token goes to the local server only, never to another base URL. Raises
    click.UsageError for a URL or a key that can't be used.
    """
    local = DataFolder(settings.data_dir)
    server = local.running_server()
    local_url = _text(server, "base_url")
    url = _normalised(settings.base_url or local_url or DEFAULT_BASE_URL)
    is_local = local_url is not None and url == _normalised(local_url)
    project_id = settings.project_id or None
    if not settings.api_key and is_local and (token := local.admin_token()):
        return Address(url, token, project_id or _text(server, "project_id"), local)
    idle_folder = None if settings.base_url or local_url else settings.data_dir.absolute()
    return Address(url, _checked_key(settings.api_key), project_id, idle_folder=idle_folder)


def _normalised(base_url: str) -> str:
    url = base_url.strip().rstrip("/")
    for suffix in _SAME_SERVER:
        url = url.removesuffix(suffix).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"The base URL {base_url!r} must start with http:// or https://.")
    return url


def _checked_key(api_key: str) -> str | None:
    """Refuse a key that no header can carry, without showing it."""
    key = api_key.strip()
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise click.UsageError("The API key contains characters that no key has. Copy it again.")
    return key or None


def _text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) and value else None
