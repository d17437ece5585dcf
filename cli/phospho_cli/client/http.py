"""HTTP to a phospho server: timeouts, retries with backoff, and errors a person can act on."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx

from phospho_cli.client.address import Address, ClientSettings, find_address
from phospho_cli.client.failures import Failure, Unreachable
from phospho_cli.options import settings_options

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# The server refused the request for now.
_REFUSED_FOR_NOW = frozenset({429, 503})
# A proxy gave up: the server may have carried the request out.
_PROXY_GAVE_UP = frozenset({502, 504})

_Command = TypeVar("_Command", bound=Callable[..., Any])

_MAX_RETRY_AFTER_S = 60.0


@dataclass(frozen=True)
class _Retry:
    """An attempt that may succeed later; `failure` is raised if it never does."""

    failure: Failure
    retry_after_s: float = 0.0


@dataclass(frozen=True)
class RetryPolicy:
    """Up to `retries` retries, after a wait that doubles from `first_wait_s` to `max_wait_s`."""

    retries: int
    first_wait_s: float = 0.1
    max_wait_s: float = 5.0

    def waits_s(self) -> Iterator[float]:
        """Yield the wait before each retry, with jitter, so that many clients don't come back at once."""
        for attempt in range(self.retries):
            yield min(self.first_wait_s * 2**attempt, self.max_wait_s) * random.uniform(0.5, 1.0)


# A person waits for the answer: about a second in all.
INTERACTIVE = RetryPolicy(retries=3)
# A long command outlives a restart of the server: about a minute and a half.
LONG_RUNNING = RetryPolicy(retries=20)


