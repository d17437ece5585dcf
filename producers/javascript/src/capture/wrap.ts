/** Functions whose calls are logged. */

import type { LogEntry, LogOptions } from "../content/entry.js";
import { tagOf } from "../content/json.js";
import { LoggedValue } from "../content/logged-value.js";
import type { LogCall } from "../content/task-content.js";
import { monotonicMs } from "../runtime.js";
import { type ChunkReceiver, type Stop, StreamLog } from "./stream-log.js";
import { isIterable, isPromiseLike, isStream, watch } from "./streams.js";
import type { TaskLog } from "./task-log.js";

// biome-ignore lint/suspicious/noExplicitAny: any function may be wrapped
export type Wrapped = (...args: any[]) => any;

/** Options of `wrap`: those of `log` beside input and output, and metadata. */
export interface WrapOptions extends LogOptions {
  /** The function returns an iterable whose values are chunks of one output. A call with `stream: true` sets it for itself. */
  stream?: boolean | undefined;
  /** Returns true for the value that ends the output. The app gets that value, but it is not logged. */
  // biome-ignore lint/suspicious/noExplicitAny: the app knows the values of its stream
  stop?: ((chunk: any) => boolean) | undefined;
}

// A larger body is left out, as a larger answer is.
const MAX_BODY_BYTES = 10_000_000;

// Keys in the argument of a wrapped function that are passed on to `log`.
const SHARED_KEYS = [
  "sessionId",
  "taskId",
  "userId",
  "versionId",
  "session_id",
  "task_id",
  "user_id",
  "version_id",
];

/** Return *fn* with logging; see `Phospho.wrap`. *currentLog* is called at each call of *fn*. */
export function wrapped<F extends Wrapped>(currentLog: () => TaskLog, fn: F, options: WrapOptions): F {
  if (typeof fn !== "function") return fn; // the app's mistake shows where it would without the SDK
  return new Proxy(fn, {
    apply(target, receiver, args: unknown[]) {
      const beganMs = monotonicMs();
      const output = Reflect.apply(target, receiver, args);
      const taskLog = currentLog();
      try {
        return new Observation(taskLog, args, options, beganMs).logOutput(output);
      } catch (error) {
        taskLog.countError("wrap", error);
        return output;
      }
    },
  });
}

/** One call of a wrapped function. */
class Observation {
  readonly #taskLog: TaskLog;
  readonly #entry: Partial<LogEntry>;
  readonly #beganMs: number;
  readonly #isChunked: boolean;
  readonly #stop: Stop | undefined;

  constructor(taskLog: TaskLog, args: unknown[], { stream, stop, ...options }: WrapOptions, beganMs: number) {
    const argument = optionsArgument(args);
    this.#taskLog = taskLog;
    this.#entry = { ...shared(argument), ...options, input: inputOf(args) };
    this.#beganMs = beganMs;
    this.#isChunked = stream === true || argument?.stream === true;
    this.#stop = stop;
  }

  /** Log *output* and return the same object, so that a client library's promise keeps its methods. */
  logOutput(output: unknown): unknown {
    if (!isPromiseLike(output)) this.#log(output);
    else if (isApiPromise(output)) this.#watchApiPromise(output);
    else if (isPlainPromise(output)) this.#watchPromise(output);
    else this.#watchThenable(output);
    return output;
  }

  /**
   * Log the value of a promise of OpenAI's or Anthropic's client when the app asks for it, by `await` or `withResponse`.
   *
   * Its `then` reads the body of the response, which an app that calls `asResponse` wants to read itself: then the body
   * is logged that the app reads.
   */
  #watchApiPromise(output: ApiPromise): void {
    const log = once((value: unknown) => this.#guarded(value));
    let isParsed = false;
    after(output, "parse", (parsed) => {
      isParsed = true;
      (parsed as PromiseLike<unknown>).then(log, () => {});
    });
    after(output, "asResponse", (response) => {
      if (isParsed) return;
      (response as PromiseLike<object>).then(
        (value) => watchBody(value, log),
        () => {},
      );
    });
  }

