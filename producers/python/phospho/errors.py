"""
Exceptions of the SDK. After `init` none reaches the app, unless it asks for `SendError`.

PhosphoError
├── ConfigError            an argument of `init` or `Client` cannot work
├── NotInitializedError    a module function was called before `phospho.init`
├── SendError              events were refused, dropped or left unsent (`raise_error_on_fail_to_send`)
└── APIError               reading from the server failed
    └── NotFoundError      there is no such task, session or project
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["APIError", "ConfigError", "NotFoundError", "NotInitializedError", "PhosphoError", "SendError"]


class PhosphoError(Exception):
    """Base of all exceptions of this package."""


class ConfigError(PhosphoError, ValueError):
    """An argument cannot work. The message names it and the remedy."""


class NotInitializedError(PhosphoError, RuntimeError):
    """A module function needs the default client, and `phospho.init` was not called."""

    def __init__(self, function: str) -> None:
        super().__init__(f"phospho.{function}() was called before phospho.init(). Call phospho.init() first.")


class SendError(PhosphoError):
    """
    Events were lost or, from `flush` and `close`, are not sent yet.

    Raised by `log`, feedback, `flush` and `close`, and only with `raise_error_on_fail_to_send`. `failures` holds
    one line per event, oldest first.
    """

    def __init__(self, failures: Sequence[str]) -> None:
        self.failures = tuple(failures)
        super().__init__(f"{len(self.failures)} event(s) not sent: " + "; ".join(self.failures[:5]))


class APIError(PhosphoError):
    """The server answered a read with an error. `status` is the HTTP status, or 0 if there was no answer."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(f"{message} (HTTP {status})" if status else message)


class NotFoundError(APIError):
    """The server has no task, session or project of that id."""
