/** Promises of OpenAI's and Anthropic's clients: their answers, and the bodies of `asResponse`. */

import { after } from "./methods.js";
import { type ChunkReceiver, StreamLog } from "./stream-log.js";
import { watch } from "./streams.js";

// A larger body is left out, as a larger answer is.
const MAX_BODY_BYTES = 10_000_000;

export interface ApiPromise extends PromiseLike<unknown> {
  parse(): PromiseLike<unknown>;
  asResponse(): PromiseLike<object>;
}

/** Takes an answer, or what the app has read of it and the error that broke it. */
export type Settle = (value: unknown, ...errors: [error?: unknown]) => void;

export function isApiPromise(value: PromiseLike<unknown>): value is ApiPromise {
  const { parse, asResponse } = value as Partial<ApiPromise>;
  return typeof parse === "function" && typeof asResponse === "function";
}

/** Call *settle* with the answer that the app asks *output* for, perhaps several times. */
export function watchApiPromise(output: ApiPromise, settle: Settle): void {
  const failed = (error: unknown) => settle(null, error);
  let isParsed = false;
  after(output, "parse", (parsed) => {
    isParsed = true;
    (parsed as PromiseLike<unknown>).then((value) => settle(value), failed);
  });
  after(output, "asResponse", (response) => {
    if (isParsed) return;
    (response as PromiseLike<object>).then((value) => watchBody(value, settle), failed);
  });
}

/** Pass on the body of a response when the app has read it: as JSON, as text, or as a stream of bytes. */
function watchBody(response: object, settle: Settle): void {
  const { body, headers } = response as Partial<Response>;
  const isJson = headers?.get?.("content-type")?.includes("json") ?? false;
  const reader = new BodyReader(settle, isJson);
  if (body) watch(body, new StreamLog(reader));
  for (const name of ["json", "text"]) {
    after(response, name, (body) => {
      const logged = (value: unknown) =>
        settle(typeof value === "string" ? new TextEncoder().encode(value) : value);
      (body as PromiseLike<unknown>).then(logged, (error) => reader.finish(error, undefined, false));
    });
  }
}

/** Collects the bytes of a body, which may be one document in many chunks. */
class BodyReader implements ChunkReceiver {
  readonly #settle: Settle;
  readonly #isJson: boolean;
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(settle: Settle, isJson: boolean) {
    this.#settle = settle;
    this.#isJson = isJson;
  }

  addChunk(chunk: unknown): void {
    const part = bytesOf(chunk);
    if (!part || this.#bytes > MAX_BODY_BYTES) return;
    this.#parts.push(part);
    this.#bytes += part.length;
  }

  finish(error: unknown, _last: unknown, isWhole: boolean): void {
    const bytes = this.#body();
    const body = bytes && this.#isJson && !isWhole && isCutDocument(bytes) ? null : bytes;
    if (error !== undefined) this.#settle(body, error);
    else this.#settle(body);
  }

  /** Return the bytes so far. Null if there are none, or too many. */
  #body(): Uint8Array | null {
    if (this.#bytes === 0 || this.#bytes > MAX_BODY_BYTES) return null;
    const body = new Uint8Array(this.#bytes);
    let position = 0;
    for (const part of this.#parts) {
      body.set(part, position);
      position += part.length;
    }
    return body;
  }

  countError(): void {} // only `stop` fails, and there is none
}

/** Return whether *body* begins as a document in JSON and is none. A line by itself may be one of many. */
function isCutDocument(body: Uint8Array): boolean {
  const text = new TextDecoder().decode(body).trim();
  return /^[{[]/.test(text) && ![text, text.split("\n", 1)[0] ?? ""].some(isJson);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Return a copy of the bytes of a chunk, or those of what the app's pipe has made of it: text, or events. */
function bytesOf(chunk: unknown): Uint8Array | undefined {
  if (chunk instanceof Uint8Array) return chunk.slice(); // the app may pass the bytes on, and lose them
  const data = (chunk as { data?: unknown } | null)?.data;
  const text = typeof data === "string" ? `data: ${data}\n\n` : chunk;
  return typeof text === "string" ? new TextEncoder().encode(text) : undefined;
}
