/** Reading fields of whatever an app passes, and text from the parts of a message. */

import { bytesOf, encode, toJson } from "../json.js";

// A message holds the results of tools, and they hold their texts.
const MAX_CONTENT_DEPTH = 2;

/** Return the JSON in bytes, or in one line of server-sent events; other bytes as text. */
export function parsed(value: unknown): unknown {
  const bytes = bytesOf(value);
  if (!bytes) return value;
  const line = new TextDecoder().decode(bytes).trim();
  const text = line.startsWith("data:") ? line.slice("data:".length).trim() : line;
  try {
    const document: unknown = JSON.parse(text);
    return typeof document === "object" && document !== null ? document : text;
  } catch {
    return text;
  }
}

/** Return a field of an object, undefined if there is none. Never throws. */
export function read(value: unknown, field: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  try {
    return (value as Record<string, unknown>)[field] ?? undefined;
  } catch {
    return undefined; // a getter of the app's object
  }
}

/** Return the list in *field*, empty if there is none. */
export function items(value: unknown, field: string): unknown[] {
  const found = read(value, field);
  return Array.isArray(found) ? found : [];
}

/** Return the first item of the list in *field*, or undefined. */
export function first(value: unknown, field: string): unknown {
  return items(value, field)[0] ?? undefined;
}

/**
 * Return the text of a message's content: a string, or parts joined by *separator*. Undefined if there is none.
 *
 * Text, refusals and calls of tools are text; what else a part is stands as its type, as in `[image_url]`.
 * The results of tools have content again; beyond *depth* they stand as their type too.
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

/** Return calls of tools as text, `name(arguments)` per line, or undefined if there are none. */
export function callsText(calls: unknown[]): string | undefined {
  return joined(calls.map(callText), "\n");
}

/** Return the texts that are not empty, joined; undefined if there are none. */
export function joined(texts: (string | undefined)[], separator: string): string | undefined {
  const said = texts.filter((text) => text);
  return said.length > 0 ? said.join(separator) : undefined;
}

const SILENT_PARTS: ReadonlySet<unknown> = new Set(["thinking", "redacted_thinking", "reasoning"]);

function partText(part: unknown, depth: number): string | undefined {
  if (typeof part === "string") return part;
  for (const field of ["text", "refusal"]) {
    const text = read(part, field);
    if (typeof text === "string") return text;
  }
  const kind = read(part, "type");
  if (SILENT_PARTS.has(kind)) return undefined;
  const call = callText(part);
  if (call) return call;
  const result = read(part, "content");
  if (kind === "tool_result" && result !== undefined && depth > 0)
    return contentText(result, "\n", depth - 1);
  return typeof kind === "string" ? `[${kind}]` : unnamedPart(part);
}

/** Return the name of a Gemini part that is not text: its one field that is set. */
function unnamedPart(part: unknown): string | undefined {
  const fields = ["inline_data", "inlineData", "file_data", "fileData", "function_response"];
  const field = fields.find((name) => read(part, name) !== undefined);
  return field && `[${field}]`;
}

/** Read OpenAI's, Anthropic's, Gemini's and LangChain's call of a tool. */
function callText(call: unknown): string | undefined {
  const nested = read(call, "function") ?? read(call, "function_call") ?? read(call, "functionCall");
  return namedCallText(nested !== undefined && typeof nested !== "string" ? nested : call);
}

function namedCallText(call: unknown): string | undefined {
  const name = read(call, "name");
  if (typeof name !== "string" || !name) return undefined;
  for (const field of ["arguments", "input", "args"]) {
    const given = read(call, field);
    if (given !== undefined) return `${name}(${typeof given === "string" ? given : spacedJson(given)})`;
  }
  return undefined;
}

/** Return JSON with a space after each comma and colon, as Python writes it by default. */
function spacedJson(value: unknown): string {
  return encode(toJson(value), ", ", ": ");
}