class Client:
    """
    A connection pool to one server. Thread-safe.

    Every method blocks. It raises `Unreachable` if no server answers within the retries, and `Failure` with the
    server's own words for a response with an error.
    """

    def __init__(
        self,
        address: Address,
        retries: RetryPolicy = INTERACTIVE,
        *,
        read_timeout_s: float = 300.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.address = address
        self._retries = retries
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=address.base_url,
            headers=address.headers() | {"User-Agent": "phospho-cli"},
            timeout=httpx.Timeout(30.0, connect=5.0, read=read_timeout_s),
            # A proxy in the environment can't reach this machine's own loopback.
            trust_env=urlsplit(address.base_url).hostname not in _LOOPBACK,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def with_retries(self, retries: RetryPolicy, sleep: Callable[[float], object] = time.sleep) -> Client:
        """Return a client of the same server with other retries."""
        return Client(self.address, retries, sleep=sleep)

    def check_reachable(self) -> None:
        """Raise Unreachable if nothing answers; any response will do."""
        try:
            self._send_with_retries(self._http.build_request("GET", "/healthz"), is_repeatable=True)
        except Unreachable:
            raise
        except Failure:
            return

    def get(self, path: str) -> Any:
        """Return the JSON document at `path`."""
        return _document(self._request("GET", path))

    def post(
        self,
        path: str,
        document: Any,
        *,
        is_repeatable: bool = True,
        results_in: frozenset[int] = frozenset(),
    ) -> Any:
        """
        Post a JSON document and return the response's.

        Without `is_repeatable` it is not sent again once it may have arrived: a second time does harm. A response with
        a status in `results_in` is returned too if it has `results` instead of an error.
        """
        request = self._http.build_request("POST", path, json=document)
        response = self._send_with_retries(request, is_repeatable=is_repeatable)
        if response.status_code in results_in and "results" in (document := _document(response)):
            return document
        return _document(self._success(response))

    def post_bytes(self, path: str, body: bytes, headers: dict[str, str]) -> Any:
        """Post an encoded body that may be repeated, and return the response's JSON document."""
        return _document(self._request("POST", path, content=body, headers=headers))

    def patch(self, path: str, document: Any) -> Any:
        """Change the resource at `path` and return the response's JSON document. Idempotent."""
        return _document(self._request("PATCH", path, json=document))

    def delete(self, path: str) -> None:
        """Delete the resource at `path`."""
        self._request("DELETE", path)

    @contextmanager
    def stream(self, path: str, document: Any) -> Iterator[Iterator[bytes]]:
        """Post a JSON document and yield the response's bytes as they come, in bounded memory."""
        request = self._http.build_request("POST", path, json=document)
        response = self._send_with_retries(request, is_repeatable=True, stream=True)
        try:
            if not response.is_success:
                response.read()
                raise refusal(response, self.address)
            yield _chunks(response, self.address)
        finally:
            response.close()

    def _request(self, method: str, path: str, **content: Any) -> httpx.Response:
        request = self._http.build_request(method, path, **content)
        return self._success(self._send_with_retries(request, is_repeatable=True))

    def _success(self, response: httpx.Response) -> httpx.Response:
        if not response.is_success:
            raise refusal(response, self.address)
        return response

    def _send_with_retries(
        self, request: httpx.Request, *, is_repeatable: bool, stream: bool = False
    ) -> httpx.Response:
        """Return the first response that is not to be retried."""
        waits_s = self._retries.waits_s()
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
        """Give a refused request the token of a restarted local server. False without one."""
        sent = request.headers.get("Authorization")
        self.address = self.address.renewed() or self.address
        headers = self.address.headers()
        if headers.get("Authorization") == sent:
            return False
        self._http.headers.update(headers)
        request.headers.update(headers)
        return True

    def _attempt(self, request: httpx.Request, is_repeatable: bool, stream: bool) -> httpx.Response | _Retry:
        try:
            response = self._http.send(request, stream=stream)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return _Retry(unreachable(self.address, error))
        except httpx.TransportError as error:
            if not is_repeatable:
                raise lost_answer(self.address, error) from error
            return _Retry(lost_answer(self.address, error))
        if response.status_code in _REFUSED_FOR_NOW or (response.status_code in _PROXY_GAVE_UP and is_repeatable):
            response.read()
            response.close()
            return _Retry(refusal(response, self.address), retry_after_s(response))
        return response


def _document(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        raise not_phospho(response) from None


def _chunks(response: httpx.Response, address: Address) -> Iterator[bytes]:
    try:
        yield from response.iter_bytes()
    except httpx.TransportError as error:
        raise lost_answer(address, error) from error


def connected(command: _Command) -> _Command:
    """Give a command the options of `ClientSettings`, and a `client` in their place."""

    @functools.wraps(command)
    def with_client(settings: ClientSettings, **arguments: Any) -> Any:
        with Client(find_address(settings)) as client:
            return command(client=client, **arguments)

    decorated: Any = settings_options(ClientSettings)(with_client)
    return decorated  # type: ignore[no-any-return]


def refusal(response: httpx.Response, address: Address) -> Failure:
    """Return the failure of a response with an error, in the server's words."""
    try:
        error = response.json()["error"]
        message, hint = str(error["message"]), str(error.get("hint") or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return not_phospho(response)
    if response.status_code == 401 and not address.api_key and address.idle_folder:
        hint = f"{_elsewhere(address.idle_folder)} Or give --api-key."
    elif response.status_code == 401 and not address.api_key:
        hint = (
            "Give --api-key or set PHOSPHO_API_KEY; beside a running `phospho up`, set PHOSPHO_DATA to its folder"
            " and no key is needed."
        )
    elif response.status_code == 401:
        hint = (
            "The key in --api-key or PHOSPHO_API_KEY is not one of this server. Make another: phospho keys create."
            " Beside a local `phospho up`, unset it: no key is needed."
        )
    return Failure(message, hint, status=response.status_code)


def not_phospho(response: httpx.Response) -> Failure:
    """Return the failure of a response that is not of a phospho server."""
    return Failure(
        f"{response.request.url} answered HTTP {response.status_code}, but it is not a phospho server.",
        "Check the base URL, and any proxy before it.",
        status=response.status_code,
    )


def unreachable(address: Address, error: httpx.TransportError) -> Unreachable:
    """Return the failure of a connection that was not made."""
    hint = "Start one with `phospho up`, or name another with --base-url or PHOSPHO_BASE_URL."
    if address.idle_folder:
        hint = f"{_elsewhere(address.idle_folder)} {hint}"
    return Unreachable(f"No server answers at {address.base_url} ({error}).", hint)


def _elsewhere(idle_folder: Path) -> str:
    """Say where a local server was looked for, and how its commands find it."""
    return (
        f"No `phospho up` runs in {idle_folder}. If it runs in another folder, run this there, or set PHOSPHO_DATA to"
        " its data folder."
    )


def lost_answer(address: Address, error: httpx.TransportError) -> Unreachable:
    """Return the failure of a request without a response: the server may have carried it out."""
    return Unreachable(
        f"{address.base_url} accepted the request but did not answer ({type(error).__name__}).",
        "Check the server's log: the request may have been carried out.",
    )


def retry_after_s(response: httpx.Response) -> float:
    """Return the seconds of Retry-After, at most a minute; 0 without it, or for a date."""
    try:
        return min(max(float(response.headers.get("Retry-After", "0")), 0.0), _MAX_RETRY_AFTER_S)
    except ValueError:
        return 0.0
