/** Parts of a message: text, calls of tools, thoughts, results of tools, and media. */

import { encode, isObject, type Json, type JsonObject } from "../json.js";

/** A "piece" continues the text beside it; the other kinds have lines of their own. */
export type Kind = "text" | "piece" | "call" | "media";

export interface Part {
  text: string;
  kind: Kind;
}

// Content holds content in no known API more than this deep.
const MAX_DEPTH = 4;

const TEXT_FIELDS = ["text", "refusal", "transcript"];
// Mistral's citations stand between the pieces of a text.
const CITATION = "reference";
const THOUGHTS = new Set<Json>([
  CITATION,
  "thinking",
  "redacted_thinking",
  "reasoning",
  "reasoning_content",
  "step-start",
]);
const RESULT_ENDINGS = ["_result", "-result", "_output", "_response"];
const RESULT_FIELDS = [
  "functionResponse",
  "function_response",
  "toolResult",
  "codeExecutionResult",
  "code_execution_result",
  "tool_use_id",
];

// Fields of a response that are its text: Ollama, Responses' helper, the AI SDK, apps of their own, TGI, Anthropic's
// legacy completions, Bedrock's Llama and Titan, OpenAI's Agents.
export const PLAIN_TEXT_FIELDS = [
  "response",
  "output_text",
  "text",
  "output",
  "generated_text",
  "completion",
  "generation",
  "outputText",
  "final_output",
];

// Fields that hold a call: OpenAI, OpenAI's custom tools, Gemini, Bedrock.
const CALL_FIELDS = ["function", "custom", "functionCall", "function_call", "toolUse"];
const NAME_FIELDS = ["name", "toolName", "tool_name"];
export const ARGUMENT_FIELDS = ["arguments", "input", "args", "parameters", "tool_kwargs"];
// Fields of a message that hold what it says. LlamaIndex has blocks.
const CONTENT_FIELDS = ["content", "parts", "blocks"];
const CALL_ENDINGS = ["_call", "-call", "tool_use", "_approval_request"];
// Fields that list calls. LangChain has those apart whose arguments are no JSON.
const CALLS_FIELDS = [["tool_calls", "invalid_tool_calls"], ["toolCalls"]];
// Pieces of a call in LangChain's chunks, beside its `tool_call_chunks`.
const PIECE_ENDINGS = ["_chunk", "_delta"];
// Items of Responses that are media. The others without a name (searches, thoughts) add nothing.
const MEDIA_ITEMS = new Set<Json>(["image_generation_call"]);
const MEDIA_FIELDS = [
  "inline_data",
  "inlineData",
  "file_data",
  "fileData",
  "image",
  "document",
  "video",
  "audio",
];

/** Return the text of *parts*. Blank ones count only where there is nothing else. */
export function joined(parts: readonly Part[]): string {
  let kept = parts.filter((part) => part.text);
  if (kept.some((part) => part.text.trim())) {
    kept = kept.filter((part) => part.text.trim() || part.kind === "piece");
  }
  let text = "";
  let kindBefore: Kind | undefined;
  for (const part of kept) {
    const continues =
      (kindBefore === "piece" || part.kind === "piece") && !hasOwnLine(kindBefore) && !hasOwnLine(part.kind);
    text += !text || continues ? part.text : `\n${part.text}`;
    kindBefore = part.kind;
  }
  return text;
}

function hasOwnLine(kind: Kind | undefined): boolean {
  return kind === "call" || kind === "media";
}

/** Return the parts of a message: its content, refusal and audio transcript, then its calls of tools. */
export function messageParts(message: JsonObject): Part[] {
  // Gemini cuts one answer into parts anywhere.
  const kind = message.role === "model" ? "piece" : "text";
  const contents = CONTENT_FIELDS.map((field) => contentParts(message[field], kind));
  const parts = contents.find((content) => content.length > 0) ?? [];
  const transcript = isObject(message.audio) ? message.audio.transcript : undefined;
  for (const text of [message.refusal, transcript]) {
    if (typeof text === "string") parts.push({ text, kind: "text" });
  }
  const calls = callsOf(message);
  // LangChain repeats the calls of a content list.
  return calls.length > 0 ? [...parts.filter((part) => part.kind !== "call"), ...calls] : parts;
}

/**
 * Return the parts of a message's content: a string, a part, or a list of both.
 *
 * *kind* is that of the parts of a plain text. Parts with citations are pieces, because Anthropic cuts a text at each.
 * Thoughts and results of tools are left out. Other parts without text become their type, as in `[image_url]`.
 */
