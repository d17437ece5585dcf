"""HTTP to a phospho server: timeouts, retries with backoff, and errors a person can act on."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import click
import httpx

from phospho_cli.client.address import Address, data_dir, find_address
from phospho_cli.client.failures import Failure, Unreachable

_Command = TypeVar("_Command", bound=Callable[..., Any])

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# The server did not do it, and says that it may later.
_NOT_DONE = frozenset({429, 503})
# A proxy gave up: the server may have done it.
_PERHAPS_DONE = frozenset({502, 504})
_MAX_RETRY_AFTER_S = 60.0


@dataclass(frozen=True)
class Patience:
    """How long to go on trying: the wait doubles from `first_wait_s` up to `max_wait_s`, for `retries` times."""

    retries: int
    first_wait_s: float = 0.1
    max_wait_s: float = 5.0

    def waits_s(self) -> Iterator[float]:
        """Yield the wait before each retry, with jitter, so that many clients don't come back at once."""
        for attempt in range(self.retries):
            yield min(self.first_wait_s * 2**attempt, self.max_wait_s) * random.uniform(0.5, 1.0)


# A person waits for the answer: about a second in all.
INTERACTIVE = Patience(retries=3)
# A long job outlives a restart of the server: about a minute and a half.
UNATTENDED = Patience(retries=20)


@dataclass(frozen=True)
class _Again:
    """An attempt that may succeed later; `failure` is what to say if it never does."""

    failure: Failure
    retry_after_s: float = 0.0


