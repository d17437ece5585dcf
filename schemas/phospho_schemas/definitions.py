"""What a person may write as the definition of an event: names that can be told apart, and nothing that is not read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence

from phospho_schemas.errors import Problem
from phospho_schemas.messages import EventDefinition

# Of one project: their scores, and what compiling them takes, grow with the square of their number.
MAX_SEMANTIC = 1_000
# The one engine that reads a field; the others would pass over it in silence.
_READ_BY = {"keywords": "keyword", "pattern": "regex", "threshold": "semantic"}
# Control and format characters, lone surrogates, and separators of lines: Unicode 16, table 4-4.
_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LATIN_WORD = re.compile(r"[A-Za-z]{2}")


def refusal_of(definition: EventDefinition) -> str | None:
    """
    Return why a definition should not be stored, in a sentence for the person who wrote it; None where it may be.

    What was stored before such a rule goes on being looked for: this is asked of what is written, and not at reading.
    """
    return _name_refusal(definition.name) or _unread_field(definition) or _description_refusal(definition)


def needs_session(definition: EventDefinition) -> bool:
    """Tell whether a definition reads more than one task, or has to know which task is the last."""
    return definition.scope == "session" or definition.is_last_task or definition.context_turns > 0


def crowded_out(taken: Collection[str], definitions: Sequence[EventDefinition]) -> list[str]:
    """
    Return the names of those of `definitions` that a project has no room for; the first in order have it.

    `taken` has the names of its semantic definitions. What is stored under one of them takes its place, or frees it.
    """
    freed = {one.name for one in definitions if one.engine != "semantic" or one.is_deleted}
    new = [one.name for one in definitions if one.name not in freed and one.name not in taken]
    room = max(0, MAX_SEMANTIC - len(set(taken) - freed))
    return new[room:]


def no_room() -> Problem:
    """Return the refusal of a semantic definition that a project has no room for."""
    message = f"a project has room for {MAX_SEMANTIC:,} definitions of the semantic engine"
    return Problem(422, "too_many_definitions", message, "delete one that is not needed, or set another engine")


def alike(name: str) -> str:
    """Return what two names have in common that a person can't tell apart: case, width, and spaces in a row aside."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def by_look(names: Iterable[str]) -> dict[str, set[str]]:
    """Return names by what they are `alike` in."""
    found: dict[str, set[str]] = {}
    for name in names:
        found.setdefault(alike(name), set()).add(name)
    return found


def too_alike(name: str, others: Mapping[str, set[str]]) -> str | None:
    """Return one of `others`, which are `by_look`, that `name` can be taken for and is not; None without one."""
    return min(others.get(alike(name), set()) - {name}, default=None)


def _name_refusal(name: str) -> str | None:
    if any(unicodedata.category(character) in _NOT_SHOWN for character in name):
        return "the name holds a character that does not show: leave it out"
    if name != name.strip():
        return "the name begins or ends with a space: leave it out"
    if name in (".", ".."):
        return f"{name!r} is no name: in an address it stands for a folder"
    if name.endswith(".json"):
        return "the name ends in .json, which is how the twin of a page is asked for: choose another"
    return None


def _unread_field(definition: EventDefinition) -> str | None:
    given = [field for field in unread_fields(definition.engine) if getattr(definition, field) not in (None, "", [])]
    if not given:
        return None
    field = min(given)
    return f"the engine {definition.engine} reads no {field}: leave it out, or set engine: {_READ_BY[field]}"


def _description_refusal(definition: EventDefinition) -> str | None:
    if definition.engine == "semantic" and not _LATIN_WORD.search(definition.description):
        return "the engine semantic reads English: describe the event in English words, or set engine: llm"
    return None


def unread_fields(engine: str) -> frozenset[str]:
    """Return the fields that another engine reads, and `engine` does not."""
    return frozenset(field for field, reader in _READ_BY.items() if reader != engine)
