"""Sessions of the demo's app: who speaks, which version answers, what goes wrong, and what the user says of it."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from phospho_cli.demo.script import COMMENTS, FRUSTRATED, KINDS, WORDS, Kind, Turn

_USERS = 400
_CLOSES = 0.6
_FRUSTRATED = 0.45
_MIDDLE_TURNS = (0, 1, 1, 2, 2, 3, 4)
_GAP = re.compile(r"\{(\w+)\}")
# The subject that grows, from this point of the past on, to so many times its share.
_GROWING = "sign_in"
_GROWS_FROM = 0.65
_GROWTH = 9.0


@dataclass(frozen=True)
class _Release:
    """A version of the app: its model, how often it fails, and from which point of the past it answers."""

    version_id: str
    starts: float
    model: str
    failure_rate: float
    first_token_ms: float
    token_ms: float


# The third one regresses: it fails three times as often as the second.
_RELEASES = (
    _Release("v1.4", 0.0, "gpt-4o-mini", failure_rate=0.12, first_token_ms=420.0, token_ms=11.0),
    _Release("v1.5", 0.35, "gpt-4o", failure_rate=0.07, first_token_ms=650.0, token_ms=19.0),
    _Release("v1.6", 0.75, "gpt-4o-mini", failure_rate=0.23, first_token_ms=400.0, token_ms=10.0),
)
# A new version gets this share of the sessions at first, and nearly all of them after its rollout.
_CANARY_SHARE = 0.2
_ROLLED_OUT_SHARE = 0.9
_ROLLOUT = 0.07


@dataclass(frozen=True)
class Feedback:
    """An end user's feedback on a task, at `at_s` on the same clock as the task."""

    at_s: float
    task_id: str
    body: dict[str, Any]


@dataclass(frozen=True)
class DemoTask:
    """A task at `at_s`, whose event has no time yet, and the feedback on it. `is_first` opens its session."""

    at_s: float
    event: dict[str, Any]
    feedback: Feedback | None
    is_first: bool


@dataclass
class Session:
    """A conversation under way; `turns` are those to come."""

    session_id: str
    kind: str
    user_id: str
    release: _Release
    turns: list[Turn]
    words: dict[str, str] = field(default_factory=dict)
    turns_sent: int = 0
    context_tokens: int = 0


class Conversations:
    """Makes sessions and their tasks. The same source of chance gives the same ones; `prefix` begins their ids."""

    def __init__(self, source: random.Random, prefix: str) -> None:
        self._random = source
        self._prefix = prefix
        self._sessions = 0

    def session(self, point: float = 1.0) -> Session:
        """Return a new session at a point of the past, from 0 at its beginning to 1, which is now."""
        self._sessions += 1
        kind = self._random.choices(KINDS, [_weight(kind, point) for kind in KINDS])[0]
        turns = self._random.sample(kind.middle, min(len(kind.middle), self._random.choice(_MIDDLE_TURNS)))
        middle = sorted(turns, key=kind.middle.index)
        closing = [self._random.choice(kind.closing)] if kind.closing and self._random.random() < _CLOSES else []
        return Session(
            session_id=f"{self._prefix}-{self._sessions:05d}",
            kind=kind.name,
            # Some users come back often, most of them once or twice.
            user_id=f"user-{1 + int(_USERS * self._random.random() ** 1.3):04d}",
            release=self._release(point),
            turns=[self._random.choice(kind.opening), *middle, *closing],
        )

    def task(self, at_s: float, session: Session) -> DemoTask:
        """Return the session's next task. After a failure the user may ask for a human, and leave."""
        turn = session.turns.pop(0)
        is_failure = bool(turn.failures) and self._random.random() < session.release.failure_rate
        question = self._filled(turn.asks, session)
        answer = self._filled(turn.failures if is_failure else turn.answers, session)
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
        if is_failure and turn is not FRUSTRATED and self._random.random() < _FRUSTRATED:
            # The conversation goes on elsewhere.
            session.turns[:] = [FRUSTRATED]
        feedback = self._feedback(at_s, str(event["task_id"]), is_failure)
        return DemoTask(at_s, event, feedback, is_first=session.turns_sent == 1)

    def _release(self, point: float) -> _Release:
        """Return the release that answers: the latest one, or the one before it while it rolls out."""
        before, latest = _latest_two(point)
        share = _CANARY_SHARE if point < latest.starts + _ROLLOUT else _ROLLED_OUT_SHARE
        return latest if before is None or self._random.random() < share else before

    def _metadata(self, session: Session, question: str, answer: str) -> dict[str, Any]:
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

    def _filled(self, texts: Sequence[str], session: Session) -> str:
        """Return one of the texts with its gaps filled; a session keeps to the words that it once used."""

        def word(gap: re.Match[str]) -> str:
            if gap[1] not in session.words:
                session.words[gap[1]] = self._word(gap[1])
            return session.words[gap[1]]

        text = self._random.choice(texts)
        filled = _GAP.sub(word, text)
        return filled[:1].upper() + filled[1:] if text.startswith("{") else filled

    def _word(self, gap: str) -> str:
        return f"BK-{self._random.randrange(10_000, 100_000)}" if gap == "booking" else self._random.choice(WORDS[gap])


def _weight(kind: Kind, point: float) -> float:
    if kind.name != _GROWING or point <= _GROWS_FROM:
        return kind.weight
    return float(kind.weight * _GROWTH ** ((point - _GROWS_FROM) / (1 - _GROWS_FROM)))


def _latest_two(point: float) -> tuple[_Release | None, _Release]:
    """Return the release that came out last before a point of the past, and the one before it."""
    released = [release for release in _RELEASES if release.starts <= point]
    return (released[-2] if len(released) > 1 else None), released[-1]


def _tokens(text: str) -> int:
    """Return about how many tokens a model counts: four characters each."""
    return max(1, round(len(text) / 4))
