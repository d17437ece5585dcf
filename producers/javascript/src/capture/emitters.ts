/** Streams that emit their chunks as events: Node's, and the stream helpers of client libraries. */

import { before, hasMethod, hasMethods, type Method, type Watched } from "./methods.js";
import type { StreamLog } from "./stream-log.js";

/** Return whether *value* is a readable stream of Node, of any age. */
export function isNodeStream(value: object): boolean {
  return "readable" in value && hasMethods(value, ["emit", "on", "pipe"]);
}

/**
 * Add the chunks that a Node stream emits, whether the app listens, pipes, reads or iterates.
 *
 * Each way of reading emits "data" once a chunk. A listener would set the stream flowing; a method in front of `emit`
 * changes nothing: neither the listeners nor the mode.
 */
export function watchNodeStream(target: Watched, log: StreamLog): boolean {
  return before(target, "emit", ([name, value]) => {
    if (name === "data") log.add(value, target);
    else if (name === "error" && !isAbort(value)) log.finish(value ?? "the stream broke");
    else if (name === "end") log.end();
    else if (name === "close") log.finish();
  });
}

/** Return whether the app itself has broken off: the end of `for await` before that of the stream, or a signal. */
function isAbort(error: unknown): boolean {
  return (error as { name?: unknown } | undefined)?.name === "AbortError";
}

// Events of the stream helpers of OpenAI (chat, Responses and assistants) and Anthropic, each with a chunk.
const CHUNK_EVENTS = ["chunk", "event", "streamEvent"];
// The event of OpenAI's `runTools` without a stream, with the whole answer.
const ANSWER_EVENTS = ["finalChatCompletion"];

/** Return whether *value* is a helper, which reads its stream or calls its tools by itself, and emits events. */
export function isHelper(value: object): boolean {
  return hasMethods(value, ["on", "emitted", "done"]);
}

/** Add the chunks that a helper emits, whether the app iterates, listens, or only awaits the final answer. */
export function watchHelper(target: Watched, log: StreamLog): boolean {
  const on = target.on as Method;
  let error: unknown = "the stream broke";
  try {
    const events = hasMethod(target, Symbol.asyncIterator) ? CHUNK_EVENTS : ANSWER_EVENTS;
    for (const name of events) on.call(target, name, (chunk: unknown) => log.add(chunk, target));
    // A listener of "error" would keep an error from an app that has none.
    before(target, "_emit", ([name, value]) => {
      if (name === "error") error = value ?? error;
    });
    on.call(target, "end", () => log.finish(target.errored === true && !target.aborted ? error : undefined));
    return true;
  } catch {
    return false;
  }
}
