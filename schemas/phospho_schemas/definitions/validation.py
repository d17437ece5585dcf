"""The rules for what a person may write as a definition: names that can be told apart, and no field that is ignored."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from phospho_schemas.definitions.engines import engine_spec, engines_with, unread_fields
from phospho_schemas.messages import EventDefinition

_REGISTRY_FIELDS = ("schema_version", "project_id", "version", "revision", "is_deleted", "created_at")
# The fields that a person sets, in the order in which they are shown.
DEFINITION_FIELDS = tuple(name for name in EventDefinition.model_fields if name not in _REGISTRY_FIELDS)

# Control and format characters, lone surrogates, and separators of lines: Unicode 16, table 4-4.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def refusal_of(definition: EventDefinition) -> str | None:
    """
    Return why a definition should not be stored, in a sentence for the person who wrote it, or None.

    Ask it when a definition is written, not when it is read: what was stored before a rule existed keeps working.
    """
    return (
        _name_refusal(definition.name)
        or _unread_field(definition)
        or engine_spec(definition.engine).refusal(definition)
    )


def needs_session(definition: EventDefinition) -> bool:
    """Return True if a definition reads more than one task, or has to know which task is the last."""
    return definition.scope == "session" or definition.is_last_task or definition.context_turns > 0


def crowded_out(stored: Mapping[str, str], definitions: Sequence[EventDefinition]) -> list[str]:
    """
    Return the names of those of `definitions` that a project has no room for; the first in order have it.

    `stored` has the engine of each stored definition by name. A definition replaces the stored one of its name.
    """
    written = {definition.name: definition for definition in definitions}
    counts = Counter(
        engine
        for name, engine in stored.items()
        if name not in written or (written[name].engine == engine and not written[name].is_deleted)
    )
    crowded = []
    for definition in definitions:
        if definition.is_deleted or stored.get(definition.name) == definition.engine:
            continue
        counts[definition.engine] += 1
        limit = engine_spec(definition.engine).max_per_project
        if limit is not None and counts[definition.engine] > limit:
            crowded.append(definition.name)
    return crowded


def no_room(engine: str) -> str:
    """Return the refusal of a definition that a project has no room for, in a sentence."""
    return f"a project has room for {engine_spec(engine).max_per_project:,} definitions of the {engine} engine"


def alike(name: str) -> str:
    """Return what two names have in common that a person can't tell apart: case, width, and spaces in a row aside."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def by_look(names: Iterable[str]) -> dict[str, set[str]]:
    """Return names by what they are `alike` in."""
    groups: dict[str, set[str]] = {}
    for name in names:
        groups.setdefault(alike(name), set()).add(name)
    return groups


def too_alike(name: str, others: Mapping[str, set[str]]) -> str | None:
    """Return one of `others`, as `by_look` groups them, that `name` can be taken for but is not; None without one."""
    return min(others.get(alike(name), set()) - {name}, default=None)


def _name_refusal(name: str) -> str | None:
    if any(unicodedata.category(character) in _INVISIBLE for character in name):
        return "the name holds a character that does not show: leave it out"
    if name != name.strip():
        return "the name begins or ends with a space: leave it out"
    if name in (".", ".."):
        return f"{name!r} is no name: in an address it stands for a folder"
    if name.endswith(".json"):
        return "the name ends in .json, which is how the twin of a page is asked for: choose another"
    return None


def _unread_field(definition: EventDefinition) -> str | None:
    fields = [field for field in unread_fields(definition.engine) if getattr(definition, field) not in (None, "", [])]
    if not fields:
        return None
    field = min(fields)
    readers = " or ".join(engines_with(lambda spec: field in spec.own_fields))
    return f"the engine {definition.engine} reads no {field}: leave it out, or set engine: {readers}"
