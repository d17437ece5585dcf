"""
Settings of a client: frozen, made by `phospho.init` or `phospho.Client`.

The environment is read when they are made, never at import.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Callable, NamedTuple

from .errors import ConfigError

__all__ = ["BASE_URL", "DEFAULT_LIMITS", "DEFAULT_RETRY", "Limits", "RetryPolicy", "Settings"]

BASE_URL = "http://127.0.0.1:8420"
"""Address of a local `phospho up`."""

# A day. Waits that a lock would refuse, infinity among them, are refused here.
MAX_WAIT_S = 86_400

# Suffixes of base URLs that other clients of the same server use.
_KNOWN_SUFFIXES = ("/api/v1", "/v2", "/v3")

_KAFKA = "PHOSPHO_KAFKA_"
_TOPIC_PREFIX = "PHOSPHO_KAFKA_TOPIC_PREFIX"
_NO_PROPERTIES = (_TOPIC_PREFIX, "PHOSPHO_KAFKA_GROUP_PREFIX")
# Kubernetes sets these for a service named phospho-kafka.
_SERVICE_LINK = re.compile(r"PHOSPHO_KAFKA_(SERVICE_HOST|SERVICE_PORT\w*|PORT(_\d+_\w+)?)")


class Limits(NamedTuple):
    """
    Limits of a client. An event that does not fit is refused when it is logged, and counted by reason.

    | field | unit | at the limit |
    | --- | --- | --- |
    | `queue_events`, `queue_bytes` | events, estimated bytes, in flight included | new events are refused |
    | `event_bytes` | estimated bytes of one event | raw fields are left out, then the event is refused |
    | `batch_events`, `batch_bytes` | events, estimated bytes | the next batch begins |
    | `spool_bytes` | bytes on disk | new events are held in memory only |
    """

    queue_events: int = 10_000
    queue_bytes: int = 128 * 1024 * 1024
    event_bytes: int = 60 * 1024 * 1024
    batch_events: int = 500
    batch_bytes: int = 2 * 1024 * 1024
    spool_bytes: int = 256 * 1024 * 1024


class RetryPolicy(NamedTuple):
    """
    Exponential backoff with full jitter, in seconds. Events are retried for as long as they are queued.

    The n-th wait is drawn from [0, min(`max_s`, `initial_s` * 2**n)]
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). The server's Retry-After replaces
    it, up to `max_retry_after_s`.
    """

    initial_s: float = 0.5
    max_s: float = 30.0
    max_retry_after_s: float = 600.0

    def delay_s(self, attempts_before: int, retry_after_s: float | None = None) -> float:
        """Return the random wait before the next attempt, in seconds. *attempts_before* counts from 0."""
        backoff_s = random.uniform(0, min(self.max_s, self.initial_s * 2.0 ** min(attempts_before, 30)))
        if retry_after_s is None:
            return backoff_s
        # The jitter spreads a thousand clients that got the same Retry-After. A Retry-After of 0 does not switch
        # the backoff off.
        return max(min(retry_after_s, self.max_retry_after_s) + random.uniform(0, self.initial_s), backoff_s)


DEFAULT_LIMITS = Limits()
DEFAULT_RETRY = RetryPolicy()


class Settings(NamedTuple):
    """
    Settings of one client. Its `repr` hides the API key.

    `tick` is the longest time in seconds that an event waits for its batch to fill. `request_timeout_s` is the
    timeout of a whole request, `exit_timeout_s` that of the flush at exit.
    """

    api_key: str | None = None
    project_id: str | None = None
    base_url: str = ""
    kafka: str | None = None
    kafka_properties: tuple[tuple[str, str], ...] = ()
    kafka_topic_prefix: str = ""
    version_id: str | None = None
    tick: float = 0.5
    request_timeout_s: float = 10.0
    exit_timeout_s: float = 5.0
    raise_error_on_fail_to_send: bool = False
    spool_dir: str | None = None
    limits: Limits = DEFAULT_LIMITS
    retry: RetryPolicy = DEFAULT_RETRY
    mask: Callable[[str], str] | None = None

    def __repr__(self) -> str:
        hidden = {name: "***" for name in ("api_key", "kafka_properties") if getattr(self, name)}
        fields = {**self._asdict(), **hidden}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in fields.items())})"

    def with_environment(self, environment: Mapping[str, str] | None = None) -> Settings:
        """Return these settings, completed from the variables PHOSPHO_API_KEY, _PROJECT_ID, _BASE_URL and _KAFKA_*."""
        env = os.environ if environment is None else environment
        self._check()
        return self._replace(
            api_key=_checked_key(self.api_key or env.get("PHOSPHO_API_KEY") or ""),
            project_id=self.project_id or env.get("PHOSPHO_PROJECT_ID") or None,
            base_url=normalize_base_url(self.base_url or env.get("PHOSPHO_BASE_URL") or BASE_URL),
            kafka_properties=self.kafka_properties or _kafka_properties(env),
            kafka_topic_prefix=self.kafka_topic_prefix or env.get(_TOPIC_PREFIX, ""),
        )

    def _check(self) -> None:
        """Raise ConfigError for settings that would fail later, in the sender's thread."""
        for name in ("api_key", "project_id", "base_url", "kafka", "version_id"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise ConfigError(f"{name} must be a string, not a {type(value).__name__}")
        for name in ("tick", "request_timeout_s", "exit_timeout_s"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 <= value <= MAX_WAIT_S:
                raise ConfigError(f"{name} must be a number of seconds from 0 to {MAX_WAIT_S}, not {value!r}")


def _kafka_properties(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return librdkafka's properties as PHOSPHO_KAFKA_SASL_USERNAME and the like set them; _FILE names a file."""
    properties = {}
    for variable in env:
        if not variable.startswith(_KAFKA) or variable in _NO_PROPERTIES or not env[variable].strip():
            continue
        if _SERVICE_LINK.fullmatch(variable):
            continue
        name, value = variable[len(_KAFKA) :], env[variable].strip()
        if name.endswith("_FILE") and not name.startswith("SASL_OAUTHBEARER_ASSERTION_"):
            name, value = name[: -len("_FILE")], _content_of(variable, value)
        properties[name.lower().replace("_", ".")] = value
    return tuple(sorted(properties.items()))


def _content_of(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{variable} names a file that can't be read: {error}") from error


def _checked_key(api_key: str) -> str | None:
    """Return a key without white space around it. Errors never show the key."""
    key = api_key.strip()
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError("the API key has characters that no key has. Copy it again")
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
