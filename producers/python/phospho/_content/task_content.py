"""Content of a task: the JSON object that one call of `log` sends, whole or chunk by chunk."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Callable, NamedTuple

from .json_values import text_of, to_jsonable
from .keywords import keyword_fields
from .logged_value import LoggedValue

__all__ = [
    "LogCall",
    "bare_content",
    "build_content",
    "chunk_text",
    "merge_content",
    "usage_fields",
]

OnError = Callable[[str, BaseException], None]

_NO_EXTRA: Mapping[str, Any] = MappingProxyType({})


class LogCall(NamedTuple):
    """Arguments of one `log`. `extra` holds every keyword that is not in its signature."""

    input: Any
    output: Any
    task_id: str
    session_id: str
    version_id: str | None = None
    user_id: str | None = None
    raw_input: Any = None
    raw_output: Any = None
    input_to_str_function: Callable[[Any], str] | None = None
    output_to_str_function: Callable[[Any], str] | None = None
    input_output_to_usage_function: Callable[[Any, Any], dict[str, float]] | None = None
    extra: Mapping[str, Any] = _NO_EXTRA


def build_content(call: LogCall, project_id: str | None, on_error: OnError) -> dict[str, Any]:
    """
    Return the content of a task: a snapshot, which later changes to the app's objects don't touch.

    A keyword of the app wins over an extracted field; `keyword_fields` names the exceptions. If a function of the
    app raises, *on_error* is called and the default is used instead. Objects that break while they are read are
    read again as plain values.
    """
    try:
        return _content(call, project_id, on_error)
    except Exception:  # the app's own objects
        plain = call._replace(input=to_jsonable(call.input), output=to_jsonable(call.output))
        return _content(plain, project_id, on_error)


def bare_content(call: LogCall) -> dict[str, Any]:
    """Return the content of a task that could not be built, or is not built yet."""
    return {
        "task_id": call.task_id,
        "session_id": call.session_id,
        "input": call.input if type(call.input) is str else None,
        "output": None,
        "version_id": call.version_id,
        "user_id": call.user_id,
    }


def _content(call: LogCall, project_id: str | None, on_error: OnError) -> dict[str, Any]:
    input, output = LoggedValue(call.input), LoggedValue(call.output)
    content: dict[str, Any] = {
        "client_created_at": time.time(),
        "session_id": call.session_id,
        "task_id": call.task_id,
        **_input_fields(call, input, on_error),
        **_output_fields(call, output, on_error),
    }
    ids = {"project_id": project_id, "version_id": call.version_id, "user_id": call.user_id}
    content.update({name: value for name, value in ids.items() if value})
    if not _is_text_alone(call):
        content.update(_extracted_fields(input, output))
    if call.input_output_to_usage_function is not None:
        content.update(usage_fields(call, output, on_error))
    content.update(keyword_fields(call.extra))
    return content


def _is_text_alone(call: LogCall) -> bool:
    return isinstance(call.input, str) and (call.output is None or isinstance(call.output, str))


def _input_fields(call: LogCall, input: LoggedValue, on_error: OnError) -> dict[str, Any]:
    return {
        "input": _text(call, "input", input, on_error) or "",
        "raw_input": input.json if call.raw_input is None else LoggedValue(call.raw_input).json,
        "raw_input_type_name": type(input.original).__name__,
    }


def _output_fields(call: LogCall, output: LoggedValue, on_error: OnError) -> dict[str, Any]:
    return {
        "output": None if output.original is None else _text(call, "output", output, on_error),
        "raw_output": output.json if call.raw_output is None else LoggedValue(call.raw_output).json,
        "raw_output_type_name": type(output.original).__name__,
    }


def usage_fields(call: LogCall, output: LoggedValue, on_error: OnError) -> dict[str, Any]:
    """Return the token counts by the app's function if it has one, else those that *output* carries."""
    function = call.input_output_to_usage_function
    if function is not None:
        try:
            usage = function(call.input, output.original).items()
            return {text_of(name): to_jsonable(value) for name, value in usage}
        except Exception as error:  # the app's function
            on_error("input_output_to_usage_function", error)
    return dict(output.usage())


def merge_content(held: dict[str, Any], new: dict[str, Any], is_unfinished: bool) -> None:
    """
    Merge the content of a task that is logged again into the queued one, in place.

    The first `client_created_at` and fields that the new content lacks stay. Outputs of a task that is unfinished are
    joined, and its raw outputs become a list. Otherwise the last output replaces the first.
    """
    if is_unfinished:
        held_text, text = held.get("output"), new.get("output")
        new = {
            **new,
            "output": held_text + text if held_text is not None and text is not None else text or held_text,
            "raw_output": _joined_raw(held.get("raw_output"), new.get("raw_output")),
        }
    held.update({name: value for name, value in new.items() if value is not None and name != "client_created_at"})


def chunk_text(call: LogCall, chunk: Any, on_error: OnError) -> str | None:
    """Return the text of one chunk by the app's `output_to_str_function`. None without one, or if it fails."""
    try:
        function = call.output_to_str_function
        return None if function is None else _plain_text(function(chunk))
    except Exception as error:  # the app's function
        on_error("output_to_str_function", error)
        return None


def _text(call: LogCall, side: str, value: LoggedValue, on_error: OnError) -> str | None:
    """Return the text of one side, "input" or "output": by the app's function if it has one."""
    name = f"{side}_to_str_function"
    function = getattr(call, name)
    if function is not None:
        try:
            return _plain_text(function(value.original))
        except Exception as error:  # the app's function
            on_error(name, error)
    return _plain_text(value.input_text() if side == "input" else value.output_text())


def _plain_text(text: Any) -> str | None:
    """Return *text* without the methods of a subclass of `str`: they would run again when it is sent."""
    return text if text is None or type(text) is str else text_of(text)


def _extracted_fields(input: LoggedValue, output: LoggedValue) -> dict[str, Any]:
    """Return token counts, model and system prompt. The output's model is the exact one."""
    model = output.model() or input.model()
    system_prompt = input.system_prompt() or output.system_prompt()
    texts = {"model": model, "system_prompt": system_prompt}
    return {**output.usage(), **{name: _plain_text(text) for name, text in texts.items() if text is not None}}


def _joined_raw(held: Any, new: Any) -> Any:
    if held is None or new is None:
        return held if new is None else new
    return _as_list(held) + _as_list(new)


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]
