"""
Settings of a client: frozen, made once by `phospho.init` or `phospho.Client`.

The environment is read when they are made, never at import.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from typing import NamedTuple

from .errors import ConfigError

__all__ = ["BASE_URL", "DEFAULT_LIMITS", "DEFAULT_RETRY", "Limits", "RetryPolicy", "Settings"]

BASE_URL = "http://127.0.0.1:8420"
"""Where a local `phospho up` listens."""

# No wait is longer: a day. It keeps infinity and numbers that a lock refuses from the sender.
MAX_WAIT_S = 86_400

# A base URL that people carry over from another client of the same server.
_KNOWN_SUFFIXES = ("/api/v1", "/v2", "/v3")


class Limits(NamedTuple):
    """
    The bounds of a client. What does not fit is refused when it is logged, and counted by reason.

    | field | unit | when it is reached |
    | --- | --- | --- |
    | `queue_events`, `queue_bytes` | events, estimated bytes, in flight included | new events are refused |
    | `event_bytes` | estimated bytes of one event | raw fields are left out, then the event is refused |
    | `batch_events`, `batch_bytes` | events, estimated bytes | the next batch begins |
    | `spool_bytes` | bytes on disk | new events are held in memory only |
    """

    queue_events: int = 10_000
    queue_bytes: int = 64 * 1024 * 1024
    event_bytes: int = 2 * 1024 * 1024
    batch_events: int = 500
    batch_bytes: int = 2 * 1024 * 1024
    spool_bytes: int = 256 * 1024 * 1024


class RetryPolicy(NamedTuple):
    """
    Exponential backoff with full jitter, in seconds; retried for as long as the event is held.

    The n-th wait is drawn from [0, min(`max_s`, `initial_s` * 2**n)]
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). A Retry-After of the
    server replaces it, up to `max_retry_after_s`.
    """

    initial_s: float = 0.5
    max_s: float = 30.0
    max_retry_after_s: float = 600.0

    def delay_s(self, attempts_before: int, retry_after_s: float | None = None) -> float:
        """Return the wait before the next attempt, drawn at random; *attempts_before* counts from 0."""
        drawn_s = random.uniform(0, min(self.max_s, self.initial_s * 2.0 ** min(attempts_before, 30)))
        if retry_after_s is None:
            return drawn_s
        # The jitter keeps a thousand clients that were told one second from coming in the same one; and a
        # server that says 0 again and again does not switch the backoff off.
        return max(min(retry_after_s, self.max_retry_after_s) + random.uniform(0, self.initial_s), drawn_s)


DEFAULT_LIMITS = Limits()
DEFAULT_RETRY = RetryPolicy()


class Settings(NamedTuple):
    """
    Everything a client was told. The API key does not show in its `repr`.

    `tick` is the longest time in seconds that an event waits for its batch to fill;
    `request_timeout_s` bounds a whole request, `exit_timeout_s` the flush at exit.
    """

    api_key: str | None = None
    project_id: str | None = None
    base_url: str = ""
    kafka: str | None = None
    version_id: str | None = None
    tick: float = 0.5
    request_timeout_s: float = 10.0
    exit_timeout_s: float = 5.0
    raise_error_on_fail_to_send: bool = False
    spool_dir: str | None = None
    limits: Limits = DEFAULT_LIMITS
    retry: RetryPolicy = DEFAULT_RETRY

    def __repr__(self) -> str:
        hidden = self._asdict()
        hidden["api_key"] = "***" if self.api_key else None
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in hidden.items())})"

    def with_environment(self, environment: Mapping[str, str] | None = None) -> Settings:
        """Return these settings, completed by PHOSPHO_API_KEY, PHOSPHO_PROJECT_ID and PHOSPHO_BASE_URL."""
        env = os.environ if environment is None else environment
        self._check()
        return self._replace(
            api_key=_checked_key(self.api_key or env.get("PHOSPHO_API_KEY") or ""),
            project_id=self.project_id or env.get("PHOSPHO_PROJECT_ID") or None,
            base_url=normalize_base_url(self.base_url or env.get("PHOSPHO_BASE_URL") or BASE_URL),
        )

    def _check(self) -> None:
        """Raise ConfigError for what would fail only later, in the sender's thread."""
        for name in ("api_key", "project_id", "base_url", "kafka", "version_id"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise ConfigError(f"{name} must be a string, not a {type(value).__name__}")
        for name in ("tick", "request_timeout_s", "exit_timeout_s"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 <= value <= MAX_WAIT_S:
                raise ConfigError(f"{name} must be a number of seconds from 0 to {MAX_WAIT_S}, not {value!r}")


def _checked_key(api_key: str) -> str | None:
    """Return a key without white space around it. An error about one that fits no header never shows it."""
    key = api_key.strip()
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError("the API key holds characters that no key has: copy it again")
    return key or None


def normalize_base_url(base_url: str) -> str:
    """Return the server's root: without a trailing slash, `/v2`, `/v3` or `/api/v1`."""
    root = base_url.strip().rstrip("/")
    for suffix in _KNOWN_SUFFIXES:
        if root.endswith(suffix):
            root = root[: -len(suffix)].rstrip("/")
            break
    if not root.startswith(("http://", "https://")):
        raise ConfigError(f"base_url must begin with http:// or https://, not {base_url!r}")
    return root
