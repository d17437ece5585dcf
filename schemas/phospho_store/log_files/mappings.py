"""Suggested mappings of a file whose keys are not ours, and the options of the command line that make them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

from phospho_store.log_files.records import NoEvent

_MAX_KEYS = 12
FIELDS = (
    "input", "output", "session_id", "user_id", "task_id", "version_id", "created_at", "flag", "system_prompt",
    "metadata",
)  # fmt: skip
_NOT_LETTERS = re.compile(r"[^a-z0-9]")
# Names that other tools use, the likelier ones first.
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "input": (
        "question", "prompt", "query", "userinput", "usermessage", "userprompt", "humanmessage", "request",
        "instruction", "user", "human", "message", "messages", "text", "content", "inputs", "conversations",
        "conversation", "dialogue", "dialog", "chat", "transcript",
    ),
    "output": (
        "answer", "response", "completion", "reply", "assistantmessage", "assistantresponse", "modeloutput",
        "botmessage", "botanswer", "botresponse", "assistant", "bot", "aimessage", "generation",
        "generatedtext", "result", "outputs",
    ),
    "session_id": ("conversationid", "threadid", "chatid", "session", "conversation", "thread", "sessionid"),
    "user_id": ("customerid", "userid", "username", "useremail", "customer", "client", "email", "user"),
    "task_id": ("messageid", "requestid", "traceid", "uuid", "taskid", "id"),
    "created_at": ("timestamp", "createdat", "time", "datetime", "date", "ts", "created", "when"),
}  # fmt: skip


def meant_field(name: str) -> str | None:
    """Return the field that a name of `--mapping` is a typo of; None for a field, and for a name of metadata."""
    if name in FIELDS:
        return None
    return next(iter(difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.8)), None)


def without_input(keys: Iterable[str], mapping: Mapping[str, str]) -> NoEvent:
    """Return the error of a record with these keys, and the mapping that would do."""
    names = list(keys)
    wanted = mapping.get("input")
    if wanted is not None and wanted not in names:
        advice = _suggestion(wanted, names)
        return NoEvent(f"no {wanted!r}", f", which --mapping takes for input. {_list_of_keys(names)}{advice}")
    suggestion = suggested_mapping(names, mapping)
    options = " ".join(f"--mapping {name}={_quoted(key)}" for name, key in suggestion.items())
    advice = f"Try {options}" if "input" in suggestion else "Name the key: --mapping input=KEY"
    return NoEvent(f"no input. {_list_of_keys(names)}", f" {advice}")


def suggested_mapping(keys: Iterable[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Return the keys that are likely to hold our fields, beside those of `mapping`."""
    keys_by_look = {_NOT_LETTERS.sub("", key.lower()): key for key in keys}
    columns: dict[str, str] = {}
    for name, synonyms in _SYNONYMS.items():
        free = [key for look in synonyms if (key := keys_by_look.get(look)) and key not in columns.values()]
        if free and free[0] != name and name not in mapping:
            columns[name] = free[0]
    return columns


def _suggestion(wanted: str, names: Iterable[str]) -> str:
    """Return `Did you mean …?` with the nearest name, or nothing."""
    nearest = difflib.get_close_matches(wanted, list(names), n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def _list_of_keys(names: list[str]) -> str:
    if not names:
        return "There are no keys."
    more = f" and {len(names) - _MAX_KEYS} more" if len(names) > _MAX_KEYS else ""
    return f"Keys: {', '.join(name[:60] for name in names[:_MAX_KEYS])}{more}."


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[\w.-]+", key) else f"'{key}'"
