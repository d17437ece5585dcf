"""The server's detection engines, imported when the first job needs them."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from ..errors import ConfigError
from .models import Sides

__all__ = ["DefinitionKey", "Match", "find"]

_COMPILED_DEFINITIONS = 1024
# The server rounds scores to as many digits.
_SCORE_DIGITS = 4
# A definition has a project and a date. Detection does not depend on them.
_UNUSED_FIELDS = {"project_id": "lab", "created_at": "1970-01-01T00:00:00Z"}


class DefinitionKey(NamedTuple):
    """The fields of a definition that it is compiled from. Hashable, so that each is compiled once."""

    name: str
    engine: str
    scope: str
    description: str = ""
    keywords: tuple[str, ...] = ()
    pattern: str = ""
    threshold: float | None = None
    # Description and scope of the project's other definitions, which compete with this one.
    rivals: tuple[tuple[str, str], ...] = ()


class Match(NamedTuple):
    """An event that was found: its score, in [0, 1], and the words that show it."""

    score: float
    evidence: str


def find(key: DefinitionKey, sides: Sides) -> Match | None:
    """
    Return the match that the server would find for a definition in a task, or None.

    The side with the higher score counts, or the input if they are equal. Thread-safe. Raises ConfigError for a
    definition that the server would refuse, ImportError if the engines are not installed.
    """
    compiled = _compiled(key)
    (input_matches,) = compiled.match([sides.input], "input")
    (output_matches,) = compiled.match([sides.output], "output")
    both = (*input_matches, *output_matches)
    matches = [match for match in both if match.is_found and match.definition.name == key.name]
    best = max(matches, key=lambda match: match.score, default=None)
    return None if best is None else Match(round(best.score, _SCORE_DIGITS), best.evidence)


@lru_cache(maxsize=_COMPILED_DEFINITIONS)
def _compiled(key: DefinitionKey) -> Any:
    """Return the server's CompiledDefinitions of one definition and its rivals."""
    messages = _server("phospho_schemas.messages")
    definitions = _server("phospho_workers.detection.definitions")
    fields = key._asdict()
    rivals = [
        messages.EventDefinition(
            **_UNUSED_FIELDS, name=f"{key.name[:99]} rival {number}", description=text, scope=scope
        )
        for number, (text, scope) in enumerate(fields.pop("rivals"))
    ]
    try:
        definition = messages.EventDefinition(**_UNUSED_FIELDS, **fields)
    except ValueError as error:
        raise ConfigError(f"{key.name!r} is no definition: {_reasons(error)}") from error
    compiled = definitions.compile_definitions([definition, *rivals])
    if key.name in compiled.skipped:
        raise ConfigError(f"{key.name!r} can't be compiled: {compiled.skipped[key.name]}")
    return compiled


def _reasons(error: Any) -> str:
    """Return pydantic's errors by field, in one line."""
    faults = error.errors(include_url=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)


def _server(module: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"phospho.lab runs the server's detection engines, which are not installed ({error}). "
            "To have them, install phospho-pipeline on Python 3.11 or later",
            name=error.name,
        ) from error
