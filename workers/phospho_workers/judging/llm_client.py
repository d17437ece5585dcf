"""A client of OpenAI's chat API, at any base URL: bounded in time, bytes, attempts and calls at once."""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from phospho_workers.judging.circuit_breaker import Circuit
from phospho_workers.judging.questions import Answer, Question
from phospho_workers.judging.settings import LlmSettings

_MAX_ANSWER_BYTES = 1_000_000
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 20.0
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
# What a server says of a request that it does not take as it is.
_MISUNDERSTOOD = frozenset({400, 404, 415, 422})
# What it says of the key, the address or its own state, whatever the request; any other 4xx is about the request.
_OF_ALL = frozenset({401, 402, 404, 405, 407, 408, 410, 425, 429})
# A server that has answered may forbid so many requests in a row before that is taken to be about the key.
_FORBIDDEN = 403
_MAX_FORBIDDEN = 3
# It says so before it does any work; what ends in another 5xx, or without an answer, may be charged.
_UNCHARGED = frozenset({503, 529})
# English; only for servers that do not count for themselves.
_BYTES_PER_TOKEN = 3

CallEnd = Literal["answered", "no_answer", "refused", "failed", "skipped"]


class _Reply(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Reply


class _Usage(BaseModel):
    prompt_tokens: Annotated[int, Field(ge=0, le=10_000_000)]
    completion_tokens: Annotated[int, Field(ge=0, le=10_000_000)]


class _Completion(BaseModel):
    choices: Annotated[list[_Choice], Field(min_length=1)]


_COMPLETION = TypeAdapter(_Completion)
_USAGE = TypeAdapter(_Usage)


@dataclass(frozen=True)
class Call:
    """
    What became of a question.

    answered: at least one answer can be read; no_answer: none can; refused: the server does not take this very
    request; failed: no answer, after all attempts; skipped: not asked, since the circuit is open. `reason` says why
    there is no answer, in our words: never in the server's.
    """

    outcome: CallEnd
    reason: str = ""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Attempt:
    """One HTTP exchange: status 0 where there was none. `was_sent` where the server may have read the request."""

    status: int
    body: bytes = b""
    retry_after_s: float | None = None
    was_sent: bool = True
    fault: str = ""

    @property
    def reason(self) -> str:
        """Why there is no answer."""
        return self.fault or f"HTTP {self.status}"

    @property
    def may_have_cost(self) -> bool:
        """Whether the server may charge for it without having answered."""
        if self.status == 0:
            return self.was_sent
        return self.status == 408 or (self.status >= 500 and self.status not in _UNCHARGED)


@dataclass
class _Spent:
    """The most that attempts without an answer may have cost."""

    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, question: Question) -> None:
        """Add one more attempt."""
        self.tokens_in += question.max_prompt_tokens
        self.tokens_out += question.max_answer_tokens


class Chat:
    """
    Asks questions, several at once; never raises for what a server does, and never logs what anybody wrote.

    What a server understands (a JSON Schema for the answer, the name of the bound) is found out once and remembered.
    Its circuit is open while the server does not answer; what is asked meanwhile is skipped.
    """

    def __init__(self, settings: LlmSettings, circuit: Circuit | None = None) -> None:
        self._settings = settings
        self.circuit = circuit or Circuit()
        self._dialect = 0
        self._forbidden_left = 0

    def ask(self, questions: Sequence[Question], attempts: Sequence[int] | None = None) -> list[Call]:
        """
        Return what became of each question. Blocking; `concurrency` of them are under way at once.

        `attempts` says how often each may be sent to be answered; as often as the settings say, unless given. What a
        server charges for each of them is within the question's `max_prompt_tokens` and `max_answer_tokens`.
        """
        return asyncio.run(self._ask(questions, attempts or [self._settings.attempts] * len(questions)))

    async def _ask(self, questions: Sequence[Question], attempts: Sequence[int]) -> list[Call]:
        slots = asyncio.Semaphore(self._settings.concurrency)
        limits = httpx.Limits(max_connections=self._settings.concurrency)
        async with httpx.AsyncClient(headers=self._headers(), limits=limits) as client:
            pairs = zip(questions, attempts, strict=True)
            return await asyncio.gather(*(self._one(client, slots, *pair) for pair in pairs))

    def _headers(self) -> dict[str, str]:
        named = {"Authorization": f"Bearer {self._settings.api_key}"} if self._settings.api_key else {}
        # Nothing is inflated: a small answer can't become a large one.
        fixed = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "phospho-judge"}
        return fixed | named

    async def _one(self, client: httpx.AsyncClient, slots: asyncio.Semaphore, question: Question, most: int) -> Call:
        async with slots:
            if not self.circuit.enter():
                return Call("skipped")
            begun_s = time.monotonic()
            spent = _Spent()
            attempt = await self._answered(client, question, most, spent)
            call = self._ended(question, attempt)
            return replace(
                call,
                tokens_in=call.tokens_in + spent.tokens_in,
                tokens_out=call.tokens_out + spent.tokens_out,
                seconds=time.monotonic() - begun_s,
            )

    def _ended(self, question: Question, attempt: _Attempt) -> Call:
        if attempt.status == 200:
            self._forbidden_left = _MAX_FORBIDDEN
            self.circuit.succeeded()
            return _read(question, attempt.body)
        if self._is_of_request(attempt.status):
            self.circuit.succeeded()
            return Call("refused", attempt.reason)
        self.circuit.failed(attempt.retry_after_s)
        return Call("failed", attempt.reason)

    def _is_of_request(self, status: int) -> bool:
        """Tell whether it is this request that a server does not take, rather than any."""
        if status == _FORBIDDEN:
            # A filter of contents, where others are answered; else a key that opens nothing.
            self._forbidden_left -= 1
            return self._forbidden_left >= 0
        return 400 <= status < 500 and status not in _OF_ALL

    async def _answered(self, client: httpx.AsyncClient, question: Question, most: int, spent: _Spent) -> _Attempt:
        """Return the last attempt, having added to `spent` what those without an answer may have cost."""
        tries, dialect = 0, self._dialect
        while True:
            attempt = await self._attempt(client, question, dialect)
            if attempt.status == 200:
                self._dialect = dialect
                return attempt
            if attempt.status in _MISUNDERSTOOD and dialect + 1 < len(_DIALECTS):
                dialect += 1
                continue
            if attempt.may_have_cost:
                spent.add(question)
            tries += 1
            if tries >= most or not _is_passing(attempt) or self.circuit.is_open:
                return attempt
            await asyncio.sleep(_backoff_s(tries, attempt.retry_after_s))

    async def _attempt(self, client: httpx.AsyncClient, question: Question, dialect: int) -> _Attempt:
        body = json.dumps(_body(self._settings.model, question, _DIALECTS[dialect])).encode()
        url = f"{self._settings.base_url}/chat/completions"
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                async with client.stream("POST", url, content=body, timeout=self._settings.timeout_s) as response:
                    return _Attempt(response.status_code, await _bounded(response), _retry_after_s(response))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL, httpx.UnsupportedProtocol):
            return _Attempt(0, was_sent=False, fault="nobody answers at its address")
        except (httpx.TimeoutException, TimeoutError):
            return _Attempt(0, fault=f"no answer within {self._settings.timeout_s:g} s")
        except httpx.HTTPError:
            return _Attempt(0, fault="the connection ended before the answer did")