class Client:
    """
    A connection pool to one server. Thread-safe.

    Every method blocks, and raises `Unreachable` where no server answers within `patience`, and `Failure` with the
    server's own words where it says no.
    """

    def __init__(
        self,
        address: Address,
        patience: Patience = INTERACTIVE,
        *,
        read_timeout_s: float = 300.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.address = address
        self._patience = patience
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=address.base_url,
            headers=address.headers() | {"User-Agent": "phospho-cli"},
            timeout=httpx.Timeout(30.0, connect=5.0, read=read_timeout_s),
            # A proxy of the environment knows no way to this machine's own loopback.
            trust_env=urlsplit(address.base_url).hostname not in _LOOPBACK,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def patient(self, patience: Patience, sleep: Callable[[float], object] = time.sleep) -> Client:
        """Return a client of the same server with another patience."""
        return Client(self.address, patience, sleep=sleep)

    def reach(self) -> None:
        """Make sure that something answers at all, whatever it says."""
        try:
            self._sent(self._http.build_request("GET", "/healthz"), is_repeatable=True)
        except Unreachable:
            raise
        except Failure:
            return

    def get(self, path: str) -> Any:
        """Return the JSON document at `path`."""
        return _document(self._checked("GET", path))

    def post(
        self,
        path: str,
        document: Any,
        *,
        is_repeatable: bool = True,
        results_in: frozenset[int] = frozenset(),
    ) -> Any:
        """
        Post a JSON document and return the answer's.

        `is_repeatable` False says that doing it twice does harm: it is not sent again once it may have arrived.
        An answer of a status in `results_in` is returned, too, where it has `results` in place of an error.
        """
        request = self._http.build_request("POST", path, json=document)
        response = self._sent(request, is_repeatable=is_repeatable)
        if response.status_code in results_in and "results" in (answer := _document(response)):
            return answer
        return _document(self._success(response))

    def post_bytes(self, path: str, body: bytes, headers: dict[str, str]) -> Any:
        """Post an encoded body that may be repeated, and return the answer's JSON document."""
        return _document(self._checked("POST", path, content=body, headers=headers))

    def patch(self, path: str, document: Any) -> Any:
        """Change what is at `path`, and return the answer's JSON document. Twice is once."""
        return _document(self._checked("PATCH", path, json=document))

    def delete(self, path: str) -> None:
        """Delete what is at `path`."""
        self._checked("DELETE", path)

    @contextmanager
    def stream(self, path: str, document: Any) -> Iterator[Iterator[bytes]]:
        """Post a JSON document and yield the answer's bytes as they come, in bounded memory."""
        request = self._http.build_request("POST", path, json=document)
        response = self._sent(request, is_repeatable=True, stream=True)
        try:
            if not response.is_success:
                response.read()
                raise _refusal(response, self.address)
            yield _chunks(response, self.address)
        finally:
            response.close()

    def _checked(self, method: str, path: str, **content: Any) -> httpx.Response:
        request = self._http.build_request(method, path, **content)
        return self._success(self._sent(request, is_repeatable=True))

    def _success(self, response: httpx.Response) -> httpx.Response:
        if not response.is_success:
            raise _refusal(response, self.address)
        return response

    def _sent(self, request: httpx.Request, *, is_repeatable: bool, stream: bool = False) -> httpx.Response:
        """Return the first answer that is not "try again"."""
        waits_s = self._patience.waits_s()
        while True:
            outcome = self._attempt(request, is_repeatable, stream)
            if isinstance(outcome, httpx.Response):
                if outcome.status_code != 401 or not self._renew(request):
                    return outcome
                outcome.close()
                continue
            wait_s = next(waits_s, None)
            if wait_s is None:
                raise outcome.failure
            self._sleep(max(wait_s, outcome.retry_after_s))

    def _renew(self, request: httpx.Request) -> bool:
        """Give a request that was refused the token of a local server that was started anew. False without one."""
        sent = request.headers.get("Authorization")
        self.address = self.address.renewed() or self.address
        headers = self.address.headers()
        if headers.get("Authorization") == sent:
            return False
        self._http.headers.update(headers)
        request.headers.update(headers)
        return True

    def _attempt(self, request: httpx.Request, is_repeatable: bool, stream: bool) -> httpx.Response | _Again:
        try:
            response = self._http.send(request, stream=stream)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return _Again(_unreachable(self.address, error))
        except httpx.TransportError as error:
            if not is_repeatable:
                raise _lost_answer(self.address, error) from error
            return _Again(_lost_answer(self.address, error))
        if response.status_code in _NOT_DONE or (response.status_code in _PERHAPS_DONE and is_repeatable):
            response.read()
            response.close()
            return _Again(_refusal(response, self.address), _retry_after_s(response))
        return response


def connected(command: _Command) -> _Command:
    """Give a command the options that find the server, and a `client` in their place."""

    @functools.wraps(command)
    def with_client(base_url: str | None, api_key: str | None, project: str | None, **arguments: Any) -> Any:
        with Client(find_address(base_url, api_key, project, data_dir())) as client:
            return command(client=client, **arguments)

    options = (
        click.option("--base-url", envvar="PHOSPHO_BASE_URL", show_envvar=True, metavar="URL", help="The server."),
        click.option("--api-key", envvar="PHOSPHO_API_KEY", show_envvar=True, metavar="KEY", help="A project's key."),
        click.option(
            "--project",
            envvar="PHOSPHO_PROJECT_ID",
            show_envvar=True,
            metavar="ID",
            help="The project to act on, for an administrator.",
        ),
    )
    decorated: Any = with_client
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _document(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        raise _not_phospho(response) from None


def _chunks(response: httpx.Response, address: Address) -> Iterator[bytes]:
    try:
        yield from response.iter_bytes()
    except httpx.TransportError as error:
        raise _lost_answer(address, error) from error


def _refusal(response: httpx.Response, address: Address) -> Failure:
    """Return the failure that says what the server's error says."""
    try:
        error = response.json()["error"]
        message, hint = str(error["message"]), str(error.get("hint") or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return _not_phospho(response)
    if response.status_code == 401 and not address.api_key:
        hint = (
            "Give --api-key or set PHOSPHO_API_KEY; beside a running `phospho up`, set PHOSPHO_DATA to its folder"
            " and no key is needed."
        )
    return Failure(message, hint, status=response.status_code)


def _not_phospho(response: httpx.Response) -> Failure:
    return Failure(
        f"{response.request.url} answered HTTP {response.status_code} in a form that no phospho server gives.",
        "Check the base URL, and any proxy before it.",
        status=response.status_code,
    )


def _unreachable(address: Address, error: httpx.TransportError) -> Unreachable:
    return Unreachable(
        f"No server answers at {address.base_url} ({error}).",
        "Start one with `phospho up`, or name another with --base-url or PHOSPHO_BASE_URL.",
    )


def _lost_answer(address: Address, error: httpx.TransportError) -> Unreachable:
    return Unreachable(
        f"{address.base_url} took the request and did not answer ({type(error).__name__}).",
        "Look at the server's log; it may have done what was asked.",
    )


def _retry_after_s(response: httpx.Response) -> float:
    """Return the seconds of Retry-After, bounded; 0 where there is none, or a date in place of seconds."""
    try:
        return min(max(float(response.headers.get("Retry-After", "0")), 0.0), _MAX_RETRY_AFTER_S)
    except ValueError:
        return 0.0
