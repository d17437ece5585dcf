"""
What the SDK raises. After `init` nothing is raised into an app that did not ask for it.

PhosphoError
├── ConfigError            an argument of `init` or `Client` cannot work
├── NotInitializedError    a module function was called before `phospho.init`
├── SendError              asked for by `raise_error_on_fail_to_send`: events were refused, dropped or left
└── APIError               reading back from the server failed
    └── NotFoundError      there is no such task, session or project
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["APIError", "ConfigError", "NotFoundError", "NotInitializedError", "PhosphoError", "SendError"]


class PhosphoError(Exception):
    """Base of everything that this package raises."""


class ConfigError(PhosphoError, ValueError):
    """An argument cannot work. The message says which, and what to do."""


class NotInitializedError(PhosphoError, RuntimeError):
    """A module function needs the default client, and `phospho.init` was not called."""

    def __init__(self, function: str) -> None:
        super().__init__(f"phospho.{function}() was called before phospho.init(). Call phospho.init() first.")


class SendError(PhosphoError):
    """
    Events that will not arrive or, from `flush` and `close`, have not.

    Raised by `log`, feedback, `flush` and `close`, and only with `raise_error_on_fail_to_send`.

    `failures` holds one readable line per event, the oldest first.
    """

    def __init__(self, failures: Sequence[str]) -> None:
        self.failures = tuple(failures)
        super().__init__(f"{len(self.failures)} event(s) not sent: " + "; ".join(self.failures[:5]))


class APIError(PhosphoError):
    """The server answered a read with an error. `status` is the HTTP status, 0 if there was no answer."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(f"{message} (HTTP {status})" if status else message)


class NotFoundError(APIError):
    """The server knows no task, session or project of that id."""
