"""
Handles on the engine: a fresh one for each request, and a kept one for each session that has a state.

Clients name a session with every request and mostly keep nothing in it. Its handle is kept only once a statement
changes the session (SET, USE, temporary tables); a request's own settings are then undone after the request.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import chdb

from phospho_store.embedded.errors import BAD_ARGUMENTS, SESSION_IS_LOCKED, TOO_MANY_SIMULTANEOUS_QUERIES, refusal

MAX_SESSIONS = 64
IDLE_TIMEOUT_S = 60.0  # ClickHouse's default_session_timeout

_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class _Session:
    connection: Any
    lock: threading.Lock = field(default_factory=threading.Lock)
    used_at: float = 0.0


class Sessions:
    """The sessions with a state. Thread-safe. One idle for 60 s ends at the next request; all end at close()."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}

    @contextmanager
    def handle(self, session_id: str, *, pin: bool) -> Iterator[tuple[Any, bool]]:
        """
        Yield a handle for one request, and whether it is a session's kept handle; `pin` makes such a session.

        Raises a refusal if the session runs a statement already, or if there are too many sessions.
        """
        session = self._find(session_id, pin) if session_id else None
        if session is None:
            with open_handle(self._path) as connection:
                yield connection, False
            return
        if not session.lock.acquire(blocking=False):
            raise refusal(SESSION_IS_LOCKED, f"Session {session_id} is locked by a concurrent client.")
        try:
            yield session.connection, True
        finally:
            session.used_at = time.monotonic()
            session.lock.release()

    def close(self) -> None:
        """Close every session's handle. No request may be running."""
        with self._lock:
            for session in self._sessions.values():
                session.connection.close()
            self._sessions.clear()

    def _find(self, session_id: str, pin: bool) -> _Session | None:
        with self._lock:
            self._end_idle()
            if pin and session_id not in self._sessions:
                if len(self._sessions) >= MAX_SESSIONS:
                    reason = "Too many sessions with a state; try again."
                    raise refusal(TOO_MANY_SIMULTANEOUS_QUERIES, reason, status=503, retry_after_s=1)
                self._sessions[session_id] = _Session(open_handle(self._path), used_at=time.monotonic())
            return self._sessions.get(session_id)

    def _end_idle(self) -> None:
        oldest = time.monotonic() - IDLE_TIMEOUT_S
        for session_id, session in list(self._sessions.items()):
            if session.used_at < oldest and session.lock.acquire(blocking=False):
                session.connection.close()
                del self._sessions[session_id]


def open_handle(path: str) -> Any:
    """Return a handle with its own settings on the engine at `path`; the first handle opens the engine."""
    return chdb.connect(path)


@contextmanager
def request_scope(
    connection: Any, database: str, settings: Mapping[str, str], *, keeps_database: bool
) -> Iterator[None]:
    """Apply a request's database and settings to a session's handle; undo them at the end, save the statement's own."""
    before = _snapshot(connection, settings)
    own_database = connection.query("SELECT currentDatabase()", "TSVRaw").bytes().decode().rstrip("\n")
    try:
        if database:
            connection.query(use_statement(database), "Null")
        if settings:
            connection.query(set_statement(settings), "Null")
        yield
    finally:
        for name, value in before.items():
            connection.query(f"SET {name} = DEFAULT" if value is None else set_statement({name: value}), "Null")
        if database and not keeps_database:
            connection.query(use_statement(own_database), "Null")


def use_statement(database: str) -> str:
    """Return the `USE` of a database of any name."""
    return "USE " + _quoted(database, "`")


def set_statement(settings: Mapping[str, str]) -> str:
    """Return the `SET` of all settings at once. Raises a refusal for a name that is none."""
    for name in settings:
        if not _SETTING_NAME.fullmatch(name):
            raise refusal(BAD_ARGUMENTS, f"'{name}' is not the name of a setting.")
    return "SET " + ", ".join(f"{name} = " + _quoted(value, "'") for name, value in settings.items())


def _snapshot(connection: Any, names: Mapping[str, str]) -> dict[str, str | None]:
    """Return the session's value of each setting, None for its default."""
    if not names:
        return {}
    listed = ", ".join(_quoted(name, "'") for name in names)
    query = f"SELECT name, value, changed FROM system.settings WHERE name IN ({listed})"
    rows = map(json.loads, connection.query(query, "JSONEachRow").bytes().splitlines())
    return {row["name"]: row["value"] if row["changed"] else None for row in rows}


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
