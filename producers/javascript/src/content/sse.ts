/** Answers in bytes, as an app passes them on from the network. */

import { isObject, type Json, toJson } from "./json.js";

const LINE = /^(data|event|id|retry)?:/;

// What a chunk begins with that follows a cut one: a colon is no sign, JSON has them too.
const NEXT_LINE = /^(data|event):/;

/** Return the data of the server-sent events in bytes. Undefined if they hold none. */
export function sentEvents(value: Uint8Array): Json[] | undefined {
  const stream = new ByteStream();
  const chunks = stream.chunks(value);
  return stream.hasEvents ? chunks : undefined;
}

/** The chunks of a stream in bytes: JSON, text, or server-sent events, which may be cut anywhere behind the first `data:`. */
export class ByteStream {
  hasEvents = false;
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** Return the data of the events that *value* completes. Comments and `[DONE]` are none. */
  chunks(value: Uint8Array): Json[] {
    const text = this.#decoder.decode(value, { stream: true });
    const beginsLine = (this.#rest ? NEXT_LINE : LINE).test(text);
    if (!this.hasEvents && !beginsLine) {
      const document = documentOf(text);
      return [isObject(document) || Array.isArray(document) ? document : text];
    }
    this.hasEvents = true;
    const lines = (beginsLine ? text : this.#rest + text).split(/\r\n|\r|\n/);
    const last = lines.at(-1) ?? "";
    this.#rest = isCut(last) ? last : "";
    if (this.#rest) lines.pop();
    const data = lines.filter((line) => line.startsWith("data:")).map(dataOf);
    return data.filter((each) => each.trim() !== "[DONE]").map(documentOf);
  }
}

function dataOf(line: string): string {
  return line.slice("data:".length).replace(/^ /, "");
}

/** Return whether the rest of a line is yet to come: apps pass on whole lines without their end, too. */
function isCut(line: string): boolean {
  if (!line.startsWith("data:")) return line !== "" && !LINE.test(line);
  const data = dataOf(line).trim();
  return data === "" || (/^[{[]/.test(data) && data !== "[DONE]" && documentOf(data) === data);
}

function documentOf(data: string): Json {
  try {
    return toJson(JSON.parse(data));
  } catch {
    return data;
  }
}
