/** Text of a message's parts: strings, content lists and tool calls. */

import { read } from "./fields.js";
import { encode, toJson } from "./json.js";

// A message holds the results of tools, and they hold their texts.
const MAX_CONTENT_DEPTH = 2;

/**
 * Return the text of a message's content: a string, or parts joined by *separator*. Undefined if there is none.
 *
 * Text, refusals and tool calls are text. Every other part becomes its type, as in `[image_url]`. Tool results hold
 * content again: beyond *depth* they become their type too.
 */
export function contentText(
  content: unknown,
  separator = "\n",
  depth = MAX_CONTENT_DEPTH,
): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return content == null ? undefined : partText(content, depth);
  return joined(
    content.map((part) => partText(part, depth)),
    separator,
  );
}

/** Return tool calls as text, `name(arguments)` per line, or undefined if there are none. */
export function callsText(calls: unknown[]): string | undefined {
  return joined(calls.map(callText), "\n");
}

/** Return the texts that are not empty, joined. Undefined if there are none. */
export function joined(texts: (string | undefined)[], separator: string): string | undefined {
  const nonEmpty = texts.filter((text) => text);
  return nonEmpty.length > 0 ? nonEmpty.join(separator) : undefined;
}

const REASONING_PARTS: ReadonlySet<unknown> = new Set(["thinking", "redacted_thinking", "reasoning"]);

function partText(part: unknown, depth: number): string | undefined {
  if (typeof part === "string") return part;
  for (const field of ["text", "refusal"]) {
    const text = read(part, field);
    if (typeof text === "string") return text;
  }
  const kind = read(part, "type");
  if (REASONING_PARTS.has(kind)) return undefined;
  const call = callText(part);
  if (call) return call;
  const result = read(part, "content");
  if (kind === "tool_result" && result !== undefined && depth > 0)
    return contentText(result, "\n", depth - 1);
  return typeof kind === "string" ? `[${kind}]` : unnamedPart(part);
}

/** Return the name of the one field that is set in a Gemini part without text. */
function unnamedPart(part: unknown): string | undefined {
  const fields = ["inline_data", "inlineData", "file_data", "fileData", "function_response"];
  const field = fields.find((name) => read(part, name) !== undefined);
  return field && `[${field}]`;
}

/** Return the text of a tool call of OpenAI, Anthropic, Gemini or LangChain. */
function callText(call: unknown): string | undefined {
  const nested = read(call, "function") ?? read(call, "function_call") ?? read(call, "functionCall");
  return namedCallText(nested !== undefined && typeof nested !== "string" ? nested : call);
}

function namedCallText(call: unknown): string | undefined {
  const name = read(call, "name");
  if (typeof name !== "string" || !name) return undefined;
  for (const field of ["arguments", "input", "args"]) {
    const args = read(call, field);
    if (args !== undefined) return `${name}(${typeof args === "string" ? args : spacedJson(args)})`;
  }
  return undefined;
}

/** Return JSON with a space after each comma and colon, as Python writes it by default. */
function spacedJson(value: unknown): string {
  return encode(toJson(value), ", ", ": ");
}
