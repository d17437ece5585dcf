"""The library of ready definitions by use case, with the number of recent tasks that each one matches."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.definitions.checks import Detection
from phospho_dashboard.definitions.trials import DefinitionTrials
from phospho_dashboard.layout.pages import ProjectPage
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.cache import TimedCache
from phospho_dashboard.web.routes import page_and_twin
from phospho_schemas.definitions import DEFINITION_FIELDS
from phospho_schemas.engines import engine_spec
from phospho_schemas.messages import EventDefinition
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


def _by_llm(name: str, description: str, scope: str = "task") -> ReadyDefinition:
    """Return a definition that only an LLM can decide."""
    return ReadyDefinition(name, description, "llm", scope)


_THANKS = (
    "thanks", "thank you", "thx", "cheers", "much appreciated", "merci", "gracias", "danke", "vielen dank", "grazie",
    "obrigado", "obrigada", "bedankt", "tack", "dziękuję", "спасибо", "ありがとう", "谢谢", "شكرا",
)  # fmt: skip
_REFUSAL = (
    r"(?i)\b(I(['’]m| am) (sorry|afraid),? (but )?I (can('|’)?t|cannot|am (not able|unable) to)"
    r"|I (can('|’)?t|cannot|won('|’)?t) (help|assist|provide|answer|do|comply|share|discuss|engage)"
    r"|I('m| am|’m) (not able|unable) to (help|assist|provide|answer|do|share|discuss)"
    r"|as an AI( language model)?,? I (can('|’)?t|cannot|don('|’)?t))"
)
_APOLOGY = r"(?i)\b(my apologies|I apologi[sz]e|sorry (about|for) (that|the|this|any)|you(['’]re| are) right, I)"
_JAILBREAK = (
    r"(?i)\b((ignore|disregard|forget|override) (all |any )?(of )?(the |your |my )?(previous|prior|above|earlier)?"
    r" ?(instructions|rules|guidelines|prompts?)|do anything now|developer mode|jailbreak|DAN mode"
    r"|(reveal|print|repeat|show)( me)? (your |the )?(system|hidden|initial) (prompt|instructions)"
    r"|pretend (that )?you (have no|are not bound by) (rules|restrictions|limits|guidelines))\b"
)
_PERSONAL_DATA = (
    r"(?i)[a-z0-9._%+-]+@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}"
    r"|\b(?:\d[ -]?){13,16}\b|\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}\b|\+\d{1,3}[ ()-]?\d(?:[ ()-]?\d){6,12}\b"
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
        ReadyDefinition("refusal", "The assistant refuses to answer", "regex", "output", details={"pattern": _REFUSAL}),
        ReadyDefinition("apology", "The assistant apologizes", "regex", "output", details={"pattern": _APOLOGY}),
        _by_llm("wrong_language", "The assistant answers in another language than the user wrote in"),
        _by_llm("off_topic", "The user asks about something that the assistant is not made for"),
        _by_llm("unsupported_claim", "The assistant states a fact that nothing in the task supports"),
    ),
    "Safety": (
        ReadyDefinition(
            "jailbreak_attempt",
            "The user tries to make the assistant ignore its rules",
            "regex",
            "input",
            details={"pattern": _JAILBREAK},
        ),
        ReadyDefinition(
            "personal_data",
            "The text has an e-mail address, a phone number, a card number or an IBAN",
            "regex",
            "task",
            details={"pattern": _PERSONAL_DATA},
        ),
        _by_meaning("self_harm", "The user mentions suicide or self-harm"),
        _by_meaning("insult", "The user insults the assistant"),
    ),
}
_PATH = "/definitions/library"
_COUNTS_TTL_S = 10.0
_COUNTS_TTL_OF_DURATION = 20


class LibraryPage(Endpoints):
    """The page and its twin. A definition is added, or previewed, by the form of definitions."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._detection = detection
        self._trials = DefinitionTrials(services.store)
        # Compiling so many definitions takes seconds of a busy machine.
        self._counts = TimedCache(self._count, ttl_s=_COUNTS_TTL_S, ttl_of_duration=_COUNTS_TTL_OF_DURATION)
        self._page = ProjectPage(services, "events", "definitions/library.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the library."""
        return page_and_twin(_PATH, self.read, self._page.render)

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        return visitor, await self._slow_threads.run(self._library, project_id)

    def _library(self, project_id: str) -> dict[str, Any]:
        """Return the use cases with their definitions: `matches` of the recent tasks, None where an LLM decides."""
        ready = {use_case: [item.of_project(project_id) for item in items] for use_case, items in LIBRARY.items()}
        tasks, counts = self._counts.get(project_id)
        names = {definition.name for definition in self._registry.definitions(project_id)}
        use_cases = [
            {"name": use_case, "definitions": [_listed(item, counts, names) for item in items]}
            for use_case, items in ready.items()
        ]
        return {"project_id": project_id, "tasks": tasks, "use_cases": use_cases}

    def _count(self, project_id: str) -> tuple[int, dict[str, int]]:
        definitions = [item.of_project(project_id) for items in LIBRARY.values() for item in items]
        tried = [definition for definition in definitions if not engine_spec(definition.engine).is_decided_by_llm]
        return self._trials.match_counts(project_id, tried, self._detection)


def _listed(definition: EventDefinition, counts: Mapping[str, int], names: Set[str]) -> dict[str, Any]:
    shown = definition.model_dump(mode="json", include=set(DEFINITION_FIELDS))
    return shown | {"matches": counts.get(definition.name), "is_added": definition.name in names}
