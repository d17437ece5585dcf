"""
Extraction of text, token counts, model and system prompt from inputs and outputs, as `log` does it.

The names are upstream's.
"""

from __future__ import annotations

from typing import Any, Callable, Union

from ._content.json_values import to_jsonable
from ._content.logged_value import LoggedValue

__all__ = [
    "RawDataType",
    "detect_model_from_input_output",
    "detect_str_from_input",
    "detect_str_from_output",
    "detect_system_prompt_from_input_output",
    "detect_usage_from_input_output",
    "extract_data_from_input",
    "extract_data_from_output",
    "extract_metadata_from_input_output",
]

RawDataType = Union[dict[str, Any], Any]
"""Any value. Values that are no dicts are read by their attributes."""


def detect_str_from_input(input: Any) -> str:
    """Return the user's text in *input*."""
    return LoggedValue(input).input_text()


def detect_str_from_output(output: Any) -> str | None:
    """Return the assistant's text in *output*, a response, a chunk or a conversation. None if there is none."""
    return LoggedValue(output).output_text()


def detect_model_from_input_output(input: Any, output: Any = None) -> str | None:
    """Return the name of the model that *output*, or else *input*, carries."""
    return LoggedValue(output).model() or LoggedValue(input).model()


def detect_system_prompt_from_input_output(input: Any, output: Any = None) -> str | None:
    """Return the system prompt that *input*, or else *output*, carries."""
    return LoggedValue(input).system_prompt() or LoggedValue(output).system_prompt()


def detect_usage_from_input_output(input: Any, output: Any) -> dict[str, int] | None:
    """Return the token counts of *output*, or None if it has none."""
    return LoggedValue(output).usage() or None


def extract_data_from_input(
    input: Any, raw_input: Any = None, input_to_str_function: Callable[[Any], str] | None = None
) -> tuple[str, Any]:
    """Return the text of *input*, and *raw_input* or else *input* as JSON values."""
    text = input if isinstance(input, str) else (input_to_str_function or detect_str_from_input)(input)
    return text, to_jsonable(input if raw_input is None else raw_input)


def extract_data_from_output(
    output: Any = None, raw_output: Any = None, output_to_str_function: Callable[[Any], str] | None = None
) -> tuple[str | None, Any]:
    """Return the text of *output*, and *raw_output* or else *output* as JSON values."""
    text: str | None = output if isinstance(output, str) else None
    if output is not None and text is None:
        text = (output_to_str_function or detect_str_from_output)(output)
    return text, to_jsonable(output if raw_output is None else raw_output)


def extract_metadata_from_input_output(
    input: Any,
    output: Any = None,
    input_output_to_usage_function: Callable[[Any, Any], dict[str, float]] | None = None,
) -> dict[str, Any]:
    """Return the token counts, model and system prompt of a call, without those that are unknown."""
    count_tokens = input_output_to_usage_function
    usage = LoggedValue(output).usage() if count_tokens is None else count_tokens(input, output)
    texts = {
        "model": detect_model_from_input_output(input, output),
        "system_prompt": detect_system_prompt_from_input_output(input, output),
    }
    return {**usage, **{name: text for name, text in texts.items() if text is not None}}
