"""Answers that come in chunks, put together so that their text is that of the whole answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .answer_parts import AUDIO, BLOCKS, CALLS, CONTENT, REFUSAL, number
from .envelopes import is_langchain_chunk, without_envelope
from .figures import Usage, merge_counts, model_name, usage_of_counts
from .parts import (
    CALL,
    PIECE,
    TEXT,
    Part,
    arguments_text,
    call_text,
    content_parts,
    is_result,
    item_parts,
    message_parts,
)
from .text_chunks import TextChunks

__all__ = ["Assembly"]

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

# The last of OpenAI's server-sent events, which some apps pass on.
_DONE = "[DONE]"


class Assembly(TextChunks):
    """
    One answer of which chunks are added: OpenAI, Assistants, Azure, LiteLLM, Anthropic, Gemini, Bedrock, Ollama,
    Cohere, LangChain, LlamaIndex, the AI SDK, and the events that the libraries' stream helpers add. An unknown chunk
    adds nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, Any] = {}
        self._model = ""
        self._block = -1
        # Where the texts of the AI SDK and of Assistants go, by their ids.
        self._text_positions: dict[str, int] = {}

    def add(self, chunk: Any) -> bool:
        """Add one chunk, as JSON. Return whether its shape is known."""
        if isinstance(chunk, str):
            self._grow((0, CONTENT), "" if chunk.strip() == _DONE else chunk)
            return True
        if not isinstance(chunk, Mapping):
            return False
        if isinstance(chunk.get("chunk"), Mapping) and chunk.get("type") == "chunk":
            chunk = chunk["chunk"]  # an event of OpenAI's stream helper
        chunk = without_envelope(chunk)
        self.add_figures(chunk)
        if "snapshot" in chunk and not str(chunk.get("type")).startswith("response."):
            self._helper_event(chunk)
            return True
        return any(read(self, chunk) for read in _READERS)

    def add_figures(self, chunk: Any) -> None:
        """Add the token counts and the model of a chunk, without its text."""
        merge_counts(self._counts, chunk)
        self._model = self._model or model_name(chunk)

    def usage(self) -> Usage:
        """Return the latest figure of each kind."""
        return usage_of_counts(self._counts)

    def model(self) -> str:
        """Return the model that the first chunk with one names."""
        return self._model

    # The shapes. Each returns whether the chunk has it.

    def _chat(self, chunk: Mapping[str, Any]) -> bool:
        """Chat Completions and legacy completions. Azure's chunks may lack choices or their delta."""
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return chunk.get("object") in ("chat.completion.chunk", "text_completion")
        for choice in choices:
            if isinstance(choice, Mapping):
                self._chat_choice(number(choice, "index"), choice)
        return True

    def _chat_choice(self, index: int, choice: Mapping[str, Any]) -> None:
        self._grow((index, CONTENT), choice.get("text"))
        delta = choice.get("delta")
        # Beside a delta, Perplexity's message is all that came so far.
        message = delta if isinstance(delta, Mapping) else choice.get("message")
        if isinstance(message, Mapping):
            self._message_delta(index, message)

    def _message_delta(self, choice: int, delta: Mapping[str, Any]) -> None:
        content, audio, call = delta.get("content"), delta.get("audio"), delta.get("function_call")
        for part in content_parts(content):
            if part.kind != CALL:
                self._grow((choice, CONTENT), part.text)
        self._grow((choice, REFUSAL), delta.get("refusal"))
        if isinstance(audio, Mapping):
            self._grow((choice, AUDIO), audio.get("transcript"))
        self._add_calls(choice, delta.get("tool_call_chunks") or delta.get("tool_calls"))
        if isinstance(call, Mapping):
            self._call((choice, CALLS, 0), call.get("name"), call.get("arguments"))

    def _responses(self, event: Mapping[str, Any]) -> bool:
        kind = event.get("type")
        if event.get("object") == "response":
            self._responses_end(event)
            return True
        if not isinstance(kind, str) or not kind.startswith("response."):
            return False
        position = (0, BLOCKS, number(event, "output_index"))
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
            self._grow((*position, number(event, "content_index")), event.get("delta"))
        else:
            self._call((*position, 0), None, event.get("delta"))

    def _responses_whole(self, position: tuple[int, ...], kind: str, event: Mapping[str, Any]) -> None:
        """Take the whole text of a part or a call, whose deltas the app may not have passed on."""
        text = next((event[field] for field in _RESPONSES_WHOLE if isinstance(event.get(field), str)), "")
        position = (*position, number(event, "content_index") if kind == TEXT else 0)
        if text:
            self._part(position, kind).set_text(text)

    def _responses_item(self, position: tuple[int, ...], kind: str, item: Mapping[str, Any]) -> None:
        if kind == "response.output_item.done":
            self._replace(position, item_parts(item))
        elif call_text(item) is not None:
            self._call((*position, 0), item.get("name"))

    def _responses_end(self, response: Any) -> None:
        """Take the whole answer, which the last event repeats."""
        items = response.get("output") if isinstance(response, Mapping) else None
        if isinstance(items, list) and items:
            self._clear()
            self._replace((0, BLOCKS), [p for item in items if isinstance(item, Mapping) for p in item_parts(item)])

    def _anthropic(self, event: Mapping[str, Any]) -> bool:
        kind = event.get("type")
        if kind == "content_block_start" and isinstance(event.get("content_block"), Mapping):
            self._block = number(event, "index", self._block + 1)
            self._start_block(event["content_block"])
        elif kind == "content_block_delta" and isinstance(event.get("delta"), Mapping):
            self._block = number(event, "index", max(self._block, 0))
            self._block_delta(event["delta"])
        elif kind == "message" and isinstance(event.get("content"), list):
            self._replace((0, BLOCKS), message_parts(event))
        else:
            return isinstance(kind, str) and kind in _ANTHROPIC_EVENTS
        return True

    def _start_block(self, block: Mapping[str, Any]) -> None:
        position = (0, BLOCKS, self._block)
        if isinstance(block.get("name"), str) and not is_result(block):
            self._call(position, block["name"], block.get("input") or None)
            self._parts[position].is_object = True
            return
        for part in content_parts(block):
            self._grow(position, part.text, part.kind)

    def _block_delta(self, delta: Mapping[str, Any]) -> None:
        position = (0, BLOCKS, self._block)
        started_part = self._parts.get(position)
        if "partial_json" in delta:
            if started_part is not None and started_part.kind == CALL:
                started_part.add_text(arguments_text(delta["partial_json"]))
        elif delta.get("type") == "citations_delta":
            self._part(position, PIECE).kind = PIECE
        else:
            self._grow(position, delta.get("text"))

    def _gemini(self, chunk: Mapping[str, Any]) -> bool:
        candidates = chunk.get("candidates")
        if not isinstance(candidates, list):
            return "usageMetadata" in chunk or ("usage_metadata" in chunk and "content" not in chunk)
        for position, candidate in enumerate(candidates):
            content = candidate.get("content") if isinstance(candidate, Mapping) else None
            if isinstance(content, Mapping):
                self._gemini_parts(number(candidate, "index", position), content.get("parts"))
        return True

    def _gemini_parts(self, choice: int, parts: Any) -> None:
        for part in parts if isinstance(parts, list) else [parts]:
            call = (part.get("functionCall") or part.get("function_call")) if isinstance(part, Mapping) else None
            pieces = (call.get("partialArgs") or call.get("partial_args")) if isinstance(call, Mapping) else None
            if isinstance(call, Mapping) and (pieces or call.get("args") is None):
                self._piece_of_call(choice, call.get("name"), pieces)
            else:
                self._append(choice, content_parts(part, PIECE))

    def _piece_of_call(self, choice: int, name: Any, pieces: Any) -> None:
        """Begin a call that has a name, or go on with the last one."""
        count = self._count(choice)
        position = (choice, CALLS, count if isinstance(name, str) and name else count - 1)
        if position[2] == count:
            self._call(position, name)
        part = self._parts.get(position)
        for piece in pieces if isinstance(pieces, list) and part is not None else ():
            if part is not None and isinstance(piece, Mapping):
                part.add_argument(piece)

    def _bedrock(self, event: Mapping[str, Any]) -> bool:
        for name in _BEDROCK_EVENTS:
            body = event.get(name)
            if isinstance(body, Mapping):
                self._block = number(body, "contentBlockIndex", max(self._block, 0))
                self._bedrock_block(body)
                return True
        return isinstance(event.get("metadata"), Mapping) and "usage" in event["metadata"]

    def _bedrock_block(self, body: Mapping[str, Any]) -> None:
        position = (0, BLOCKS, self._block)
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
            self._clear()
            self._text_positions.clear()
        else:
            return isinstance(kind, str) and ("-" in kind or kind in ("start", "finish", "error", "abort"))
        return True

    def _text_position(self, identifier: Any) -> tuple[int, ...]:
        if not isinstance(identifier, str):
            return (0, CONTENT)
        return (0, BLOCKS, self._text_positions.setdefault(identifier, self._count(0)))

    def _assistants(self, event: Mapping[str, Any]) -> bool:
        """Objects of the Assistants API: messages and their pieces, and runs, which ask for calls of tools."""
        kind, delta = event.get("object"), event.get("delta")
        if not isinstance(kind, str) or not kind.startswith("thread"):
            return False
        if kind == "thread.message" and event.get("role") == "assistant":
            parts = message_parts(event)
            if parts:
                self._replace(self._text_position(event.get("id")), parts)
        elif kind == "thread.message.delta" and isinstance(delta, Mapping):
            self._assistants_text(self._text_position(event.get("id")), delta.get("content"))
        elif kind == "thread.run.step.delta" and isinstance(delta, Mapping):
            details = delta.get("step_details")
            self._add_calls(0, [call for call in _calls_of(details) if isinstance(call.get("function"), Mapping)])
        elif kind == "thread.run":
            self._required_calls(event.get("required_action"))
        return True

    def _assistants_text(self, position: tuple[int, ...], pieces: Any) -> None:
        for piece in pieces if isinstance(pieces, list) else ():
            for part in content_parts(piece):
                self._grow((*position, number(piece, "index")), part.text, part.kind)

    def _required_calls(self, action: Any) -> None:
        """Take the calls that a run asks for, which may have come in pieces."""
        calls = _calls_of(action.get("submit_tool_outputs")) if isinstance(action, Mapping) else []
        if calls:
            for position in list(self._positions_of_calls):
                self._remove(position)
            self._append(0, message_parts({"tool_calls": calls}))

    def _cohere(self, event: Mapping[str, Any]) -> bool:
        if isinstance(event.get("event_type"), str):
            return self._cohere_1(event["event_type"], event)
        kind, delta = event.get("type"), event.get("delta")
        message = delta.get("message") if isinstance(delta, Mapping) else None
        if kind not in ("content-delta", "tool-call-start", "tool-call-delta") or not isinstance(message, Mapping):
            return False
        content, call = message.get("content"), message.get("tool_calls")
        if isinstance(content, Mapping):
            self._grow((0, CONTENT), content.get("text"))
        if isinstance(call, Mapping):
            self._add_calls(0, [{**call, "index": event.get("index")}])
        return True

    def _cohere_1(self, kind: str, event: Mapping[str, Any]) -> bool:
        """Events of Cohere's first API."""
        if kind == "text-generation":
            self._grow((0, CONTENT), event.get("text"))
        elif kind == "tool-calls-generation":
            self._append(0, message_parts({"tool_calls": event.get("tool_calls")}))
        return "-" in kind

    def _message(self, chunk: Mapping[str, Any]) -> bool:
        """Lines of Ollama, and LangChain's chunks."""
        message = chunk.get("message")
        if isinstance(message, Mapping) and ("role" in message or "content" in message):
            self._message_delta(0, message)
            return True
        if is_langchain_chunk(chunk) or chunk.get("role") in ("assistant", "model"):
            self._message_delta(0, chunk)
            return True
        return False


def _calls_of(holder: Any) -> list[Mapping[str, Any]]:
    calls = holder.get("tool_calls") if isinstance(holder, Mapping) else None
    return [call for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []


_READERS: tuple[Callable[[Assembly, Mapping[str, Any]], bool], ...]
_READERS = (
    Assembly._chat,
    Assembly._responses,
    Assembly._anthropic,
    Assembly._gemini,
    Assembly._bedrock,
    Assembly._assistants,
    Assembly._interaction,
    Assembly._cohere,
    Assembly._transcription,
    Assembly._ai_sdk,
    Assembly._token,
    Assembly._listed_answers,
    Assembly._agent_message,
    Assembly._llama_index,
    Assembly._message,
    Assembly._plain_text,
)
