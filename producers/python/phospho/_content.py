"""From the arguments of `log` to the dict that is sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Callable, NamedTuple

from ._extract import input_text, model_of, output_text, system_prompt_of, usage_of
from ._jsonable import text_of, to_jsonable
from ._keywords import as_sent

__all__ = ["LogCall", "build_content", "merge_content"]

OnError = Callable[[str, BaseException], None]


_NO_EXTRA: Mapping[str, Any] = MappingProxyType({})


class LogCall(NamedTuple):
    """The arguments of one `log`. `extra` holds every keyword that is not in its signature."""

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
    Return the content of a task: a snapshot, which the app's later changes to its objects do not touch.

    What the app passed by name wins over what was extracted; `as_sent` says what no name can overwrite. A
    function of the app that raises is reported to *on_error* and its default takes its place. Objects that
    break while they are read are read again as the plain values that are left of them.
    """
    try:
        return _content(call, project_id, on_error)
    except Exception:  # the app's own objects
        plain = call._replace(input=to_jsonable(call.input), output=to_jsonable(call.output))
        return _content(plain, project_id, on_error)


def _content(call: LogCall, project_id: str | None, on_error: OnError) -> dict[str, Any]:
    content: dict[str, Any] = {
        "client_created_at": time.time(),
        "session_id": call.session_id,
        "task_id": call.task_id,
        **_input_fields(call, on_error),
        **output_fields(call, call.output, on_error),
    }
    given = {"project_id": project_id, "version_id": call.version_id, "user_id": call.user_id}
    content.update({name: value for name, value in given.items() if value})
    if not _is_text_alone(call):
        content.update(_said_beside_the_text(call))
    if call.input_output_to_usage_function is not None:
        content.update(usage_fields(call, call.output, on_error))
    content.update(as_sent(call.extra))
    return content


def _is_text_alone(call: LogCall) -> bool:
    return isinstance(call.input, str) and (call.output is None or isinstance(call.output, str))


def _input_fields(call: LogCall, on_error: OnError) -> dict[str, Any]:
    text = _text(call.input, call.input_to_str_function, input_text, "input_to_str_function", on_error)
    return {
        "input": text or "",
        "raw_input": _raw(call.input, call.raw_input),
        "raw_input_type_name": type(call.input).__name__,
    }


def output_fields(call: LogCall, output: Any, on_error: OnError) -> dict[str, Any]:
    """Return the fields that *output*, whole or one chunk, adds to the content of *call*."""
    function = call.output_to_str_function
    return {
        "output": None
        if output is None
        else _text(output, function, output_text, "output_to_str_function", on_error),
        "raw_output": _raw(output, call.raw_output),
        "raw_output_type_name": type(output).__name__,
    }


def usage_fields(call: LogCall, output: Any, on_error: OnError) -> dict[str, Any]:
    """Return the tokens used, counted by the app's function if it gave one, else as *output* says."""
    function = call.input_output_to_usage_function
    if function is not None:
        try:
            usage = function(call.input, output).items()
            return {text_of(name): to_jsonable(value) for name, value in usage}
        except Exception as error:  # the app's function
            on_error("input_output_to_usage_function", error)
    return dict(usage_of(output))


def merge_content(held: dict[str, Any], new: dict[str, Any], concatenate: bool) -> None:
    """
    Put the content of a task that is logged again into the one that is held, in place.

    Its first `client_created_at` stays. With *concatenate* outputs are joined and raw outputs become a
    list, else the last ones stay.
    """
    if concatenate:
        new = {
            **new,
            "output": _joined_text(held.get("output"), new.get("output")),
            "raw_output": _joined_raw(held.get("raw_output"), new.get("raw_output")),
        }
    held.update({name: value for name, value in new.items() if name != "client_created_at"})


def append_chunk(held: dict[str, Any], fields: dict[str, Any], chunks_before: int) -> None:
    """Add the fields of one more chunk to the content of a stream, in place and in constant time."""
    text, raw = fields.pop("output"), fields.pop("raw_output")
    held["output"] = _joined_text(held.get("output"), text)
    if chunks_before == 1:
        held["raw_output"] = [held.get("raw_output"), raw]
    elif isinstance(held.get("raw_output"), list):
        held["raw_output"].append(raw)
    held.update(fields)


def _text(
    value: Any,
    function: Callable[[Any], Any] | None,
    default: Callable[[Any], str | None],
    place: str,
    on_error: OnError,
) -> str | None:
    if function is not None:
        try:
            text = function(value)
            return None if text is None else _plain(text)
        except Exception as error:  # the app's function
            on_error(place, error)
    return value if type(value) is str else _plain(default(value))


def _plain(text: Any) -> str | None:
    """Return *text* without the methods of a subclass of `str`: they would run again when it is sent."""
    return text if text is None or type(text) is str else text_of(text)


def _raw(value: Any, given: Any) -> Any:
    return to_jsonable(value if given is None else given)


def _said_beside_the_text(call: LogCall) -> dict[str, Any]:
    fields: dict[str, Any] = dict(usage_of(call.output))
    model = model_of(call.input, call.output)
    if model is not None:
        fields["model"] = _plain(model)
    system_prompt = system_prompt_of(call.input, call.output)
    if system_prompt is not None:
        fields["system_prompt"] = _plain(system_prompt)
    return fields


def _joined_text(held: str | None, new: str | None) -> str | None:
    return new if held is None else held if new is None else held + new


def _joined_raw(held: Any, new: Any) -> Any:
    if held is None or new is None:
        return held if new is None else new
    return _as_list(held) + _as_list(new)


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]
