/** Text of one chunk of a stream. */

import { firstItem, read } from "./fields.js";

// Events of the Responses API that add text. The others repeat it whole, or carry something else.
const RESPONSES_TEXT = new Set(["response.output_text.delta", "response.refusal.delta"]);

// Events of Anthropic's streams (https://docs.anthropic.com/en/docs/build-with-claude/streaming).
const ANTHROPIC_EVENTS: ReadonlySet<unknown> = new Set([
  "message_start",
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
  "message_delta",
  "message_stop",
  "ping",
]);

/** Return the text of a chunk of OpenAI or Anthropic, "" for one without text. Undefined if *value* is no chunk. */
export function chunkText(value: unknown): string | undefined {
  const kind = read(value, "type");
  if (typeof kind === "string" && kind.startsWith("response.")) {
    return RESPONSES_TEXT.has(kind) ? stringOf(read(value, "delta")) : "";
  }
  if (ANTHROPIC_EVENTS.has(kind)) return stringOf(read(read(value, "delta"), "text"));
  return openaiChatChunk(value);
}

function openaiChatChunk(value: unknown): string | undefined {
  const choice = firstItem(value, "choices");
  if (read(value, "object") === "chat.completion.chunk" && choice === undefined) {
    return ""; // the last chunk, with the usage only
  }
  const delta = read(choice, "delta");
  if (delta === undefined || read(choice, "message") !== undefined) return undefined;
  return stringOf(read(delta, "content")) || stringOf(read(delta, "refusal"));
}

function stringOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
