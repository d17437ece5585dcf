/** Pictures, sounds and files as base64: described instead of kept. */

import { isObject, type Json, type JsonObject, setField } from "../json.js";

// Shorter texts are kept: thumbnails and signatures are as short.
const MIN_CHARACTERS = 1_000;

const DATA_URL = /(data:[\w.+/;=-]{0,100};base64,)([A-Za-z0-9+/_=-]{1000,})/g;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
// Fields that hold base64 without saying so: Anthropic, Bedrock, OpenAI's images, files and sounds, Gemini.
const FIELDS: ReadonlySet<string> = new Set([
  "data",
  "bytes",
  "b64_json",
  "base64",
  "result",
  "file_data",
  "image",
  "imageBytes",
  "image_bytes",
  "videoBytes",
  "video_bytes",
  "url",
  "partial_image_b64",
  "thoughtSignature",
  "thought_signature",
]);

/**
 * Return *value* with base64 of at least 1,000 characters as its size, as in `<base64, 375000 bytes>`.
 *
 * Base64 is read in data URLs everywhere, and as plain text in the fields that are known to hold it. A value without any
 * is returned as it is.
 */
export function described(value: Json): Json {
  if (typeof value === "string") return withoutDataUrls(value);
  if (Array.isArray(value)) {
    const items = value.map(described);
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  if (!isObject(value)) return value;
  const copies = Object.entries(value).map(([key, item]) => [key, field(key, item)] as const);
  if (copies.every(([key, item]) => item === value[key])) return value;
  const copy: JsonObject = {};
  for (const [key, item] of copies) setField(copy, key, item);
  return copy;
}

function field(key: string, value: Json): Json {
  const isBase64 = FIELDS.has(key) && typeof value === "string" && value.length >= MIN_CHARACTERS;
  return isBase64 && BASE64.test(value) ? sizeOf(value) : described(value);
}

function withoutDataUrls(text: string): string {
  if (text.length < MIN_CHARACTERS || !text.includes(";base64,")) return text;
  return text.replace(DATA_URL, (_, start: string, base64: string) => start + sizeOf(base64));
}

function sizeOf(base64: string): string {
  return `<base64, ${Math.floor((base64.replace(/=+$/, "").length * 3) / 4)} bytes>`;
}
