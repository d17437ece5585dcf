"""Files of a local `phospho up`, beside its engine: secrets that stay, a token of the run, the server's address."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ADMIN_TOKEN = "admin-token"  # noqa: S105 (a file's name)
_SERVER = "server.json"
_CLIENT_ENV = "phospho.env"


class FolderInUse(Exception):
    """Another process uses the data folder."""


@dataclass(frozen=True)
class DataFolder:
    """The data folder of a process. Its secrets are readable by their owner only."""

    path: Path

    @property
    def engine_path(self) -> str:
        """The folder of the embedded ClickHouse."""
        return str(self.path / "clickhouse")

    @property
    def backups_path(self) -> Path:
        """The folder into which a running server writes backups."""
        return self.path.absolute() / "backups"

    def create(self) -> None:
        """Make the folder if it is missing."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process until the end. Raises FolderInUse where another process holds it."""
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderInUse(f"Another `phospho up` uses the folder {self.path}.") from None
            yield

    def secret(self, name: str, size_bytes: int = 32) -> str:
        """Return the secret in the file `name`, made at the first call: it stays from run to run."""
        path = self.path / name
        if not path.exists():
            _write_secret(path, secrets.token_urlsafe(size_bytes))
        return path.read_text().strip()

    def write_client_env(self, base_url: str, project_id: str, api_key: str | None) -> Path | None:
        """
        Write the file of `export` lines for apps, which hold a key; return its path, or None without one.

        `api_key` is the key if it was just made. Otherwise the key of an earlier start stays, with the present address.
        """
        path = self.path / _CLIENT_ENV
        api_key = api_key or self.client_key()
        if not api_key:
            return None
        path.unlink(missing_ok=True)
        values = {"PHOSPHO_BASE_URL": base_url, "PHOSPHO_PROJECT_ID": project_id, "PHOSPHO_API_KEY": api_key}
        _write_secret(path, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()))
        return path

    def client_key(self) -> str | None:
        """Return the key in the file of `export` lines, None without one."""
        try:
            lines = (self.path / _CLIENT_ENV).read_text("utf-8").splitlines()
        except (OSError, ValueError):
            return None
        prefix = "export PHOSPHO_API_KEY="
        return next((shlex.split(line.removeprefix(prefix))[0] for line in lines if line.startswith(prefix)), None)

    @contextmanager
    def new_admin_token(self) -> Iterator[str]:
        """Yield the administrator's token of this run; its file is deleted at the end."""
        token = "ph_admin_" + secrets.token_urlsafe(32)
        path = self.path / _ADMIN_TOKEN
        path.unlink(missing_ok=True)
        _write_secret(path, token)
        try:
            yield token
        finally:
            path.unlink(missing_ok=True)

    def admin_token(self) -> str | None:
        """Return the token of the server that runs in this folder, None without one."""
        try:
            return (self.path / _ADMIN_TOKEN).read_text("utf-8").strip() or None
        except (OSError, ValueError):
            return None

    @contextmanager
    def announced_server(self, base_url: str, project_id: str) -> Iterator[None]:
        """Announce the running server to client commands in the same folder, until the end."""
        path = self.path / _SERVER
        path.write_text(json.dumps({"base_url": base_url, "project_id": project_id, "pid": os.getpid()}))
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def running_server(self) -> dict[str, Any]:
        """Return what the running server announced; empty without one, or while it writes."""
        try:
            document = json.loads((self.path / _SERVER).read_bytes())
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}


def _write_secret(path: Path, secret: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)
