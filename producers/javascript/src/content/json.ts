/*
 * Plain JSON values: snapshots of the app's objects, their size, and their bytes.
 *
 * `encode` writes the same bytes as Python's `json.dumps(…, ensure_ascii=False)`: the two SDKs send the same bytes for
 * the same input, and a test checks it.
 */

import { processLike } from "../runtime.js";

export type Json = string | number | bigint | boolean | null | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

/** Return whether *value* is a JSON object. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// Deeper nesting is cut, and so is a graph of more values: nobody reads them, and a graph whose nodes refer to each
// other has more paths than any memory holds.
const MAX_DEPTH = 32;
const MAX_VALUES = 100_000;
// Of a larger typed array only the length is kept.
const MAX_ARRAY_ITEMS = 10_000;
const CYCLE = "<cycle>";
const CUT = "<cut>";
const UNREADABLE = "<object>";

// The whole numbers that every JSON parser reads. Beyond them parsers refuse, or round silently.
const SMALLEST_INT = -(2n ** 63n);
const LARGEST_INT = 2n ** 63n - 1n;

/**
 * Return a deep copy of *value* made of objects, arrays, strings, numbers, booleans and null.
 *
 * Objects with a `toJSON` become its result, errors their text, Map and Set an object and an array. Bytes become their
 * JSON, their text or their size. Functions and symbols are left out, as JSON.stringify does. NaN and the infinities, which JSON lacks, become their names, and whole numbers
 * beyond 64 bits their digits. An object inside itself becomes "<cycle>", and values after 100,000 values or below 32
 * levels "<cut>". Never throws.
 */
export function toJson(value: unknown): Json {
  return new Copy().of(value, MAX_DEPTH);
}

/** One snapshot: counts its values, and holds the objects that enclose the current one. */
class Copy {
  #values = 0;
  readonly #inside = new Set<object>();

  of(value: unknown, depth: number): Json {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        return Number.isFinite(value) ? value : nameOf(value);
      case "bigint":
        return value >= SMALLEST_INT && value <= LARGEST_INT ? value : String(value);
      case "object":
        return value === null ? null : this.#within(value, depth);
      case "undefined":
        return null;
      default:
        return textOf(value);
    }
  }

  #within(value: object, depth: number): Json {
    this.#values += 1;
    if (depth <= 0 || this.#values > MAX_VALUES) return CUT;
    if (this.#inside.has(value)) return CYCLE;
    this.#inside.add(value);
    try {
      return this.#container(value, depth - 1);
    } catch {
      return UNREADABLE; // the app's own `toJSON`, or a proxy
    } finally {
      this.#inside.delete(value);
    }
  }

  #container(value: object, depth: number): Json {
    if (Array.isArray(value)) return this.#list(value, depth);
    if (value === processLike()?.env) return "<env>"; // it holds the secrets
    const bytes = bytesOf(value);
    if (bytes) return this.#bytes(bytes);
    if (ArrayBuffer.isView(value)) return this.#array(value as Float64Array, depth);
    const tag = tagOf(value);
    // Before its `toJSON`, which may hold the request with its key.
    if (tag === "Error" || value instanceof Error) return String(value);
    const dumped = dump(value);
    if (dumped !== undefined) return this.of(dumped, depth);
    if (tag === "Map") return this.#object(value as Map<unknown, unknown>, depth);
    if (tag === "Set") return this.#list(value as Set<unknown>, depth);
    if (tag === "Blob" || tag === "File") return sizeText((value as Blob).size);
    const fields = [...fieldsOf(value)];
    return fields.length === 0 && hasOwnText(value) ? textOf(value) : this.#object(fields, depth);
  }

  #list(items: Iterable<unknown>, depth: number): Json[] {
    return Array.from(items, (item) => this.of(item, depth));
  }

  #object(entries: Iterable<[unknown, unknown]>, depth: number): JsonObject {
    const copy: JsonObject = {};
    let fields = 0;
    for (const [key, item] of entries) {
      if (!isData(item)) continue;
      setField(copy, keyText(key, copy, fields), this.of(item, depth));
      fields += 1;
    }
    return copy;
  }

  #array(value: Float64Array, depth: number): Json {
    const isLarge = value.length > MAX_ARRAY_ITEMS;
    return isLarge ? `<${tagOf(value)}, ${value.length} items>` : this.#list(value, depth);
  }

  #bytes(value: Uint8Array): Json {
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(value);
    } catch {
      return sizeText(value.length); // a picture, a sound, a file
    }
    try {
      return this.of(JSON.parse(text), MAX_DEPTH);
    } catch {
      return text;
    }
  }
}

/**
 * Return a key as text, with its type where another key of a Map has the same text, and a number where a third has.
 *
 * It is counted from the number of *fields* in *taken*: many keys of one text take no time.
 */
