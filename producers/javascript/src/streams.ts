/** Outputs that come in chunks: each chunk is added to one task as the app iterates. */

/** Where the chunks go. No method throws. */
export interface ChunkSink {
  /** Add a chunk to the task; the first one begins it. */
  addChunk(chunk: unknown, chunksBefore: number): void;
  /** The stream has ended, or broke with *error*; *last* is the value at which the app said to stop. */
  finish(chunks: number, error: unknown, last: unknown): void;
  countError(place: string, error: unknown): void;
}

export type Stop = (chunk: never) => boolean;

/**
 * The task of one stream: begun by its first chunk, sent when the stream ends, breaks or is let go of.
 *
 * No method throws: what fails is counted, and the stream itself goes on untouched.
 */
export class StreamLog {
  readonly #sink: ChunkSink;
  readonly #stop: Stop | undefined;
  #source: object | undefined;
  #chunks = 0;
  #isFinished = false;

  constructor(sink: ChunkSink, stop?: Stop) {
    this.#sink = sink;
    this.#stop = stop;
  }

  /**
   * Add one chunk; the one of which `stop` is true ends the task and is not part of it.
   *
   * Where a stream's iterator reads from its reader, both tell of the same chunk: only the first *source* counts.
   */
  add(chunk: unknown, source: object): void {
    this.#source ??= source;
    if (this.#isFinished || source !== this.#source) return;
    if (this.#isLast(chunk)) {
      this.finish(undefined, chunk);
      return;
    }
    this.#sink.addChunk(chunk, this.#chunks);
    this.#chunks += 1;
  }

  /** Send the task as it is now; *last* is not part of it, but may say its usage. Works once. */
  finish(error?: unknown, last?: unknown): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#sink.finish(this.#chunks, error, last);
  }

  #isLast(chunk: unknown): boolean {
    try {
      return this.#stop !== undefined && Boolean(this.#stop(chunk as never));
    } catch (error) {
      this.#sink.countError("stop", error);
      return false;
    }
  }
}

type Step = (...given: unknown[]) => unknown;
type Watched = Record<PropertyKey, unknown>;

// An app that breaks off, and drops the stream, has received an answer all the same.
const DROPPED =
  typeof FinalizationRegistry === "undefined"
    ? undefined
    : new FinalizationRegistry<StreamLog>((log) => log.finish());

/** Return whether *value* gives its values one by one, and can be iterated once: to look at it is to take from it. */
export function isStream(value: unknown): value is object {
  return (
    isObject(value) &&
    (hasMethod(value, "next") || hasMethod(value, Symbol.asyncIterator) || isReadableStream(value))
  );
}

/** Return whether *value* holds several values: a stream, an array, a Set, any iterable object. */
export function isIterable(value: unknown): value is object {
  return isStream(value) || (isObject(value) && hasMethod(value, Symbol.iterator));
}

/**
 * Have *output* tell *log* of each value that the app takes from it; return whether that is possible.
 *
 * The object stays what it is, with its class, its methods and its values: own methods stand before those that
 * iterate. A frozen object cannot be watched.
 */
export function watch(output: object, log: StreamLog): boolean {
  const target = output as Watched;
  const isWatched = watchMethods(target, log);
  if (isWatched) DROPPED?.register(output, log);
  return isWatched;
}

/** Tell *log* of all the values of *output*, which holds them already. */
export function addAll(output: Iterable<unknown>, log: StreamLog): void {
  for (const value of output) log.add(value, output);
  log.finish();
}

function watchMethods(target: Watched, log: StreamLog): boolean {
  if (hasMethod(target, "next")) return watchIterator(target, log);
  let isWatched = false;
  for (const name of [Symbol.asyncIterator, Symbol.iterator]) {
    isWatched = (hasMethod(target, name) && watchIteratorsOf(target, name, log)) || isWatched;
  }
  return (isReadableStream(target) && watchIteratorsOf(target, "getReader", log)) || isWatched;
}

/** Watch the iterators, or the readers, that a method of *target* gives. */
function watchIteratorsOf(target: Watched, name: PropertyKey, log: StreamLog): boolean {
  const original = target[name] as Step;
  return replace(target, name, (...given) => {
    const iterator = original.apply(target, given);
    if (isObject(iterator)) watchIterator(iterator as Watched, log);
    return iterator;
  });
}

/** Watch what an iterator, or a reader of a web stream, gives: `next` and `read` answer in the same way. */
function watchIterator(iterator: Watched, log: StreamLog): boolean {
  const note = (step: unknown) => {
    const { done, value } = (step ?? {}) as IteratorResult<unknown>;
    if (done) log.finish();
    else log.add(value, iterator);
  };
  const isWatched = watchStep(iterator, hasMethod(iterator, "next") ? "next" : "read", note, log);
  for (const name of ["return", "cancel"]) {
    if (isWatched && hasMethod(iterator, name)) watchStep(iterator, name, () => log.finish(), log);
  }
  return isWatched;
}

/** Have *note* hear what a method of *target* returns, or promises; what it throws breaks the stream. */
function watchStep(target: Watched, name: string, note: (step: unknown) => void, log: StreamLog): boolean {
  const original = target[name] as Step;
  return replace(target, name, (...given) => {
    const noted = (step: unknown) => {
      note(step);
      return step;
    };
    const failed = (error: unknown) => {
      log.finish(error ?? "the stream broke");
      throw error;
    };
    try {
      const step = original.apply(target, given);
      return isPromiseLike(step) ? step.then(noted, failed) : noted(step);
    } catch (error) {
      return failed(error);
    }
  });
}

function replace(target: Watched, name: PropertyKey, value: Step): boolean {
  try {
    Object.defineProperty(target, name, { value, configurable: true, enumerable: false, writable: true });
    return true;
  } catch {
    return false;
  }
}

/** Return whether *value* promises a value. To call its `then` may be what starts the work. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return isObject(value) && hasMethod(value, "then");
}

function isReadableStream(value: object): boolean {
  return hasMethod(value, "getReader") && hasMethod(value, "tee");
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function hasMethod(value: object, name: PropertyKey): boolean {
  try {
    return typeof (value as Watched)[name] === "function";
  } catch {
    return false; // a getter of the app's
  }
}
