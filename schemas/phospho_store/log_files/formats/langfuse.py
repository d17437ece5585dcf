"""
Langfuse: observations and traces, as its pages, its API (camelCase) and its blob storage export (snake_case) give them.

A generation is a task. A trace is one where the file holds traces; spans, tools and other observations are none.
Fields: the API reference and the "Blob storage export field reference" of its documentation.
"""

from __future__ import annotations

from phospho_store.log_files.formats.values import (
    Event,
    Format,
    Record,
    at_most_one,
    elapsed_ms,
    snake_cased,
    stated,
    unix_seconds,
    unpacked,
    whole_number,
)

_GENERATION = "GENERATION"
_TRACE_KEYS = frozenset({"tags", "bookmarked", "public", "html_path", "total_cost", "observations", "release"})


def recognises(record: Record) -> bool:
    """Return True for a record with the keys of an observation or a trace."""
    keys = snake_cased(record).keys()
    is_observation = {"id", "trace_id", "type"} <= keys and "start_time" in keys
    return is_observation or ({"id", "timestamp", "input"} <= keys and bool(_TRACE_KEYS & keys))


def event_of(record: Record) -> Event | None:
    """Return the event of a generation or of a trace; None for other observations and for what has no input."""
    read = {name: unpacked(value) for name, value in snake_cased(record).items()}
    if "type" in read and str(read["type"]).upper() != _GENERATION:
        return None
    if read.get("input") in (None, "", {}, []):
        return None
    usage = _usage(read)
    described = {
        "model": read.get("provided_model_name") or read.get("model"),
        "tokens_in": whole_number(usage.get("input", usage.get("prompt_tokens", read.get("prompt_tokens")))),
        "tokens_out": whole_number(usage.get("output", usage.get("completion_tokens", read.get("completion_tokens")))),
        "latency_ms": _latency_ms(read),
        "name": read.get("name") or read.get("trace_name"),
        "tags": read.get("tags"),
        "level": read.get("level"),
        "langfuse_trace_id": read.get("trace_id"),
    }
    metadata = read.get("metadata")
    return stated(
        {
            "task_id": read["id"],
            "session_id": read.get("session_id") or read.get("trace_id"),
            "user_id": read.get("user_id"),
            "version_id": read.get("version") or read.get("release"),
            "client_created_at": unix_seconds(read.get("start_time") or read.get("timestamp")),
            "input": read["input"],
            "output": read.get("output"),
            "metadata": stated((metadata if isinstance(metadata, dict) else {"metadata": metadata}) | described),
        }
    )


def _usage(read: Record) -> Record:
    usage = read.get("usage_details") or read.get("usage")
    return snake_cased(usage) if isinstance(usage, dict) else {}


def _latency_ms(read: Record) -> float | None:
    """Return the time of an observation from its ends, of a trace from its latency in seconds."""
    if read.get("end_time"):
        return elapsed_ms(read.get("start_time"), read["end_time"])
    latency_s = read.get("latency")
    return round(latency_s * 1000, 3) if isinstance(latency_s, (int, float)) and latency_s >= 0 else None


FORMAT = Format("Langfuse", recognises, at_most_one(event_of))
