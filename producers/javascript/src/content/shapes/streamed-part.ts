/** One part of an answer, to which chunks add: a text, or a call of a tool. */

import { isObject, type Json, type JsonObject } from "../json.js";
import { argumentsText, type Kind, type Part } from "./parts.js";

type Step = string | number;

// A step of a path as in `$.days[0]['first name']`.
const STEP = /\.([^.[\]]+)|\[(\d{1,9})\]|\['([^']*)'\]|\["([^"]*)"\]/g;
const MAX_STEPS = 32;
const VALUE_FIELDS = ["numberValue", "number_value", "boolValue", "bool_value"];

/**
 * One part of an answer.
 *
 * The arguments of a call that `isObject` are written as those of a whole answer, in which they are an object.
 */
export class StreamedPart {
  name = "";
  id = "";
  isObject = false;
  #arguments: JsonObject | undefined;

  constructor(
    public kind: Kind,
    public text = "",
  ) {}

  /** Return whether a piece with a *name* begins another call: of another function, or after whole arguments. */
  isFollowedBy(name: string, args: string): boolean {
    if (!this.text || !this.name) return false;
    return name !== this.name || (args !== "" && isObject(objectOf(this.text)));
  }

  /** Return the part as far as it has come. */
  part(): Part {
    if (this.kind !== "call" || !this.name) return { text: this.text, kind: this.kind };
    const args = this.#arguments ?? (this.isObject ? objectOf(this.text || "{}") : this.text);
    return { text: `${this.name}(${argumentsText(args)})`, kind: "call" };
  }

  /** Add a piece of Gemini's arguments: a value, or the next piece of a text, and its path. */
  addArgument(piece: JsonObject): void {
    const path = piece.jsonPath || piece.json_path;
    const steps = typeof path === "string" ? stepsOf(path) : [];
    const last = steps.at(-1);
    if (last === undefined || typeof steps[0] !== "string") return;
    this.#arguments ??= {};
    let container: Json = this.#arguments;
    for (const [index, step] of steps.slice(0, -1).entries()) {
      container = containerAt(container, step, typeof steps[index + 1] === "number");
    }
    const item = itemAt(container, last);
    setItem(container, last, pieceValue(piece, typeof item === "string" ? item : ""));
  }
}

function stepsOf(path: string): Step[] {
  const matches = [...path.matchAll(STEP)];
  if (matches.length > MAX_STEPS) return [];
  return matches.map(([, name, index, quoted, doubled]) =>
    index ? Number(index) : (name ?? quoted ?? doubled ?? ""),
  );
}

function pieceValue(piece: JsonObject, text: string): Json {
  const value = VALUE_FIELDS.map((field) => piece[field]).find((field) => field != null);
  if (value != null) return value;
  const textPiece = "stringValue" in piece ? piece.stringValue : piece.string_value;
  if (typeof textPiece === "string") return text + textPiece;
  return piece.nullValue != null || piece.null_value != null ? null : text;
}

function itemAt(container: Json, step: Step): Json | undefined {
  if (Array.isArray(container)) return typeof step === "number" ? container[step] : undefined;
  return isObject(container) && typeof step === "string" && Object.hasOwn(container, step)
    ? container[step]
    : undefined;
}

function setItem(container: Json, step: Step, value: Json): void {
  if (isObject(container) && typeof step === "string") {
    // A plain assignment of `__proto__` would set no field.
    Object.defineProperty(container, step, { value, enumerable: true, configurable: true, writable: true });
  } else if (Array.isArray(container) && typeof step === "number" && step <= container.length) {
    // Pieces arrive in order: an index beyond the next item is ignored, as items between would have to be made up.
    container[step] = value;
  }
}

/** Return the object or list that *container* has at *step*; a new one where it has none. */
function containerAt(container: Json, step: Step, isList: boolean): Json {
  const item = itemAt(container, step);
  if (item !== undefined && (isList ? Array.isArray(item) : isObject(item))) return item;
  const empty: Json = isList ? [] : {};
  setItem(container, step, empty);
  return empty;
}

/** Return the object in a call's arguments, or the text as long as it isn't whole. */
function objectOf(text: string): Json {
  if (!text.endsWith("}")) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
