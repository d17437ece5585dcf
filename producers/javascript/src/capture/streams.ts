/** Iterables that log each value that the app takes from them. */

import { isAiSdkResult, watchAiSdkResult } from "./ai-sdk.js";
import { isHelper, isNodeStream, watchHelper, watchNodeStream } from "./emitters.js";
import {
  after,
  before,
  hasMethod,
  isObject,
  isPromiseLike,
  keepWith,
  type Method,
  replace,
  type Watched,
} from "./methods.js";
import type { StreamLog } from "./stream-log.js";

// An app that drops the stream before its end has still received an answer.
const DROPPED =
  typeof FinalizationRegistry === "undefined"
    ? undefined
    : new FinalizationRegistry<StreamLog>((log) => log.drop());

// A stream may get its iterator from another of its methods, which is watched too.
const WATCHED = new WeakSet<object>();

/** Return whether *value* is a stream or iterator, which can be iterated only once. */
export function isStream(value: unknown): value is object {
  return (
    isObject(value) &&
    (hasMethod(value, "next") ||
      hasMethod(value, Symbol.asyncIterator) ||
      isReadableStream(value) ||
      isNodeStream(value) ||
      isHelper(value) ||
      isAiSdkResult(value))
  );
}

/** Return whether *value* is a stream, an array, a Set, or any iterable object but bytes. */
export function isIterable(value: unknown): value is object {
  if (isStream(value)) return true;
  return isObject(value) && hasMethod(value, Symbol.iterator) && !ArrayBuffer.isView(value);
}

/**
 * Log each value that the app takes from *output* to *log*. Return false if that is not possible.
 *
 * The object keeps its class, methods and values: its iterating methods get own properties in front of them. A frozen
 * object cannot be watched.
 */
export function watch(output: object, log: StreamLog): boolean {
  const target = output as Watched;
  const isWatched = watchMethods(target, log);
  if (isWatched) DROPPED?.register(output, log);
  return isWatched;
}

/** Log all values of *output*, an iterable that is no stream. */
export function addAll(output: Iterable<unknown>, log: StreamLog): void {
  for (const value of output) log.add(value, output);
  log.end();
}

function watchMethods(target: Watched, log: StreamLog): boolean {
  if (hasMethod(target, "next")) return watchIterator(target, log);
  if (isNodeStream(target)) return watchNodeStream(target, log);
  if (isHelper(target)) return watchHelper(target, log);
  if (isAiSdkResult(target)) return watchAiSdkResult(target, log);
  let isWatched = false;
  // `tee` of OpenAI's and Anthropic's streams calls `iterator`.
  for (const name of [Symbol.asyncIterator, Symbol.iterator, "iterator"]) {
    isWatched = (hasMethod(target, name) && watchIteratorsOf(target, name, log)) || isWatched;
  }
  if (!isReadableStream(target)) return isWatched;
  if (hasMethod(target, "values")) watchIteratorsOf(target, "values", log);
  return (watchIteratorsOf(target, "getReader", log) && watchBranches(target, log)) || isWatched;
}

/** Watch the iterators or readers that a method of *target* returns. */
function watchIteratorsOf(target: Watched, name: PropertyKey, log: StreamLog): boolean {
  const original = target[name] as Method;
  return replace(target, name, (...args) => {
    const iterator = original.apply(target, args);
    if (isObject(iterator) && !WATCHED.has(iterator)) {
      keepWith(iterator, target);
      WATCHED.add(iterator);
      watchIterator(iterator as Watched, log);
    }
    return iterator;
  });
}

/**
 * Watch both branches of a web stream, and what comes out of its pipe: what the app reads first counts.
 *
 * A pipe reads the stream where nothing can be put in front. One that ends in a `WritableStream` is only warned of.
 */
function watchBranches(target: Watched, log: StreamLog): boolean {
  const watchBranch = (branch: unknown) => {
    if (!isObject(branch)) return;
    keepWith(branch, target);
    watchMethods(branch as Watched, log);
  };
  after(target, "pipeThrough", watchBranch);
  before(target, "pipeTo", () => log.countUnseen());
  return after(target, "tee", (branches) => (branches as unknown[]).forEach(watchBranch));
}

/** Watch an iterator, or a reader of a web stream: `next` and `read` return the same results. */
function watchIterator(iterator: Watched, log: StreamLog): boolean {
  const note = (step: unknown) => {
    const { done, value } = (step ?? {}) as IteratorResult<unknown>;
    if (done) log.end();
    else log.add(value, iterator);
  };
  const isWatched = watchStep(iterator, hasMethod(iterator, "next") ? "next" : "read", note, log);
  if (isWatched && hasMethod(iterator, "throw")) watchStep(iterator, "throw", note, log);
  for (const name of ["return", "cancel"]) {
    if (isWatched && hasMethod(iterator, name)) watchStep(iterator, name, () => log.finish(), log);
  }
  return isWatched;
}

/** Call *note* with each result of a method of *target*. An error of the method breaks the stream. */
function watchStep(target: Watched, name: string, note: (step: unknown) => void, log: StreamLog): boolean {
  const original = target[name] as Method;
  return replace(target, name, (...args) => {
    const noted = (step: unknown) => {
      note(step);
      return step;
    };
    const failed = (error: unknown) => {
      log.finish(error ?? "the stream broke");
      throw error;
    };
    try {
      const step = original.apply(target, args);
      return isPromiseLike(step) ? step.then(noted, failed) : noted(step);
    } catch (error) {
      return failed(error);
    }
  });
}

function isReadableStream(value: object): boolean {
  return hasMethod(value, "getReader") && hasMethod(value, "tee");
}
