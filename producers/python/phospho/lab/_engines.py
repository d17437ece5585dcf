"""The server's engines, imported when the first job needs them and never before."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from ..errors import ConfigError
from .models import Sides

__all__ = ["Found", "Sought", "find"]

_COMPILED_DEFINITIONS = 1024
# As many as the server keeps of a score.
_SCORE_DIGITS = 4
# A definition belongs to a project and has a date; what is found does not depend on them.
_NOWHERE = {"project_id": "lab", "created_at": "1970-01-01T00:00:00Z"}


class Sought(NamedTuple):
    """A definition in the server's terms, hashable: what it is compiled from, once."""

    name: str
    engine: str
    scope: str
    description: str = ""
    keywords: tuple[str, ...] = ()
    pattern: str = ""
    threshold: float | None = None
    # Description and scope of what else the project looks for: each is weighed against the others.
    rivals: tuple[tuple[str, str], ...] = ()


class Found(NamedTuple):
    """That a definition was found, how surely (in [0, 1]), and the words that say so."""

    score: float
    evidence: str


def find(sought: Sought, sides: Sides) -> Found | None:
    """
    Return what the server would find of one definition in one task; None where it is not in it.

    Of both sides the higher score counts, and of equal ones the input's. Thread-safe. Raises ConfigError for
    a definition that the server would refuse, ImportError where the engines are not installed.
    """
    compiled = _compiled(sought)
    (of_input,) = compiled.find([sides.input], "input")
    (of_output,) = compiled.find([sides.output], "output")
    hits = [hit for hit in (*of_input, *of_output) if hit.definition.name == sought.name]
    best = max(hits, key=lambda hit: hit.score, default=None)
    return None if best is None else Found(round(best.score, _SCORE_DIGITS), best.evidence)


@lru_cache(maxsize=_COMPILED_DEFINITIONS)
def _compiled(sought: Sought) -> Any:
    """Return the server's CompiledDefinitions of one definition, beside its rivals."""
    messages = _server("phospho_schemas.messages")
    definitions = _server("phospho_workers.detection.definitions")
    fields = sought._asdict()
    rivals = [
        messages.EventDefinition(
            **_NOWHERE, name=f"{sought.name[:99]} rival {number}", description=text, scope=scope
        )
        for number, (text, scope) in enumerate(fields.pop("rivals"))
    ]
    try:
        definition = messages.EventDefinition(**_NOWHERE, **fields)
    except ValueError as error:
        raise ConfigError(f"{sought.name!r} is no definition: {_said(error)}") from error
    compiled = definitions.compile_definitions([definition, *rivals])
    if sought.name in compiled.skipped:
        raise ConfigError(f"{sought.name!r} can't be looked for: {compiled.skipped[sought.name]}")
    return compiled


def _said(error: Any) -> str:
    """Return what is wrong with a definition, by field, in one line; pydantic's own text has many."""
    faults = error.errors(include_url=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)


def _server(module: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            "phospho.lab runs the server's detection engines, which are not here "
            f"({error}): install phospho-pipeline, on Python 3.11 or later",
            name=error.name,
        ) from error