export function contentParts(content: Json | undefined, kind: Kind = "text", depth = MAX_DEPTH): Part[] {
  if (typeof content === "string") return [{ text: content, kind }];
  if (Array.isArray(content)) {
    const itemKind = content.some((item) => isObject(item) && item.type === CITATION) ? "piece" : kind;
    return depth > 0 ? content.flatMap((item) => contentParts(item, itemKind, depth - 1)) : [];
  }
  if (!isObject(content) || isThought(content) || isResult(content)) return [];
  const text = textOf(content);
  if (text !== undefined) return [{ text, kind: isFilled(content.citations) ? "piece" : kind }];
  const call = callText(content);
  if (call !== undefined) return [{ text: call, kind: "call" }];
  return unnamedParts(content, kind, depth);
}

/** Return whether *part* is the result of a tool, which neither the user nor the model has said. */
export function isResult(part: Json | undefined): boolean {
  if (!isObject(part)) return false;
  return endsWith(part.type, RESULT_ENDINGS) || RESULT_FIELDS.some((field) => part[field] != null);
}

/** Return a call of a tool as `name(arguments)`. Undefined if *call* is none. */
export function callText(call: Json | undefined): string | undefined {
  if (!isObject(call)) return undefined;
  const nested = CALL_FIELDS.map((field) => call[field]).find(isObject);
  const named = nested ?? call;
  const name = NAME_FIELDS.map((field) => named[field]).find((value) => typeof value === "string");
  const shown = name ?? uiName(call);
  if (!shown) return undefined;
  const args = ARGUMENT_FIELDS.map((field) => named[field]).find((value) => value != null);
  if (args === undefined && nested === undefined && !endsWith(call.type, CALL_ENDINGS)) return undefined;
  return `${shown}(${argumentsText(args)})`;
}

/** Return the parts of one item of a Responses output: a message, or a call that has a name. */
export function itemParts(item: JsonObject): Part[] {
  if (MEDIA_ITEMS.has(item.type ?? null)) return [{ text: `[${item.type}]`, kind: "media" }];
  const call = isResult(item) ? undefined : callText(item);
  if (call !== undefined) return [{ text: call, kind: "call" }];
  return "content" in item && item.type !== "reasoning" ? messageParts(item) : [];
}

/** Return the arguments of a call: text as it is, other values as JSON, nothing as nothing. */
export function argumentsText(args: Json | undefined): string {
  if (args == null) return "";
  // As Python writes JSON by default.
  return typeof args === "string" ? args : encode(args, ", ", ": ");
}

/** Return the name of a call in a UI message of the AI SDK, whose type is `tool-` and the name. */
function uiName(call: JsonObject): string {
  const kind = call.type;
  const isCall = typeof kind === "string" && kind.startsWith("tool-") && "toolCallId" in call;
  return isCall ? kind.slice("tool-".length) : "";
}

function callsOf(message: JsonObject): Part[] {
  for (const fields of CALLS_FIELDS) {
    const calls = fields.flatMap((field) => (Array.isArray(message[field]) ? message[field] : []));
    if (calls.length > 0) return calls.flatMap((call) => callPart(callText(call)));
  }
  const isCall = isObject(message.function_call) || endsWith(message.type, CALL_ENDINGS);
  return isCall ? callPart(callText(message)) : [];
}

function callPart(text: string | undefined): Part[] {
  return text ? [{ text, kind: "call" }] : [];
}

function isThought(part: JsonObject): boolean {
  return part.thought === true || THOUGHTS.has(part.type || part.block_type || null);
}

function textOf(part: JsonObject): string | undefined {
  for (const field of TEXT_FIELDS) {
    const value = part[field];
    const text = isObject(value) ? value.value : value; // OpenAI's Assistants
    if (typeof text === "string") return text;
  }
  return undefined;
}

function unnamedParts(part: JsonObject, kind: Kind, depth: number): Part[] {
  const type = part.type || part.block_type;
  if (typeof type === "string" && type !== "message") {
    const isCall = endsWith(type, [...CALL_ENDINGS, ...PIECE_ENDINGS]);
    if (isCall && !MEDIA_ITEMS.has(type)) return [];
    return [{ text: `[${type}]`, kind: "media" }];
  }
  const field = MEDIA_FIELDS.find((name) => part[name] != null);
  if (field) return [{ text: `[${field}]`, kind: "media" }];
  return depth > 0 ? contentParts(part.parts ?? part.content, kind, depth - 1) : [];
}

function endsWith(value: Json | undefined, endings: readonly string[]): boolean {
  return typeof value === "string" && endings.some((ending) => value.endsWith(ending));
}

function isFilled(value: Json | undefined): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}
