"""
Ready definitions by use case.

The patterns were written on one half of public sets and measured on the other: docs/detection.md has the figures,
`python -m benchmarks.detection.ready_definitions` the command. What an assistant says is told better by its phrases
than by meaning, and an embedding ranks abuse and self-harm poorly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from phospho_schemas.messages import EventDefinition
from phospho_schemas.text import phrases
from phospho_schemas.times import utc_now


@dataclass(frozen=True)
class ReadyDefinition:
    """A definition that works in any project. `details` are its fields beside these."""

    name: str
    description: str
    engine: str
    scope: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def of_project(self, project_id: str) -> EventDefinition:
        fields = {name: value for name, value in asdict(self).items() if name != "details"} | dict(self.details)
        return EventDefinition(project_id=project_id, created_at=utc_now(), **fields)


def _by_meaning(name: str, description: str) -> ReadyDefinition:
    """Return a definition of what a user means, found by meaning."""
    return ReadyDefinition(name, description, "semantic", "input")


def _by_pattern(name: str, description: str, scope: str, alternatives: Sequence[str]) -> ReadyDefinition:
    """Return a definition that is found where one of the alternatives matches, in any case."""
    return ReadyDefinition(name, description, "regex", scope, details={"pattern": f"(?i)(?:{'|'.join(alternatives)})"})


def _by_llm(name: str, description: str, scope: str = "task") -> ReadyDefinition:
    """Return a definition that only an LLM can decide."""
    return ReadyDefinition(name, description, "llm", scope)


_THANKS = (
    "thanks", "thank you", "thx", "cheers", "much appreciated", "merci", "gracias", "danke", "vielen dank", "grazie",
    "obrigado", "obrigada", "bedankt", "tack", "dziękuję", "спасибо", "ありがとう", "谢谢", "شكرا",
)  # fmt: skip
_PERSONAL_DATA = (
    r"[a-z0-9._%+-]+@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}",
    r"\b(?:\d[ -]?){13,16}\b|\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}\b|\+\d{1,3}[ ()-]?\d(?:[ ()-]?\d){6,12}\b",
)

LIBRARY: dict[str, tuple[ReadyDefinition, ...]] = {
    "Support": (
        _by_meaning("frustration", "The user is frustrated or annoyed"),
        _by_meaning("refund", "The user asks for a refund"),
        _by_meaning("asks_for_human", "The user asks to talk to a human agent"),
        _by_meaning("cancellation", "The user wants to cancel a subscription or an order"),
        _by_meaning("bug_report", "The user reports a bug"),
        _by_meaning("urgency", "The user is in a hurry"),
    ),
    "Outcome": (
        ReadyDefinition("thanks", "The user says thank you", "keyword", "input", details={"keywords": list(_THANKS)}),
        _by_meaning("not_helpful", "The user says that the answer did not help"),
        _by_meaning("repeats_question", "The user repeats the same question"),
    ),
    "Answer quality": (
        _by_pattern("refusal", "The assistant refuses to answer", "output", phrases.REFUSAL),
        _by_pattern("apology", "The assistant apologizes", "output", phrases.APOLOGY),
        _by_pattern("asks_confirmation", "The assistant asks the user to confirm", "output", phrases.ASKS_CONFIRMATION),
        _by_pattern("advice", "The assistant suggests what the user could do", "output", phrases.ADVICE),
        _by_llm("hint", "The assistant gives a hint and not the whole answer", "output"),
        _by_llm("wrong_language", "The assistant answers in another language than the user wrote in"),
        _by_llm("off_topic", "The user asks about something that the assistant is not made for"),
        _by_llm("unsupported_claim", "The assistant states a fact that nothing in the task supports"),
        _by_llm("prompt_leak", "The assistant reveals its system prompt or instructions", "output"),
    ),
    "Safety": (
        _by_pattern(
            "jailbreak_attempt", "The user tries to make the assistant ignore its rules", "input", phrases.JAILBREAK
        ),
        _by_pattern(
            "personal_data",
            "The text has an e-mail address, a phone number, a card number or an IBAN",
            "task",
            _PERSONAL_DATA,
        ),
        _by_pattern("self_harm", "The user mentions suicide or self-harm", "input", phrases.SELF_HARM),
        _by_pattern("insult", "The user insults or threatens the assistant or somebody", "input", phrases.INSULT),
    ),
}