@dataclass(frozen=True)
class _Dialect:
    """What a request says beside the model and the messages."""

    has_schema: bool = False
    has_json_mode: bool = False
    bound: str = "max_tokens"
    temperature: float | None = 0.0


# The strictest first: OpenAI and vLLM, OpenAI's models that reason, older servers, the least that any server takes.
_DIALECTS = (
    _Dialect(has_schema=True),
    _Dialect(has_schema=True, bound="max_completion_tokens", temperature=None),
    _Dialect(has_json_mode=True),
    _Dialect(),
    _Dialect(temperature=None),
)


def _body(model: str, question: Question, dialect: _Dialect) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "messages": question.messages(),
        dialect.bound: question.max_answer_tokens,
    }
    if dialect.temperature is not None:
        body["temperature"] = dialect.temperature
    if dialect.has_schema:
        schema = {"name": "answers", "strict": True, "schema": question.schema()}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif dialect.has_json_mode:
        body["response_format"] = {"type": "json_object"}
    return body


async def _bounded(response: httpx.Response) -> bytes:
    """Return the body, or nothing of one that is larger than any answer: that can't be read as one."""
    body = b""
    async for part in response.aiter_raw():
        body += part
        if len(body) > _MAX_ANSWER_BYTES:
            return b""
    return body


def _is_passing(attempt: _Attempt) -> bool:
    return attempt.status == 0 or attempt.status in _RETRIED


def _retry_after_s(response: httpx.Response) -> float | None:
    """Return the seconds that a server asks for; a date, as the standard allows too, is left to the backoff."""
    try:
        asked = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return asked if math.isfinite(asked) and asked >= 0 else None


def _backoff_s(tries: int, retry_after_s: float | None) -> float:
    backoff_s = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2.0 ** (tries - 1))
    return max(backoff_s * random.uniform(0.5, 1.0), min(_MAX_BACKOFF_S, retry_after_s or 0.0))


def _read(question: Question, body: bytes) -> Call:
    content = _content(body)
    answers = question.answers(content)
    usage = _usage(question, body, content)
    if answers:
        return Call("answered", "", answers, usage.prompt_tokens, usage.completion_tokens)
    return Call("no_answer", "its answer can't be read", {}, usage.prompt_tokens, usage.completion_tokens)


def _content(body: bytes) -> str:
    try:
        return _COMPLETION.validate_json(body).choices[0].message.content
    except ValidationError:
        return ""


def _usage(question: Question, body: bytes, content: str) -> _Usage:
    """Return what the server counted; where it did not, an estimate, or the most there can be where it says nothing."""
    with suppress(ValueError, LookupError, TypeError, RecursionError):
        return _USAGE.validate_python(json.loads(body)["usage"])
    if not content:
        return _Usage(prompt_tokens=question.max_prompt_tokens, completion_tokens=question.max_answer_tokens)
    prompt_tokens = question.max_prompt_tokens // _BYTES_PER_TOKEN
    return _Usage(prompt_tokens=prompt_tokens, completion_tokens=len(content.encode()) // _BYTES_PER_TOKEN)
