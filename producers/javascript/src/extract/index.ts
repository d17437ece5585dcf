/*
 * Text, usage and system prompt of whatever an app passes as input or output.
 *
 * Everything is recognised by its shape, so no client library is imported. The readers are those of the Python
 * SDK, in the same order.
 */

import { textOf } from "../json.js";
import { chunkText } from "./chunks.js";
import { conversationOf, lastText, systemText } from "./conversations.js";
import { responseText } from "./responses.js";
import { parsed, read } from "./shapes.js";

export { usageOf } from "./usage.js";

// Where the calls of the known clients carry a prompt that is plain text.
const PROMPT_FIELDS = ["prompt", "input", "question", "query"];

/** Return what the user said: of a conversation the last user messages, joined by newlines. */
export function inputText(given: unknown): string {
  const value = parsed(given);
  if (value == null) return "";
  return typeof value === "string" ? value : (knownInputText(value) ?? textOf(value));
}

/** Return what the user said, undefined where *value* is no call and no conversation that is known. */
export function knownInputText(value: unknown): string | undefined {
  const conversation = conversationOf(value);
  if (conversation) return lastText(conversation, "user") ?? "";
  return PROMPT_FIELDS.map((field) => read(value, field)).find((prompt) => typeof prompt === "string") as
    | string
    | undefined;
}

/**
 * Return what the assistant said, null if it said nothing, and "" for a chunk without text.
 *
 * *given* may be a whole response, one chunk of a stream, or a conversation, of which the last assistant
 * messages are taken.
 */
export function outputText(given: unknown): string | null {
  const value = parsed(given);
  if (value == null) return null;
  if (typeof value === "string") return value;
  const text = chunkText(value) ?? responseText(value);
  if (text !== undefined) return text;
  const conversation = conversationOf(value);
  return conversation ? (lastText(conversation, "assistant") ?? null) : textOf(value);
}

/** Return the system prompt that *input*, or else *output*, carries. */
export function systemPromptOf(input: unknown, output?: unknown): string | undefined {
  return systemText(input) || systemText(output);
}

/** Return the name of the model, of the output if it says so (it is the exact one). */
export function modelOf(input: unknown, output?: unknown): string | undefined {
  for (const value of [parsed(output), parsed(input)]) {
    for (const field of ["model", "model_version", "modelVersion"]) {
      const name = read(value, field);
      if (typeof name === "string" && name) return name;
    }
  }
  return undefined;
}