  /** Log a promise's value before the app gets it: this callback is registered first. */
  #watchPromise(output: PromiseLike<unknown>): void {
    output.then(
      (value) => this.#guarded(value),
      () => {}, // the app gets the error by its own callback
    );
  }

  /** Log the value of a thenable when the app awaits it: a query builder works at each `then`. */
  #watchThenable(output: PromiseLike<unknown>): void {
    const original = output.then;
    // biome-ignore lint/suspicious/noThenProperty: it is a thenable already
    Object.defineProperty(output, "then", {
      configurable: true,
      writable: true,
      value: (resolve?: (value: unknown) => unknown, reject?: (error: unknown) => unknown) => {
        const logging = (value: unknown) => {
          this.#guarded(value);
          return resolve ? resolve(value) : value;
        };
        return original.call(output, logging, reject);
      },
    });
  }

  #guarded(output: unknown): void {
    try {
      this.#log(output);
    } catch (error) {
      this.#taskLog.countError("wrap", error);
    }
  }

  #log(output: unknown): void {
    const isChunked = isStream(output) || (this.#isChunked && isIterable(output));
    if (isChunked && this.#taskLog.watch(this.#call(null), output, this.#stop)) return;
    const latencyMs = Math.round((monotonicMs() - this.#beganMs) * 1000) / 1000;
    this.#taskLog.submit(this.#call(isChunked ? null : output, { latency_ms: latencyMs }));
  }

  #call(output: unknown, measured: Record<string, unknown> = {}): LogCall {
    return this.#taskLog.callOf({ ...measured, ...this.#entry, output });
  }
}

interface ApiPromise extends PromiseLike<unknown> {
  parse(): PromiseLike<unknown>;
  asResponse(): PromiseLike<object>;
}

function isApiPromise(value: PromiseLike<unknown>): value is ApiPromise {
  const { parse, asResponse } = value as Partial<ApiPromise>;
  return typeof parse === "function" && typeof asResponse === "function";
}

/** Return whether *value* is a promise with the `then` of its runtime, which starts no work. */
function isPlainPromise(value: PromiseLike<unknown>): boolean {
  return tagOf(value) === "Promise" && Function.prototype.toString.call(value.then).includes("[native code]");
}

/** Log the body of a response when the app has read it: as JSON, as text, or as a stream of bytes. */
function watchBody(response: object, log: (body: unknown) => void): void {
  const { body } = response as Partial<Response>;
  if (body) watch(body, new StreamLog(new BodyReader(log)));
  for (const name of ["json", "text"]) {
    after(response, name, (body) => {
      const logged = (value: unknown) =>
        log(typeof value === "string" ? new TextEncoder().encode(value) : value);
      (body as PromiseLike<unknown>).then(logged, () => {});
    });
  }
}

/** Collects the bytes of a body, which may be one document in many chunks. */
class BodyReader implements ChunkReceiver {
  readonly #log: (body: unknown) => void;
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(log: (body: unknown) => void) {
    this.#log = log;
  }

  addChunk(chunk: unknown): void {
    if (!(chunk instanceof Uint8Array) || this.#bytes > MAX_BODY_BYTES) return;
    this.#parts.push(chunk.slice()); // the app may pass the bytes on, and lose them
    this.#bytes += chunk.length;
  }

  finish(): void {
    if (this.#bytes === 0 || this.#bytes > MAX_BODY_BYTES) return;
    const body = new Uint8Array(this.#bytes);
    let position = 0;
    for (const part of this.#parts) {
      body.set(part, position);
      position += part.length;
    }
    this.#log(body);
  }

  countError(): void {} // only `stop` fails, and there is none
}

/** Call *note* with each result of a method of *target*. Leave an object alone that cannot be changed. */
function after(target: object, name: string, note: (result: unknown) => void): void {
  const original = (target as Record<string, (...args: unknown[]) => unknown>)[name];
  if (!original) return;
  const value = (...args: unknown[]) => {
    const result = original.apply(target, args);
    note(result);
    return result;
  };
  Reflect.defineProperty(target, name, { value, configurable: true, enumerable: false, writable: true });
}

function once(log: (value: unknown) => void): (value: unknown) => void {
  let isDone = false;
  return (value) => {
    if (isDone) return;
    isDone = true;
    log(value);
  };
}

function shared(argument: Record<string, unknown> | undefined): Record<string, unknown> {
  const named = SHARED_KEYS.map((name) => [name, argument?.[name]] as const);
  return Object.fromEntries(
    named.filter(([, value]) => typeof value === "string" || typeof value === "number"),
  );
}

/** Return the first argument if it is an object, which holds the options of client libraries' calls. */
function optionsArgument([argument]: unknown[]): Record<string, unknown> | undefined {
  const isObject = typeof argument === "object" && argument !== null && !Array.isArray(argument);
  return isObject ? (argument as Record<string, unknown>) : undefined;
}

/** Return a single argument, or the first of several if it is a known call, else all by their index. */
function inputOf(args: unknown[]): unknown {
  const [first] = args;
  if (args.length === 1 || new LoggedValue(first).callText() !== undefined) return first;
  return Object.fromEntries(args.map((argument, index) => [String(index), argument]));
}