function keyText(key: unknown, taken: JsonObject, fields: number): string {
  const text = textOf(key);
  if (!Object.hasOwn(taken, text)) return text;
  const name = `${text} (${typeof key})`;
  let unused = name;
  for (let number = fields + 1; Object.hasOwn(taken, unused); number += 1) unused = `${name} ${number}`;
  return unused;
}

function sizeText(bytes: number): string {
  return `<${bytes} bytes>`;
}

/** Return a value as bytes. Undefined if it is no bytes. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  const tag = typeof value === "object" && value !== null ? tagOf(value) : "";
  if (tag === "Uint8Array") return value as Uint8Array;
  if (tag === "DataView") {
    const { buffer, byteOffset, byteLength } = value as DataView;
    return new Uint8Array(buffer, byteOffset, byteLength);
  }
  return tag === "ArrayBuffer" ? new Uint8Array(value as ArrayBuffer) : undefined;
}

/** Return the name of a built-in type, also of an object from another realm. Never throws. */
export function tagOf(value: object): string {
  try {
    return Object.prototype.toString.call(value).slice("[object ".length, -1);
  } catch {
    return ""; // a proxy of the app's
  }
}

const BOXED = new Set(["String", "Number", "Boolean", "BigInt"]);

/** Return the result of `toJSON`, or the value of a boxed primitive. Undefined for other objects. */
function dump(value: object): unknown {
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return toJSON.call(value);
  return BOXED.has(tagOf(value)) ? value.valueOf() : undefined;
}

/** Return the enumerable fields of an object that can be read. */
function* fieldsOf(value: object): Generator<[string, unknown]> {
  for (const key of Object.keys(value)) {
    let item: unknown;
    try {
      item = (value as Record<string, unknown>)[key];
    } catch {
      continue; // a getter of the app's
    }
    yield [key, item];
  }
}

function isData(value: unknown): boolean {
  return value !== undefined && typeof value !== "function" && typeof value !== "symbol";
}

/** Set a field, even one named `__proto__`. */
export function setField(target: JsonObject, name: string, value: Json): void {
  if (name === "__proto__") {
    Object.defineProperty(target, name, { value, configurable: true, enumerable: true, writable: true });
  } else {
    target[name] = value;
  }
}

/** Return the text of any value. An object without a text of its own becomes JSON. Never throws. */
export function textOf(value: unknown, jsonOf: () => Json = () => toJson(value)): string {
  try {
    if (typeof value === "number" && !Number.isFinite(value)) return nameOf(value);
    if (typeof value === "number" || typeof value === "bigint") return numberText(value);
    if (typeof value === "function") return `<function ${value.name}>`;
    if (typeof value !== "object" || value === null || hasOwnText(value)) return String(value);
    return encode(jsonOf());
  } catch {
    return UNREADABLE; // the app's own `toString`
  }
}

/** Return whether an object's `toString` differs from the "[object Object]" and the comma-separated items of the defaults. */
function hasOwnText(value: object): boolean {
  return (
    !Array.isArray(value) && typeof value.toString === "function" && !/^\[object .*\]$/.test(String(value))
  );
}

function nameOf(value: number): string {
  return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

/** Return the estimated size of *value* as JSON. Escapes are not counted. */
export function approximateBytes(value: Json): number {
  if (typeof value === "string") return value.length + 3;
  if (typeof value !== "object" || value === null) return 8;
  let size = 2;
  if (Array.isArray(value)) {
    for (const item of value) size += 1 + approximateBytes(item);
    return size;
  }
  for (const [key, item] of Object.entries(value)) size += key.length + 4 + approximateBytes(item);
  return size;
}

/** Return *value* as JSON, compact by default. Lone surrogates, which UTF-8 lacks, become `?`. */
export function encode(value: Json, comma = ",", colon = ":"): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number" || typeof value === "bigint") return numberText(value);
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => encode(item, comma, colon)).join(comma)}]`;
  const fields = Object.entries(value).map(([key, item]) => quoted(key) + colon + encode(item, comma, colon));
  return `{${fields.join(comma)}}`;
}

const LONE_SURROGATE = /\p{Surrogate}/gu;

function quoted(text: string): string {
  return JSON.stringify(text.replace(LONE_SURROGATE, "?"));
}

// From 1e16 on, and below 0.0001, Python writes a float with an exponent.
const EXPONENT_FROM = 1e16;
const EXPONENT_BELOW = 1e-4;

function numberText(value: number | bigint): string {
  if (typeof value === "bigint") return String(value);
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  // A whole number below 2**63 may be Python's int, which has no exponent.
  const isInt = Number.isInteger(value) && size < 2 ** 63;
  if (isInt || (size >= EXPONENT_BELOW && size < EXPONENT_FROM)) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
}
