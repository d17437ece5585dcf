/** Results of the AI SDK's `streamText` and `streamObject`, whose streams come from one. */

import { hasMethod, isObject, keepWith, type Method, replace, type Watched } from "./methods.js";
import type { StreamLog } from "./stream-log.js";

/** Return whether *value* is the result of `streamText` or `streamObject`. */
export function isAiSdkResult(value: object): boolean {
  return isTextResult(value) || isObjectResult(value);
}

/** Add the chunks that the app reads first, as text, as parts, as a response, or by awaiting the whole. */
export function watchAiSdkResult(target: Watched, log: StreamLog): boolean {
  if (typeof TransformStream === "undefined") return false;
  if (!isTextResult(target)) {
    return Reflect.set(target, "baseStream", watchedBranch(target.baseStream as ReadableStream, target, log));
  }
  const original = target.teeStream as Method;
  return replace(target, "teeStream", (...args) =>
    watchedBranch(original.apply(target, args) as ReadableStream, target, log),
  );
}

function isTextResult(value: object): boolean {
  return hasMethod(value, "teeStream") && "textStream" in value;
}

function isObjectResult(value: object): boolean {
  if (!("partialObjectStream" in value)) return false;
  const { baseStream } = value as Watched;
  return isObject(baseStream) && hasMethod(baseStream, "pipeThrough");
}

/** Return *stream* with its parts logged. One of the type "error" stands for an error that the SDK does not throw. */
function watchedBranch(stream: ReadableStream<Watched>, target: Watched, log: StreamLog): ReadableStream {
  let isSource = false;
  let error: unknown;
  const spy = new TransformStream<Watched, unknown>({
    transform(chunk, controller) {
      controller.enqueue(chunk);
      const part = (chunk?.part ?? chunk) as Watched;
      if (part?.type === "error") error ??= part.error ?? "the stream broke";
      isSource = log.add(part, spy) || isSource;
    },
    flush() {
      if (isSource) log.finish(error);
    },
  });
  const branch = stream.pipeThrough(spy);
  keepWith(branch, target);
  return branch;
}
