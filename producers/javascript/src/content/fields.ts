/** Fields of the app's objects, read without ever throwing. */

import { bytesOf } from "./json.js";

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
export function listField(value: unknown, field: string): unknown[] {
  const list = read(value, field);
  return Array.isArray(list) ? list : [];
}

/** Return the first item of the list in *field*, or undefined. */
export function firstItem(value: unknown, field: string): unknown {
  return listField(value, field)[0] ?? undefined;
}
