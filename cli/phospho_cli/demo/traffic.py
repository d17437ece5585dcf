"""Generated traffic that looks like a real app's. The same seed gives the same tasks at the same moments."""

from __future__ import annotations

import heapq
import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from phospho_cli.demo.script import COMMENTS, FRUSTRATED, KINDS, WORDS, Turn

_USERS = 60
# A day of ups and downs in ten minutes, so that a chart shows one soon.
_WAVE_PERIOD_S = 600.0
_WAVE_HEIGHT = 0.6
_CONTINUES = 0.85
_MAX_OPEN_SESSIONS = 10_000
_CLOSES = 0.7
_GAP = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class _Release:
    """A version of the app: how much of the traffic it gets, its model, and how often it fails."""

    version_id: str
    weight: float
    model: str
    failure_rate: float
    first_token_ms: float
    token_ms: float


_RELEASES = (
    _Release("v1", 0.15, "gpt-4o-mini", failure_rate=0.16, first_token_ms=420.0, token_ms=11.0),
    _Release("v2", 0.60, "gpt-4o-mini", failure_rate=0.09, first_token_ms=400.0, token_ms=10.0),
    _Release("v3", 0.25, "gpt-4o", failure_rate=0.05, first_token_ms=650.0, token_ms=19.0),
)


@dataclass(frozen=True)
class Feedback:
    """A person's feedback on a task, `at_s` seconds after the start."""

    at_s: float
    task_id: str
    body: dict[str, Any]


@dataclass(frozen=True)
class DemoTask:
    """A task `at_s` seconds after the start, without its time of day, and what a person will say of it."""

    at_s: float
    event: dict[str, Any]
    feedback: Feedback | None


@dataclass
class _Session:
    session_id: str
    kind: str
    user_id: str
    release: _Release
    turns: list[Turn]
    words: dict[str, str] = field(default_factory=dict)
    turns_sent: int = 0
    context_tokens: int = 0


class DemoTraffic:
    """
    An endless stream of tasks, in order of time: Poisson arrivals of `rate` tasks a second on average.

    Sessions overlap; a person takes some seconds to read an answer, and asks for a human after a bad one.
    """

    def __init__(self, seed: int, rate: float) -> None:
        self._random = random.Random(seed)
        self._run = f"{seed:08x}"
        self._rate = rate
        self._sessions = 0
        # (moment of the next turn, a number that breaks ties, session)
        self._open: list[tuple[float, int, _Session]] = []

    def __iter__(self) -> Iterator[DemoTask]:
        at_s = 0.0
        while True:
            wave = 1 + _WAVE_HEIGHT * math.sin(2 * math.pi * at_s / _WAVE_PERIOD_S)
            at_s += self._random.expovariate(self._rate * wave)
            yield self._task(at_s, self._session(at_s))

    def _session(self, at_s: float) -> _Session:
        """Return the session that speaks next: mostly one that waits, else a new one."""
        is_ready = bool(self._open) and self._open[0][0] <= at_s
        if (is_ready and self._random.random() < _CONTINUES) or len(self._open) >= _MAX_OPEN_SESSIONS:
            return heapq.heappop(self._open)[2]
        self._sessions += 1
        kind = self._random.choices(KINDS, [kind.weight for kind in KINDS])[0]
        middle = self._random.choices(kind.middle, k=self._random.choice((0, 1, 2, 2, 3, 4)))
        closing = [self._random.choice(kind.closing)] if self._random.random() < _CLOSES else []
        return _Session(
            session_id=f"demo-{self._run}-{self._sessions:05d}",
            kind=kind.name,
            user_id=f"user-{self._random.randrange(_USERS):03d}",
            release=self._random.choices(_RELEASES, [release.weight for release in _RELEASES])[0],
            turns=[self._random.choice(kind.opening), *dict.fromkeys(middle), *closing],
        )

    def _task(self, at_s: float, session: _Session) -> DemoTask:
        turn = session.turns.pop(0)
        is_failure = bool(turn.failures) and self._random.random() < session.release.failure_rate
        question = self._filled(self._random.choice(turn.asks), session)
        answer = self._filled(self._random.choice(turn.failures if is_failure else turn.answers), session)
        session.turns_sent += 1
        event = {
            "session_id": session.session_id,
            "task_id": f"{session.session_id}-{session.turns_sent:02d}",
            "user_id": session.user_id,
            "version_id": session.release.version_id,
            "input": question,
            "output": answer,
            "metadata": self._metadata(session, question, answer),
        }
        if is_failure and self._random.random() < 0.5:
            session.turns.insert(0, FRUSTRATED)
        self._keep_open(at_s, session)
        return DemoTask(at_s, event, self._feedback(at_s, str(event["task_id"]), is_failure))

    def _keep_open(self, at_s: float, session: _Session) -> None:
        if session.turns:
            next_at_s = at_s + 2 + self._random.lognormvariate(1.4, 0.6)
            heapq.heappush(self._open, (next_at_s, self._random.getrandbits(32) << 32 | self._sessions, session))

    def _metadata(self, session: _Session, question: str, answer: str) -> dict[str, Any]:
        """Return model, tokens and latency; the prompt grows with the conversation, as a chat's does."""
        tokens_out = _tokens(answer)
        session.context_tokens += _tokens(question)
        tokens_in, session.context_tokens = session.context_tokens, session.context_tokens + tokens_out
        release = session.release
        latency_ms = release.first_token_ms * self._random.lognormvariate(0, 0.35) + release.token_ms * tokens_out
        # One call in fifty waits for the model's provider.
        latency_ms *= self._random.uniform(4, 9) if self._random.random() < 0.02 else 1
        return {
            "model": release.model,
            "tokens_in": tokens_in,
            "tokens_out": tokens_out,
            "latency_ms": round(latency_ms),
            "kind": session.kind,
        }

    def _feedback(self, at_s: float, task_id: str, is_failure: bool) -> Feedback | None:
        if self._random.random() >= (0.3 if is_failure else 0.06):
            return None
        score = int(self._random.random() < (0.05 if is_failure else 0.85))
        body: dict[str, Any] = {"score": score}
        if self._random.random() < 0.3:
            body["comment"] = self._random.choice(COMMENTS[score])
        return Feedback(at_s + self._random.uniform(1, 10), task_id, body)

    def _filled(self, text: str, session: _Session) -> str:
        """Fill the gaps of a sentence; a session keeps to the words that it once used."""

        def word(gap: re.Match[str]) -> str:
            name = gap[1]
            if name not in session.words:
                session.words[name] = self._random.choice(WORDS[name])
            return session.words[name]

        filled = _GAP.sub(word, text)
        return filled[:1].upper() + filled[1:] if text.startswith("{") else filled


def _tokens(text: str) -> int:
    """Return about how many tokens a model counts: four characters each."""
    return max(1, round(len(text) / 4))
