"""
What `log` reads from inputs and outputs, to use by itself.

The names are upstream's; the work is done by shape, in `phospho._extract`.
"""

from __future__ import annotations

from typing import Any, Callable, Union

from ._extract import input_text, model_of, output_text, system_prompt_of, usage_of
from ._jsonable import to_jsonable

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
"""Anything: what is not a dict is read by its attributes."""

detect_str_from_input = input_text
detect_str_from_output = output_text
detect_model_from_input_output = model_of
detect_system_prompt_from_input_output = system_prompt_of


def detect_usage_from_input_output(input: Any, output: Any) -> dict[str, int] | None:
    """Return the tokens used, or None if *output* does not say."""
    return usage_of(output) or None


def extract_data_from_input(
    input: Any, raw_input: Any = None, input_to_str_function: Callable[[Any], str] | None = None
) -> tuple[str, Any]:
    """Return the text of *input* and the whole of it as JSON values, or of *raw_input* if there is one."""
    text = input if isinstance(input, str) else (input_to_str_function or input_text)(input)
    return text, to_jsonable(input if raw_input is None else raw_input)


def extract_data_from_output(
    output: Any = None, raw_output: Any = None, output_to_str_function: Callable[[Any], str] | None = None
) -> tuple[str | None, Any]:
    """Return the text of *output* and the whole of it as JSON values, or of *raw_output* if there is one."""
    text: str | None = output if isinstance(output, str) else None
    if output is not None and text is None:
        text = (output_to_str_function or output_text)(output)
    return text, to_jsonable(output if raw_output is None else raw_output)


def extract_metadata_from_input_output(
    input: Any,
    output: Any = None,
    input_output_to_usage_function: Callable[[Any, Any], dict[str, float]] | None = None,
) -> dict[str, Any]:
    """Return tokens, model and system prompt, as far as they are said."""
    count = input_output_to_usage_function
    metadata: dict[str, Any] = dict(usage_of(output) if count is None else count(input, output))
    said = {"model": model_of(input, output), "system_prompt": system_prompt_of(input, output)}
    return {**metadata, **{name: value for name, value in said.items() if value is not None}}
