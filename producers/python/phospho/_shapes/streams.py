# A copy of schemas/phospho_schemas/shapes. `make schemas` writes it.
"""Answers that come in chunks, put together so that their text is that of the whole answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .figures import Usage, merge_counts, model_name, usage_of_counts
from .parts import CALL, PIECE, TEXT, Part, arguments_text, call_text, content_parts, is_result, item_parts, joined

__all__ = ["Assembly", "is_langchain_chunk"]

# A part's position in its answer: the choice, then the order in it.
_CONTENT, _REFUSAL, _AUDIO, _CALLS = range(4)
_BLOCKS = _ITEMS = _CALLS

_RESPONSES_TEXTS = {
    "response.output_text.delta": TEXT,
    "response.text.delta": TEXT,
    "response.refusal.delta": TEXT,
    "response.output_audio_transcript.delta": TEXT,
    "response.audio.transcript.delta": TEXT,
    "response.function_call_arguments.delta": CALL,
    "response.custom_tool_call_input.delta": CALL,
    "response.mcp_call_arguments.delta": CALL,
}
# Fields of the events that repeat what their deltas said.
_RESPONSES_WHOLE = ("text", "refusal", "transcript", "arguments", "input")
_RESPONSES_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.done")
_ANTHROPIC_EVENTS = frozenset({"message_start", "message_delta", "message_stop", "content_block_stop", "ping"})
_BEDROCK_EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop")
_TEXT_FIELDS = ("response", "output_text", "text", "output", "generated_text", "completion")


class _Growing:
    """
    One part of an answer, to which chunks add.

    The arguments of a call that *is_object* are written as those of a whole answer, in which they are an object.
    """

    __slots__ = ("identifier", "is_object", "kind", "name", "text")

    def __init__(self, kind: str, text: str = "") -> None:
        self.kind, self.text, self.name, self.identifier, self.is_object = kind, text, "", "", False

    def part(self) -> Part:
        if self.kind != CALL or not self.name:
            return Part(self.text, self.kind)
        arguments = arguments_text(_object(self.text or "{}")) if self.is_object else self.text
        return Part(f"{self.name}({arguments})", CALL)


class Assembly:
    """
    One answer of which chunks are added: OpenAI, Azure, LiteLLM, Anthropic, Gemini, Bedrock, Ollama, Cohere, LangChain,
    the AI SDK, and the events that the libraries' stream helpers add. An unknown chunk adds nothing.
    """

    def __init__(self) -> None:
        self._parts: dict[tuple[int, ...], _Growing] = {}
        self._counts: dict[str, Any] = {}
        self._model = ""
        self._block = -1
        # Where the next piece of a call goes, by its choice and index, and of a text, by the AI SDK's id.
        self._call_positions: dict[tuple[int, int], int] = {}
        self._text_positions: dict[str, int] = {}

    def add(self, chunk: Any) -> bool:
        """Add one chunk, as JSON. Return whether its shape is known."""
        if isinstance(chunk, str):
            self._grow((0, _CONTENT), chunk)
            return True
        if not isinstance(chunk, Mapping):
            return False
        if isinstance(chunk.get("chunk"), Mapping) and chunk.get("type") == "chunk":
            return self.add(chunk["chunk"])  # an event of OpenAI's stream helper
        self.add_figures(chunk)
        return "snapshot" in chunk or any(read(self, chunk) for read in _READERS)

    def add_figures(self, chunk: Any) -> None:
        """Add the token counts and the model of a chunk, without its text."""
        merge_counts(self._counts, chunk)
        self._model = self._model or model_name(chunk)

    def text(self) -> str:
        """Return the text of the answer so far: of several choices, the first one that has text."""
        if len(self._parts) == 1:
            return next(iter(self._parts.values())).part().text
        choices: dict[int, list[Part]] = {}
        for position in sorted(self._parts):
            choices.setdefault(position[0], []).append(self._parts[position].part())
        return next((text for parts in choices.values() if (text := joined(parts))), "")

    def usage(self) -> Usage:
        """Return the latest figure of each kind."""
        return usage_of_counts(self._counts)

    def model(self) -> str:
        """Return the model that the first chunk with one names."""
        return self._model

    def _grow(self, position: tuple[int, ...], text: Any, kind: str = TEXT) -> None:
        if isinstance(text, str) and text:
            part = self._parts.setdefault(position, _Growing(kind))
            part.text += text

    def _call(self, position: tuple[int, ...], name: Any, arguments: Any = None) -> None:
        """Begin a call, or add to its arguments."""
        part = self._parts.setdefault(position, _Growing(CALL))
        if isinstance(name, str) and name != part.name and not part.text:
            part.name += name
        part.text += arguments_text(arguments)

    def _set_whole(self, position: tuple[int, ...], parts: list[Part]) -> None:
        """Replace what *position* holds by whole parts."""
        for old in [old for old in self._parts if old[: len(position)] == position]:
            del self._parts[old]
        for number, part in enumerate(parts):
            self._parts[(*position, number)] = _Growing(part.kind, part.text)

    def _add_calls(self, choice: int, calls: Any) -> None:
        """Add calls of tools: pieces where they have an index, whole ones where they have none."""
        for call in calls if isinstance(calls, list) else ():
            if not isinstance(call, Mapping):
                continue
            nested = next(
                (call[field] for field in ("function", "custom") if isinstance(call.get(field), Mapping)), call
            )
            arguments = next(
                (nested[field] for field in ("arguments", "input", "args") if nested.get(field) is not None), None
            )
            name = nested.get("name")
            index = _number(call, "index", self._count(choice) - (0 if name else 1))
            identifier = call.get("id") if name else None
            self._call(self._call_position(choice, max(index, 0), identifier), name, arguments)

    def _call_position(self, choice: int, index: int, identifier: Any) -> tuple[int, ...]:
        """Return where a piece of a call goes. Gemini's OpenAI API gives all its calls the index 0, and an id each."""
        position = (choice, _CALLS, self._call_positions.get((choice, index), index))
        part = self._parts.get(position)
        if isinstance(identifier, str) and identifier:
            if part is not None and part.identifier not in ("", identifier):
                position = (choice, _CALLS, self._count(choice))
                self._call_positions[choice, index] = position[2]
            self._parts.setdefault(position, _Growing(CALL)).identifier = identifier
        return position

    def _count(self, choice: int) -> int:
        return sum(position[:2] == (choice, _CALLS) for position in self._parts)

    # The shapes. Each returns whether the chunk has it.

    def _chat(self, chunk: Mapping[str, Any]) -> bool:
        """Chat Completions and legacy completions. Azure's chunks may lack choices or their delta."""
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return chunk.get("object") in ("chat.completion.chunk", "text_completion")
        for choice in choices:
            if isinstance(choice, Mapping):
                self._chat_choice(_number(choice, "index"), choice)
        return True

    def _chat_choice(self, index: int, choice: Mapping[str, Any]) -> None:
        self._grow((index, _CONTENT), choice.get("text"))
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, Mapping):
            self._message_delta(index, delta)

    def _message_delta(self, choice: int, delta: Mapping[str, Any]) -> None:
        content, audio, call = delta.get("content"), delta.get("audio"), delta.get("function_call")
        for part in content_parts(content):
            if part.kind != CALL:
                self._grow((choice, _CONTENT), part.text)
        self._grow((choice, _REFUSAL), delta.get("refusal"))
        if isinstance(audio, Mapping):
            self._grow((choice, _AUDIO), audio.get("transcript"))
        self._add_calls(choice, delta.get("tool_call_chunks") or delta.get("tool_calls"))
        if isinstance(call, Mapping):
            self._call((choice, _CALLS, 0), call.get("name"), call.get("arguments"))

    def _responses(self, event: Mapping[str, Any]) -> bool:
        kind = event.get("type")
        if not isinstance(kind, str) or not kind.startswith("response."):
            return False
        position = (0, _ITEMS, _number(event, "output_index"))
        if kind in _RESPONSES_TEXTS:
            self._responses_delta(position, _RESPONSES_TEXTS[kind], event)
        elif kind in _RESPONSES_ENDS:
            self._responses_end(event.get("response"))
        elif isinstance(event.get("item"), Mapping):
            self._responses_item(position, kind, event["item"])
        elif kind.endswith(".done") and f"{kind[:-5]}.delta" in _RESPONSES_TEXTS:
            self._responses_whole(position, _RESPONSES_TEXTS[f"{kind[:-5]}.delta"], event)
        return True

    def _responses_delta(self, position: tuple[int, ...], kind: str, event: Mapping[str, Any]) -> None:
        if kind == TEXT:
            self._grow((*position, _number(event, "content_index")), event.get("delta"))
        else:
            self._call((*position, 0), None, event.get("delta"))

    def _responses_whole(self, position: tuple[int, ...], kind: str, event: Mapping[str, Any]) -> None:
        """Take the whole text of a part or a call, whose deltas the app may not have passed on."""
        text = next((event[field] for field in _RESPONSES_WHOLE if isinstance(event.get(field), str)), "")
        position = (*position, _number(event, "content_index") if kind == TEXT else 0)
        if text:
            self._parts.setdefault(position, _Growing(kind)).text = text

    def _responses_item(self, position: tuple[int, ...], kind: str, item: Mapping[str, Any]) -> None:
        if kind == "response.output_item.done":
            self._set_whole(position, item_parts(item))
        elif call_text(item) is not None:
            self._call((*position, 0), item.get("name"))

    def _responses_end(self, response: Any) -> None:
        """Take the whole answer, which the last event repeats."""
        items = response.get("output") if isinstance(response, Mapping) else None
        if isinstance(items, list) and items:
            self._parts.clear()
            self._set_whole((0, _ITEMS), [p for item in items if isinstance(item, Mapping) for p in item_parts(item)])

    def _anthropic(self, event: Mapping[str, Any]) -> bool:
        kind = event.get("type")
        if kind == "content_block_start" and isinstance(event.get("content_block"), Mapping):
            self._block = _number(event, "index", self._block + 1)
            self._start_block(event["content_block"])
        elif kind == "content_block_delta" and isinstance(event.get("delta"), Mapping):
            self._block = _number(event, "index", max(self._block, 0))
            self._block_delta(event["delta"])
        else:
            return isinstance(kind, str) and kind in _ANTHROPIC_EVENTS
        return True

    def _start_block(self, block: Mapping[str, Any]) -> None:
        position = (0, _BLOCKS, self._block)
        if isinstance(block.get("name"), str) and not is_result(block):
            self._call(position, block["name"], block.get("input") or None)
            self._parts[position].is_object = True
            return
        for part in content_parts(block):
            self._grow(position, part.text, part.kind)

    def _block_delta(self, delta: Mapping[str, Any]) -> None:
        position = (0, _BLOCKS, self._block)
        held = self._parts.get(position)
        if "partial_json" in delta:
            if held is not None and held.kind == CALL:
                held.text += arguments_text(delta["partial_json"])
        elif delta.get("type") == "citations_delta":
            self._parts.setdefault(position, _Growing(PIECE)).kind = PIECE
        else:
            self._grow(position, delta.get("text"))

    def _gemini(self, chunk: Mapping[str, Any]) -> bool:
        candidates = chunk.get("candidates")
        if not isinstance(candidates, list):
            return "usageMetadata" in chunk or ("usage_metadata" in chunk and "content" not in chunk)
        for position, candidate in enumerate(candidates):
            content = candidate.get("content") if isinstance(candidate, Mapping) else None
            if isinstance(content, Mapping):
                self._append(_number(candidate, "index", position), content_parts(content.get("parts"), PIECE))
        return True

    def _append(self, choice: int, parts: list[Part]) -> None:
        """Add whole parts behind those of the choice. Pieces continue the last one."""
        for part in parts:
            count = self._count(choice)
            last = self._parts.get((choice, _BLOCKS, count - 1))
            if last is not None and last.kind == part.kind == PIECE:
                last.text += part.text
            else:
                self._parts[(choice, _BLOCKS, count)] = _Growing(part.kind, part.text)

    def _bedrock(self, event: Mapping[str, Any]) -> bool:
        for name in _BEDROCK_EVENTS:
            body = event.get(name)
            if isinstance(body, Mapping):
                self._block = _number(body, "contentBlockIndex", max(self._block, 0))
                self._bedrock_block(body)
                return True
        return isinstance(event.get("metadata"), Mapping) and "usage" in event["metadata"]

    def _bedrock_block(self, body: Mapping[str, Any]) -> None:
        position = (0, _BLOCKS, self._block)
        start, delta = body.get("start"), body.get("delta")
        for change in (start, delta):
            call = change.get("toolUse") if isinstance(change, Mapping) else None
            if isinstance(call, Mapping):
                self._call(position, call.get("name"), call.get("input"))
                self._parts[position].is_object = True
        if isinstance(delta, Mapping):
            self._grow(position, delta.get("text"))

    def _ai_sdk(self, part: Mapping[str, Any]) -> bool:
        """Parts of the AI SDK's streams, of which the last step is the answer."""
        kind = part.get("type")
        if kind == "text-delta":
            text = next((part[field] for field in ("delta", "textDelta", "text") if part.get(field) is not None), None)
            if text:
                self._grow(self._text_position(part.get("id")), text)
        elif kind in ("tool-call", "tool-input-available") and call_text(part):
            self._append(0, [Part(call_text(part) or "", CALL)])
        elif kind in ("start-step", "step-start"):
            self._parts.clear()
            self._text_positions.clear()
        else:
            return isinstance(kind, str) and ("-" in kind or kind in ("start", "finish", "error", "abort"))
        return True

    def _text_position(self, identifier: Any) -> tuple[int, ...]:
        if not isinstance(identifier, str):
            return (0, _CONTENT)
        return (0, _BLOCKS, self._text_positions.setdefault(identifier, self._count(0)))

    def _cohere(self, event: Mapping[str, Any]) -> bool:
        kind, delta = event.get("type"), event.get("delta")
        message = delta.get("message") if isinstance(delta, Mapping) else None
        if kind not in ("content-delta", "tool-call-start", "tool-call-delta") or not isinstance(message, Mapping):
            return False
        content, call = message.get("content"), message.get("tool_calls")
        if isinstance(content, Mapping):
            self._grow((0, _CONTENT), content.get("text"))
        if isinstance(call, Mapping):
            self._add_calls(0, [{**call, "index": event.get("index")}])
        return True

    def _message(self, chunk: Mapping[str, Any]) -> bool:
        """Lines of Ollama, LangChain's chunks, and chunks that are text in one field."""
        message = chunk.get("message")
        if isinstance(message, Mapping) and ("role" in message or "content" in message):
            self._message_delta(0, message)
            return True
        if is_langchain_chunk(chunk) or chunk.get("role") in ("assistant", "model"):
            self._message_delta(0, chunk)
            return True
        text = next((chunk[field] for field in _TEXT_FIELDS if isinstance(chunk.get(field), str)), None)
        self._grow((0, _CONTENT), text)
        return text is not None


def is_langchain_chunk(value: Any) -> bool:
    """Return whether *value* is a chunk of LangChain's streams."""
    return isinstance(value, Mapping) and value.get("type") == "AIMessageChunk"


def _number(event: Mapping[str, Any], field: str, default: int = 0) -> int:
    number = event.get(field)
    return int(number) if isinstance(number, (int, float)) and number == number // 1 else default


def _object(text: str) -> Any:
    """Return the object in a call's arguments, or the text as long as it isn't whole."""
    if not text.endswith("}"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


_READERS: tuple[Callable[[Assembly, Mapping[str, Any]], bool], ...]
_READERS = (
    Assembly._chat,
    Assembly._responses,
    Assembly._anthropic,
    Assembly._gemini,
    Assembly._bedrock,
    Assembly._cohere,
    Assembly._ai_sdk,
    Assembly._message,
)
