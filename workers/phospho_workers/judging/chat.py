"""A client of OpenAI's chat API, at any base URL: bounded in time, bytes, attempts and calls at once."""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from phospho_workers.judging.circuit import Circuit
from phospho_workers.judging.questions import Answer, Question
from phospho_workers.judging.settings import LlmSettings

_MAX_ANSWER_BYTES = 1_000_000
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 20.0
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
# What a server says of a request that it does not take as it is.
_MISUNDERSTOOD = frozenset({400, 404, 415, 422})
# English; only for servers that do not count for themselves.
_BYTES_PER_TOKEN = 3

CallEnd = Literal["answered", "no_verdict", "refused", "failed", "skipped"]


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

    answered: at least one verdict can be read; no_verdict: none can; refused: the server does not take this very
    request; failed: no answer, after all attempts; skipped: not asked, since the circuit is open.
    """

    outcome: CallEnd
    answers: Mapping[str, Answer] = field(default_factory=dict)
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Attempt:
    """One HTTP exchange: status 0 where there was none. `was_sent` where the server may have worked for it."""

    status: int
    body: bytes = b""
    retry_after_s: float | None = None
    was_sent: bool = True


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

    def ask(self, questions: Sequence[Question]) -> list[Call]:
        """Return what became of each question. Blocking; `concurrency` of them are under way at once."""
        return asyncio.run(self._ask(questions))

    async def _ask(self, questions: Sequence[Question]) -> list[Call]:
        slots = asyncio.Semaphore(self._settings.concurrency)
        limits = httpx.Limits(max_connections=self._settings.concurrency)
        async with httpx.AsyncClient(headers=self._headers(), limits=limits) as client:
            return await asyncio.gather(*(self._one(client, slots, question) for question in questions))

    def _headers(self) -> dict[str, str]:
        named = {"Authorization": f"Bearer {self._settings.api_key}"} if self._settings.api_key else {}
        # Nothing is inflated: a small answer can't become a large one.
        fixed = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "phospho-judge"}
        return fixed | named

    async def _one(self, client: httpx.AsyncClient, slots: asyncio.Semaphore, question: Question) -> Call:
        async with slots:
            if not self.circuit.enter():
                return Call("skipped")
            begun_s = time.monotonic()
            attempt, spent = await self._answered(client, question)
            return replace(self._ended(question, attempt, spent), seconds=time.monotonic() - begun_s)

    def _ended(self, question: Question, attempt: _Attempt, spent: int) -> Call:
        if attempt.status == 200:
            self.circuit.succeeded()
            return _read(question, attempt.body, spent)
        if attempt.status in _MISUNDERSTOOD - {404}:
            self.circuit.succeeded()
            return Call("refused", tokens_in=spent)
        self.circuit.failed(attempt.retry_after_s)
        return Call("failed", tokens_in=spent)

    async def _answered(self, client: httpx.AsyncClient, question: Question) -> tuple[_Attempt, int]:
        """Return the last attempt, and the tokens that attempts without an answer may have cost."""
        spent, tries = 0, 0
        dialect = self._dialect
        while True:
            attempt = await self._attempt(client, question, dialect)
            if attempt.status == 200:
                self._dialect = dialect
                return attempt, spent
            if attempt.status in _MISUNDERSTOOD and dialect + 1 < len(_DIALECTS):
                dialect += 1
                continue
            if attempt.status == 0 and attempt.was_sent:
                spent += question.max_prompt_tokens // _BYTES_PER_TOKEN
            tries += 1
            if tries >= self._settings.attempts or not _is_passing(attempt) or self.circuit.is_open:
                return attempt, spent
            await asyncio.sleep(_backoff_s(tries, attempt.retry_after_s))

    async def _attempt(self, client: httpx.AsyncClient, question: Question, dialect: int) -> _Attempt:
        body = json.dumps(_body(self._settings.model, question, _DIALECTS[dialect])).encode()
        url = f"{self._settings.base_url}/chat/completions"
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                async with client.stream("POST", url, content=body, timeout=self._settings.timeout_s) as response:
                    return _Attempt(response.status_code, await _bounded(response), _retry_after_s(response))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL, httpx.UnsupportedProtocol):
            return _Attempt(0, was_sent=False)
        except (httpx.HTTPError, TimeoutError):
            return _Attempt(0)


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
        schema = {"name": "verdicts", "strict": True, "schema": question.schema()}
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


def _read(question: Question, body: bytes, spent: int) -> Call:
    content = _content(body)
    answers = question.answers(content)
    usage = _usage(question, body, content)
    outcome: CallEnd = "answered" if answers else "no_verdict"
    return Call(outcome, answers, usage.prompt_tokens + spent, usage.completion_tokens)


def _content(body: bytes) -> str:
    try:
        return _COMPLETION.validate_json(body).choices[0].message.content
    except ValidationError:
        return ""


def _usage(question: Question, body: bytes, content: str) -> _Usage:
    """Return what the server counted, or an estimate where it did not."""
    try:
        return _USAGE.validate_python(json.loads(body)["usage"])
    except (ValueError, LookupError, TypeError, RecursionError):
        prompt_tokens = question.max_prompt_tokens // _BYTES_PER_TOKEN
        return _Usage(prompt_tokens=prompt_tokens, completion_tokens=len(content.encode()) // _BYTES_PER_TOKEN)
