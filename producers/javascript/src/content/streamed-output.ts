/** The answer of one stream, chunk by chunk. */

import { approximateBytes, bytesOf, type Json, type JsonObject, textOf } from "./json.js";
import { type LoggedValue, usageFields } from "./logged-value.js";
import { Assembly } from "./shapes/streams.js";
import { ByteStream } from "./sse.js";
import { chunkText, type LogCall, type OnError } from "./task-content.js";

// The text that an object adds is part of its JSON.
const OBJECT_TEXT_BYTES = 8;

/**
 * Puts the chunks of one stream together, so that its text and figures are those of the whole answer.
 *
 * An app's `outputToStrFunction` makes the text of each chunk; these are joined.
 */
export class StreamedOutput {
  readonly #assembly = new Assembly();
  readonly #bytes = new ByteStream();
  readonly #raw: Json[] = [];
  readonly #call: LogCall;
  readonly #onError: OnError;

  constructor(call: LogCall, onError: OnError) {
    this.#call = call;
    this.#onError = onError;
  }

  /** Add one chunk. */
  add(value: LoggedValue): void {
    this.#raw.push(value.json());
    const text = chunkText(this.#call, value.original, this.#onError);
    if (text === undefined) for (const chunk of this.#chunks(value)) this.#assembly.add(chunk);
    else {
      this.#assembly.addFigures(value.json());
      this.#assembly.add(text);
    }
  }

  /** Take over the figures of a chunk whose text is not part of the answer. */
  addFigures(value: LoggedValue): void {
    this.#assembly.addFigures(value.json());
  }

  /** Write the answer so far into the content of its task. */
  writeTo(content: JsonObject): void {
    if (this.#raw.length > 0) content.output = this.#assembly.text();
    if (this.#raw.length > 1) content.raw_output = [...this.#raw];
    const model = this.#assembly.model();
    const figures = { ...usageFields(this.#assembly.usage()), ...(model ? { model } : {}) };
    for (const [name, value] of Object.entries(figures)) {
      if (!Object.hasOwn(this.#call.extra, name)) content[name] = value;
    }
  }

  /** Return a chunk as JSON. Text and numbers of the app are text; other objects are read by their shape alone. */
  #chunks(value: LoggedValue): Json[] {
    const { original } = value;
    const bytes = bytesOf(original);
    if (bytes) return this.#bytes.chunks(bytes);
    if (typeof original === "object" || typeof original === "string") return [value.json()];
    return ["number", "bigint", "boolean"].includes(typeof original) ? [textOf(original)] : [];
  }
}

/** Return the estimated size that a chunk adds to a task. */
export function chunkBytes(value: LoggedValue): number {
  const json = value.json();
  return approximateBytes(json) + (typeof json === "string" ? json.length : OBJECT_TEXT_BYTES);
}
