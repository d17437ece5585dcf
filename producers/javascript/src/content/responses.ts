/** Text of whole responses: OpenAI, Anthropic, Gemini, Ollama, LiteLLM, LangChain. */

import { firstItem, listField, read } from "./fields.js";
import { callsText, contentText } from "./message-parts.js";

type Reader = (value: unknown) => string | undefined;

/** Return the text of a response. Undefined if its shape is unknown. */
export function responseText(value: unknown): string | undefined {
  for (const reader of READERS) {
    const text = reader(value);
    if (text !== undefined) return text;
  }
  return undefined;
}

/** Return a message's content, else its refusal, else its tool calls. */
function messageText(message: unknown): string | undefined {
  const text = contentText(read(message, "content"));
  if (text) return text;
  const refusal = read(message, "refusal");
  if (typeof refusal === "string" && refusal) return refusal;
  return callsText(listField(message, "tool_calls")) || callsText([message]) || text;
}

/** Read `choices[0]` of Chat Completions, LiteLLM, and the legacy completions. */
function openaiChat(value: unknown): string | undefined {
  const choice = firstItem(value, "choices");
  const message = read(choice, "message");
  if (message !== undefined) return messageText(message) ?? "";
  const text = read(choice, "text");
  return typeof text === "string" ? text : undefined;
}

const TEXT_ITEMS: ReadonlySet<unknown> = new Set(["message", "function_call"]);

/** Read the `output` of the Responses API: messages and calls, in order. */
function openaiResponse(value: unknown): string | undefined {
  const output = listField(value, "output");
  if (output.length === 0) return undefined;
  const textItems = output.filter((item) => TEXT_ITEMS.has(read(item, "type")));
  return textItems
    .map(messageText)
    .filter((text) => text)
    .join("\n");
}

function anthropic(value: unknown): string | undefined {
  const content = read(value, "content");
  if (read(value, "type") !== "message" || !Array.isArray(content)) return undefined;
  return contentText(content) ?? "";
}

function gemini(value: unknown): string | undefined {
  const candidate = firstItem(value, "candidates");
  if (candidate === undefined) return undefined;
  // Gemini cuts one text into parts anywhere.
  return contentText(read(read(candidate, "content"), "parts"), "") ?? "";
}

function ollama(value: unknown): string | undefined {
  const response = read(value, "response");
  if (typeof response === "string") return response;
  const message = read(value, "message");
  return read(message, "role") === undefined ? undefined : (messageText(message) ?? "");
}

/** Read `generations[0][0]` of an LLMResult, or `generations[0]` of a ChatResult. */
function langchain(value: unknown): string | undefined {
  const generation = firstItem(value, "generations");
  const text = read(Array.isArray(generation) ? generation[0] : generation, "text");
  return typeof text === "string" ? text : undefined;
}

const READERS: readonly Reader[] = [openaiChat, openaiResponse, anthropic, gemini, ollama, langchain];
