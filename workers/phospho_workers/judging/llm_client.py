"""A client of OpenAI's chat API at any base URL, with limits on time, bytes, attempts and concurrent calls."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import httpx

from phospho_workers.judging.answers import Answer, unreadable_reason
from phospho_workers.judging.chat_protocol import DIALECTS, completion_text, plainer_dialect, request_body, usage_of
from phospho_workers.judging.prompts import Question
from phospho_workers.judging.settings import LlmSettings


class CircuitBreaker:
    """
    Closed while calls succeed. `max_failures` in a row open it. After a pause it lets one call through, which closes
    it, or opens it for twice as long, up to `max_pause_s`.

    For one thread.
    """

    def __init__(
        self,
        max_failures: int = 5,
        first_pause_s: float = 5.0,
        max_pause_s: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_failures = max_failures
        self._first_pause_s = first_pause_s
        self._max_pause_s = max_pause_s
        self._clock = clock
        self._failures = 0
        self._pause_s = first_pause_s
        self._open_until = float("-inf")
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """True if a call would be refused now."""
        return self._failures >= self._max_failures and (self._is_trying or self._clock() < self._open_until)

    @property
    def pause_left_s(self) -> float:
        """Seconds for which calls are still refused; 0 while it is closed."""
        return max(0.0, self._open_until - self._clock()) if self._failures >= self._max_failures else 0.0

    def enter(self) -> bool:
        """Return True if a call may be made. The caller then reports its end by `succeeded` or `failed`."""
        if self.is_open:
            return False
        self._is_trying = self._failures >= self._max_failures
        return True

    def succeeded(self) -> None:
        """Close it."""
        self._failures, self._pause_s, self._is_trying = 0, self._first_pause_s, False

    def failed(self, retry_after_s: float | None = None) -> None:
        """
        Count a failure. A server may ask for a longer pause by `retry_after_s`, up to `max_pause_s`.

        Of several calls in flight the first failures open it, and the others don't lengthen the pause.
        """
        if self._failures >= self._max_failures and not self._is_trying:
            return
        self._failures += 1
        self._is_trying = False
        if self._failures >= self._max_failures:
            pause_s = min(self._max_pause_s, max(self._pause_s, retry_after_s or 0.0))
            self._open_until = self._clock() + pause_s
            self._pause_s = min(self._max_pause_s, self._pause_s * 2)


_MAX_ANSWER_BYTES = 1_000_000
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 20.0
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
# The server does not understand this dialect.
_MISUNDERSTOOD = frozenset({400, 404, 415, 422})
# About the key, the address or the server's state, whatever the request; any other 4xx is about the request.
_ABOUT_EVERY_REQUEST = frozenset({401, 402, 404, 405, 407, 408, 410, 425, 429})
# After an answer, so many requests in a row may be forbidden before that is taken to be about the key.
_FORBIDDEN = 403
_MAX_FORBIDDEN = 3
# So many answers in a row that can't be read: a plainer dialect is tried, and after the plainest the judge rests.
_MAX_UNREADABLE = 3
_UNREADABLE_PAUSE_S = 300.0
# Sent before the server does any work. Another 5xx, or no answer at all, may be charged.
_UNCHARGED = frozenset({503, 529})

CallOutcome = Literal["answered", "no_answer", "refused", "failed", "skipped"]


@dataclass(frozen=True)
class LlmCall:
    """
    The result of a question.

    answered: at least one answer is valid; no_answer: none is; refused: the server does not accept this request;
    failed: no answer after all attempts; skipped: not sent, because the circuit breaker is open. `reason` says why
    there is no answer in our words, and never quotes the server.
    """

    outcome: CallOutcome
    reason: str = ""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Attempt:
    """One HTTP exchange: status 0 without a response. `was_sent` is True if the server may have read the request."""

    status: int
    body: bytes = b""
    retry_after_s: float | None = None
    was_sent: bool = True
    fault: str = ""
    dialect: int = 0

    @property
    def reason(self) -> str:
        """The reason why there is no answer."""
        return self.fault or f"HTTP {self.status}"

    @property
    def is_passing(self) -> bool:
        """True if another attempt may succeed."""
        return self.status == 0 or self.status in _RETRIED

    @property
    def may_have_cost(self) -> bool:
        """True if the server may charge for it without having answered."""
        if self.status == 0:
            return self.was_sent
        return self.status == 408 or (self.status >= 500 and self.status not in _UNCHARGED)


@dataclass
class _Spent:
    """The most tokens that attempts without an answer may have cost."""

    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, question: Question) -> None:
        """Add one attempt."""
        self.tokens_in += question.max_prompt_tokens
        self.tokens_out += question.max_answer_tokens


class LlmClient:
    """
    Ask questions, several at once. Nothing that a server does raises, and no text that anybody wrote is logged.

    The dialect that a server understands is found out once and remembered; after answers that can't be read a plainer
    one is tried. While the server does not answer, or answers nothing readable in any dialect, its circuit breaker is
    open and questions are skipped.
    """

    def __init__(self, settings: LlmSettings, circuit: CircuitBreaker | None = None) -> None:
        self._settings = settings
        self.circuit = circuit or CircuitBreaker()
        self._dialect = 0
        self._forbidden_left = 0
        self._unreadable = 0

    def ask(self, questions: Sequence[Question], attempts: Sequence[int] | None = None) -> list[LlmCall]:
        """
        Return the result of each question. Blocking; at most `concurrency` of them are in flight.

        `attempts` limits how often each may be sent, in place of the setting. The server's charge for one attempt is
        within the question's `max_prompt_tokens` and `max_answer_tokens`.
        """
        return asyncio.run(self._ask(questions, attempts or [self._settings.attempts] * len(questions)))

    async def _ask(self, questions: Sequence[Question], attempts: Sequence[int]) -> list[LlmCall]:
        slots = asyncio.Semaphore(self._settings.concurrency)
        limits = httpx.Limits(max_connections=self._settings.concurrency)
        async with httpx.AsyncClient(headers=self._headers(), limits=limits) as client:
            pairs = zip(questions, attempts, strict=True)
            return await asyncio.gather(*(self._call(client, slots, *pair) for pair in pairs))

    def _headers(self) -> dict[str, str]:
        authorization = {"Authorization": f"Bearer {self._settings.api_key}"} if self._settings.api_key else {}
        # No compression: a small answer can't become a large one.
        fixed = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "phospho-judge"}
        return fixed | authorization

    async def _call(
        self, client: httpx.AsyncClient, slots: asyncio.Semaphore, question: Question, max_attempts: int
    ) -> LlmCall:
        async with slots:
            if not self.circuit.enter():
                return LlmCall("skipped")
            begun_s = time.monotonic()
            spent = _Spent()
            attempt = await self._last_attempt(client, question, max_attempts, spent)
            call = self._result(question, attempt)
            return replace(
                call,
                tokens_in=call.tokens_in + spent.tokens_in,
                tokens_out=call.tokens_out + spent.tokens_out,
                seconds=time.monotonic() - begun_s,
            )

    def _result(self, question: Question, attempt: _Attempt) -> LlmCall:
        if attempt.status == 200:
            self._forbidden_left = _MAX_FORBIDDEN
            call = _answered(question, attempt.body)
            self._count_answer(call, attempt.dialect)
            return call
        if self._is_about_request(attempt.status):
            self.circuit.succeeded()
            return LlmCall("refused", attempt.reason)
        self.circuit.failed(attempt.retry_after_s)
        return LlmCall("failed", attempt.reason)

    def _count_answer(self, call: LlmCall, dialect: int) -> None:
        """Note whether an answer can be read; after some in a row that can't, take a plainer dialect, or rest."""
        if call.outcome == "answered":
            self._unreadable = 0
            self.circuit.succeeded()
            return
        plainer = plainer_dialect(dialect)
        if plainer is None:
            self.circuit.failed(_UNREADABLE_PAUSE_S)
            return
        self.circuit.succeeded()
        # Questions are asked at the same time: answers in an earlier dialect don't count.
        self._unreadable += dialect == self._dialect
        if self._unreadable >= _MAX_UNREADABLE:
            self._dialect, self._unreadable = plainer, 0

    def _is_about_request(self, status: int) -> bool:
        """Return True if the server refuses this request, rather than any request."""
        if status == _FORBIDDEN:
            # A content filter, where other requests are answered; otherwise a key without permissions.
            self._forbidden_left -= 1
            return self._forbidden_left >= 0
        return 400 <= status < 500 and status not in _ABOUT_EVERY_REQUEST

    async def _last_attempt(
        self, client: httpx.AsyncClient, question: Question, max_attempts: int, spent: _Spent
    ) -> _Attempt:
        """Return the last attempt, and add to `spent` the possible cost of attempts without an answer."""
        tries, dialect = 0, self._dialect
        while True:
            attempt = await self._attempt(client, question, dialect)
            if attempt.status == 200:
                # An answer in an earlier dialect, which another question was given meanwhile, changes nothing.
                self._dialect = max(self._dialect, dialect)
                return replace(attempt, dialect=dialect)
            if attempt.status in _MISUNDERSTOOD and dialect + 1 < len(DIALECTS):
                dialect += 1
                continue
            if attempt.may_have_cost:
                spent.add(question)
            tries += 1
            if tries >= max_attempts or not attempt.is_passing or self.circuit.is_open:
                return attempt
            await asyncio.sleep(_backoff_s(tries, attempt.retry_after_s))

    async def _attempt(self, client: httpx.AsyncClient, question: Question, dialect: int) -> _Attempt:
        body = request_body(self._settings.model, question, DIALECTS[dialect])
        url = f"{self._settings.base_url}/chat/completions"
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                async with client.stream("POST", url, content=body, timeout=self._settings.timeout_s) as response:
                    return _Attempt(response.status_code, await _limited_body(response), _retry_after_s(response))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL, httpx.UnsupportedProtocol):
            return _Attempt(0, was_sent=False, fault="nobody answers at its address")
        except (httpx.TimeoutException, TimeoutError):
            return _Attempt(0, fault=f"no answer within {self._settings.timeout_s:g} s")
        except httpx.HTTPError:
            return _Attempt(0, fault="the connection ended before the answer did")


async def _limited_body(response: httpx.Response) -> bytes:
    """Return the body, or nothing of one that is larger than any valid answer."""
    body = b""
    async for part in response.aiter_raw():
        body += part
        if len(body) > _MAX_ANSWER_BYTES:
            return b""
    return body


def _retry_after_s(response: httpx.Response) -> float | None:
    """Return the seconds of a Retry-After header; a date, which the standard allows too, is ignored."""
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _backoff_s(tries: int, retry_after_s: float | None) -> float:
    backoff_s = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2.0 ** (tries - 1))
    return max(backoff_s * random.uniform(0.5, 1.0), min(_MAX_BACKOFF_S, retry_after_s or 0.0))


def _answered(question: Question, body: bytes) -> LlmCall:
    text = completion_text(body)
    answers = question.answers(text)
    usage = usage_of(question, body, text)
    call = LlmCall("answered", answers=answers) if answers else LlmCall("no_answer", unreadable_reason(text))
    return replace(call, tokens_in=usage.prompt_tokens, tokens_out=usage.completion_tokens)
