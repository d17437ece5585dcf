"""Parts of a message: text, calls of tools, thoughts, results of tools, and media."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

__all__ = [
    "ARGUMENT_FIELDS",
    "CALL",
    "PIECE",
    "PLAIN_TEXT_FIELDS",
    "TEXT",
    "Part",
    "arguments_text",
    "call_text",
    "content_parts",
    "is_result",
    "item_parts",
    "joined",
    "message_parts",
]

TEXT, PIECE, CALL, MEDIA = "text", "piece", "call", "media"
_OWN_LINE = (CALL, MEDIA)

# Content holds content in no known API more than this deep.
_MAX_DEPTH = 4

# Fields of a message that hold what it says. LlamaIndex has blocks.
_CONTENT_FIELDS = ("content", "parts", "blocks")
_TEXT_FIELDS = ("text", "refusal", "transcript")
# Mistral's citations stand between the pieces of a text.
_CITATION = "reference"
_THOUGHTS = frozenset({"thinking", "redacted_thinking", "reasoning", "reasoning_content", "step-start", _CITATION})
_RESULT_ENDINGS = ("_result", "-result", "_output", "_response")
_RESULT_FIELDS = (
    "functionResponse",
    "function_response",
    "toolResult",
    "codeExecutionResult",
    "code_execution_result",
    "tool_use_id",
)

# Fields of a response that are its text: Ollama, Responses' helper, the AI SDK, apps of their own, TGI, Anthropic's
# legacy completions, Bedrock's Llama and Titan, OpenAI's Agents.
PLAIN_TEXT_FIELDS = (
    "response", "output_text", "text", "output", "generated_text", "completion", "generation", "outputText",
    "final_output",
)  # fmt: skip

# Fields that hold a call: OpenAI, OpenAI's custom tools, Gemini, Bedrock.
_CALL_FIELDS = ("function", "custom", "functionCall", "function_call", "toolUse")
_NAME_FIELDS = ("name", "toolName", "tool_name")
ARGUMENT_FIELDS = ("arguments", "input", "args", "parameters", "tool_kwargs")
_CALL_ENDINGS = ("_call", "-call", "tool_use", "_approval_request")
# Fields that list calls. LangChain has those apart whose arguments are no JSON.
_CALLS_FIELDS = (("tool_calls", "invalid_tool_calls"), ("toolCalls",))
# Pieces of a call in LangChain's chunks, beside its `tool_call_chunks`.
_PIECE_ENDINGS = ("_chunk", "_delta")
# Items of Responses that are media. The others without a name (searches, thoughts) add nothing.
_MEDIA_ITEMS = ("image_generation_call",)
_MEDIA_FIELDS = ("inline_data", "inlineData", "file_data", "fileData", "image", "document", "video", "audio")


class Part(NamedTuple):
    """Text of one part. A PIECE continues the text beside it; the other kinds have lines of their own."""

    text: str
    kind: str = TEXT


def joined(parts: Iterable[Part]) -> str:
    """Return the text of *parts*. Blank ones count only where there is nothing else."""
    with_text = [part for part in parts if part.text]
    if any(part.text.strip() for part in with_text):
        with_text = [part for part in with_text if part.text.strip() or part.kind == PIECE]
    text, kind_before = "", ""
    for part in with_text:
        kinds = (kind_before, part.kind)
        continues = PIECE in kinds and kind_before not in _OWN_LINE and part.kind not in _OWN_LINE
        text += part.text if not text or continues else "\n" + part.text
        kind_before = part.kind
    return text


def message_parts(message: Mapping[str, Any]) -> list[Part]:
    """Return the parts of a message: its content, refusal and audio transcript, then its calls of tools."""
    # Gemini cuts one answer into parts anywhere.
    kind = PIECE if message.get("role") == "model" else TEXT
    parts = next((parts for name in _CONTENT_FIELDS if (parts := content_parts(message.get(name), kind))), [])
    parts += [Part(text) for text in (message.get("refusal"), _transcript(message)) if isinstance(text, str)]
    calls = _calls(message)
    # LangChain repeats the calls of a content list.
    return [part for part in parts if part.kind != CALL] + calls if calls else parts


def content_parts(content: Any, kind: str = TEXT, depth: int = _MAX_DEPTH) -> list[Part]:
    """
    Return the parts of a message's content: a string, a part, or a list of both.

    *kind* is that of the parts of a plain text. Parts with citations are pieces, because Anthropic cuts a text at each.
    Thoughts and results of tools are left out. Other parts without text become their type, as in `[image_url]`.
    """
    if isinstance(content, str):
        return [Part(content, kind)]
    if isinstance(content, (list, tuple)):
        if any(isinstance(item, Mapping) and item.get("type") == _CITATION for item in content):
            kind = PIECE
        return [part for item in content for part in content_parts(item, kind, depth - 1)] if depth > 0 else []
    if not isinstance(content, Mapping) or _is_thought(content) or is_result(content):
        return []
    text = _text_of(content)
    if text is not None:
        return [Part(text, PIECE if content.get("citations") else kind)]
    call = call_text(content)
    if call is not None:
        return [Part(call, CALL)]
    return _unnamed_parts(content, kind, depth)


def is_result(part: Any) -> bool:
    """Return whether *part* is the result of a tool, which neither the user nor the model has said."""
    if not isinstance(part, Mapping):
        return False
    kind = part.get("type")
    if isinstance(kind, str) and kind.endswith(_RESULT_ENDINGS):
        return True
    return any(part.get(field) is not None for field in _RESULT_FIELDS)


def call_text(call: Any) -> str | None:
    """Return a call of a tool as `name(arguments)`. None if *call* is none."""
    if not isinstance(call, Mapping):
        return None
    nested = next((call[field] for field in _CALL_FIELDS if isinstance(call.get(field), Mapping)), None)
    named = call if nested is None else nested
    name = next((named[field] for field in _NAME_FIELDS if isinstance(named.get(field), str)), _ui_name(call))
    if not name:
        return None
    arguments = next((named[field] for field in ARGUMENT_FIELDS if named.get(field) is not None), None)
    kind = call.get("type")
    if arguments is None and nested is None and not (isinstance(kind, str) and kind.endswith(_CALL_ENDINGS)):
        return None
    return f"{name}({arguments_text(arguments)})"


def item_parts(item: Mapping[str, Any]) -> list[Part]:
    """Return the parts of one item of a Responses output: a message, or a call that has a name."""
    if item.get("type") in _MEDIA_ITEMS:
        return [Part(f"[{item['type']}]", MEDIA)]
    call = None if is_result(item) else call_text(item)
    if call is not None:
        return [Part(call, CALL)]
    return message_parts(item) if "content" in item and item.get("type") != "reasoning" else []


def _ui_name(call: Mapping[str, Any]) -> str:
    """Return the name of a call in a UI message of the AI SDK, whose type is `tool-` and the name."""
    kind = call.get("type")
    return kind[len("tool-") :] if isinstance(kind, str) and kind.startswith("tool-") and "toolCallId" in call else ""


def arguments_text(arguments: Any) -> str:
    """Return the arguments of a call: text as it is, other values as JSON, nothing as nothing."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    try:
        return json.dumps(arguments, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""


def _calls(message: Mapping[str, Any]) -> list[Part]:
    for fields in _CALLS_FIELDS:
        lists = [message.get(field) for field in fields]
        calls = [call for each in lists if isinstance(each, (list, tuple)) for call in each]
        if calls:
            return [Part(text, CALL) for text in map(call_text, calls) if text]
    is_call = isinstance(message.get("function_call"), Mapping) or str(message.get("type")).endswith(_CALL_ENDINGS)
    text = call_text(message) if is_call else None
    return [Part(text, CALL)] if text else []


def _transcript(message: Mapping[str, Any]) -> Any:
    audio = message.get("audio")
    return audio.get("transcript") if isinstance(audio, Mapping) else None


def _is_thought(part: Mapping[str, Any]) -> bool:
    kind = part.get("type") or part.get("block_type")
    return part.get("thought") is True or (isinstance(kind, str) and kind in _THOUGHTS)


def _text_of(part: Mapping[str, Any]) -> str | None:
    for field in _TEXT_FIELDS:
        text = part.get(field)
        if isinstance(text, Mapping):
            text = text.get("value")  # OpenAI's Assistants
        if isinstance(text, str):
            return text
    return None


def _unnamed_parts(part: Mapping[str, Any], kind: str, depth: int) -> list[Part]:
    part_type = part.get("type") or part.get("block_type")
    if isinstance(part_type, str) and part_type != "message":
        if part_type.endswith((*_CALL_ENDINGS, *_PIECE_ENDINGS)) and part_type not in _MEDIA_ITEMS:
            return []
        return [Part(f"[{part_type}]", MEDIA)]
    for field in _MEDIA_FIELDS:
        if part.get(field) is not None:
            return [Part(f"[{field}]", MEDIA)]
    nested = part.get("parts") if part.get("parts") is not None else part.get("content")
    return content_parts(nested, kind, depth - 1) if depth > 0 else []
