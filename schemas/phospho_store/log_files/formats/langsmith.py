"""
LangSmith: runs, as its SDK and its bulk export give them ("Run (span) data format" of its documentation).

The root run of a trace is a task: what the user asked and what the app answered. Runs inside of it are none.
LangSmith's own session_id names the project; a conversation is named in the metadata.
"""

from __future__ import annotations

from typing import Any

from phospho_store.log_files.formats.values import (
    Event,
    Format,
    Record,
    at_most_one,
    elapsed_ms,
    stated,
    unix_seconds,
    unpacked,
    whole_number,
)

_KEYS = frozenset({"id", "run_type", "inputs"})
# "Threads" of its documentation: any of these in the metadata names the conversation.
_CONVERSATION = ("session_id", "thread_id", "conversation_id")
_ROLES = {
    "human": "user",
    "ai": "assistant",
    "HumanMessage": "user",
    "AIMessage": "assistant",
    "SystemMessage": "system",
}


def recognises(record: Record) -> bool:
    """Return True for a record with the keys of a run."""
    return record.keys() >= _KEYS


def event_of(record: Record) -> Event | None:
    """Return the event of a root run; None for a run inside of another, and for one without inputs."""
    run = {name: unpacked(value) for name, value in record.items()}
    if run.get("parent_run_id") or run["inputs"] in (None, "", {}, []):
        return None
    extra = _object(run.get("extra"))
    metadata = _object(extra.get("metadata"))
    described = {
        "model": metadata.get("ls_model_name") or _object(extra.get("invocation_params")).get("model"),
        "tokens_in": whole_number(run.get("prompt_tokens")),
        "tokens_out": whole_number(run.get("completion_tokens")),
        "latency_ms": elapsed_ms(run.get("start_time"), run.get("end_time")),
        "name": run.get("name"),
        "run_type": run["run_type"],
        "tags": run.get("tags"),
        "error": run.get("error"),
    }
    return stated(
        {
            "task_id": str(run["id"]),
            "session_id": next((str(metadata[name]) for name in _CONVERSATION if metadata.get(name)), None),
            "user_id": metadata.get("user_id"),
            "version_id": metadata.get("revision_id"),
            "client_created_at": unix_seconds(run.get("start_time")),
            "input": _content(run["inputs"]),
            "output": _content(run.get("outputs")),
            "metadata": stated(metadata | described),
        }
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _content(values: Any) -> Any:
    """Return what a map of inputs or outputs holds: its one value, its messages, its first generation, or itself."""
    if not isinstance(values, dict):
        return values
    if "messages" in values:
        return {"messages": [_message(message) for message in _flat(values["messages"])]}
    generations = _flat(values.get("generations"))
    if generations and isinstance(generations[0], dict):
        first = generations[0]
        return first.get("text") or _message(first.get("message"))["content"]
    return next(iter(values.values())) if len(values) == 1 else values


def _flat(values: Any) -> list[Any]:
    """Return a list, or the first of several lists: LangChain runs batches of one."""
    if isinstance(values, list) and values and isinstance(values[0], list):
        return list(values[0])
    return values if isinstance(values, list) else []


def _message(message: Any) -> dict[str, Any]:
    """Return a message with its role, out of the three forms that LangChain writes."""
    if not isinstance(message, dict):
        return {"role": "user", "content": message}
    inner = _object(message.get("kwargs")) or _object(message.get("data")) or message
    kind = message["id"][-1] if isinstance(message.get("id"), list) and message["id"] else message.get("type", "")
    role = message.get("role") or _ROLES.get(str(kind), str(kind) or "user")
    return {"role": role, "content": inner.get("content", "")}


FORMAT = Format("LangSmith", recognises, at_most_one(event_of))
