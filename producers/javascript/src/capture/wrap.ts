/** Functions whose calls are logged. */

import type { LogEntry, LogOptions } from "../content/entry.js";
import { tagOf } from "../content/json.js";
import { LoggedValue } from "../content/logged-value.js";
import type { LogCall } from "../content/task-content.js";
import { errorText } from "../errors.js";
import { monotonicMs } from "../runtime.js";
import { type ApiPromise, isApiPromise, type Settle, watchApiPromise } from "./api-promise.js";
import { isPromiseLike } from "./methods.js";
import type { Stop } from "./stream-log.js";
import { isIterable, isStream } from "./streams.js";
import type { TaskLog } from "./task-log.js";
import { isToolRunner, watchToolRunner } from "./tool-runner.js";

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
      const observe = (work: (observation: Observation) => unknown) => {
        const taskLog = currentLog();
        try {
          return work(new Observation(taskLog, args, options, beganMs));
        } catch (error) {
          return taskLog.countError("wrap", error);
        }
      };
      let output: unknown;
      try {
        output = Reflect.apply(target, receiver, args);
      } catch (error) {
        observe((observation) => observation.logError(error));
        throw error;
      }
      return observe((observation) => observation.logOutput(output, isAsync(target))) ?? output;
    },
  });
}

/** Return whether each call of *fn* makes a promise that nobody else holds. */
function isAsync(fn: Wrapped): boolean {
  return tagOf(fn) === "AsyncFunction";
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

  /**
   * Log *output* and return the same object, so that a client library's promise keeps its methods.
   *
   * Of a *fresh* promise its successor is returned: a rejection that nobody handles is reported, as without the SDK.
   */
  logOutput(output: unknown, isFresh: boolean): unknown {
    if (!isPromiseLike(output)) this.#log(output);
    else if (isApiPromise(output)) this.#watchApiPromise(output);
    else if (isToolRunner(output)) watchToolRunner(output, this.#settle());
    else if (!isPlainPromise(output)) this.#watchThenable(output);
    else if (isFresh) return output.then(...this.#logging());
    // This callback is registered before those of the app, which gets the error by its own.
    else output.then(this.#logging()[0], this.logError);
    return output;
  }

  /** Log the input with the *error* that the function has thrown, and what the app has read before it. */
  readonly logError = (error: unknown, output: unknown = null): void => {
    this.#taskLog.guard("wrap", () => this.#submit(output, { error: errorText(error) }));
  };

  /** Return callbacks of `then` that log what they pass on to the app's. */
  #logging(
    resolve: (value: unknown) => unknown = (value) => value,
    reject: (error: unknown) => unknown = rethrow,
  ): [(value: unknown) => unknown, (error: unknown) => unknown] {
    return [
      (value) => {
        this.#guarded(value);
        return resolve(value);
      },
      (error) => {
        this.logError(error);
        return reject(error);
      },
    ];
  }

  /**
   * Log the value of a promise of OpenAI's or Anthropic's client when the app asks for it, by `await` or `withResponse`.
   *
   * Its `then` reads the body of the response, which an app that calls `asResponse` wants to read itself: then the body
   * is logged that the app reads.
   */
  #watchApiPromise(output: ApiPromise): void {
    watchApiPromise(output, this.#settle());
  }

  /** Return a function that logs the first answer or error it gets. */
  #settle(): Settle {
    let isLogged = false;
    return (value, ...errors) => {
      if (isLogged) return;
      isLogged = true;
      if (errors.length > 0) this.logError(errors[0], value);
      else this.#guarded(value);
    };
  }

  /** Log the value of a thenable when the app awaits it: a query builder works at each `then`. */
  #watchThenable(output: PromiseLike<unknown>): void {
    const original = output.then;
    // biome-ignore lint/suspicious/noThenProperty: it is a thenable already
    Object.defineProperty(output, "then", {
      configurable: true,
      writable: true,
      value: (resolve?: (value: unknown) => unknown, reject?: (error: unknown) => unknown) =>
        original.call(output, ...this.#logging(resolve ?? undefined, reject ?? undefined)),
    });
  }

  #guarded(output: unknown): void {
    this.#taskLog.guard("wrap", () => this.#log(output));
  }

  #log(output: unknown): void {
    const isChunked = isStream(output) || (this.#isChunked && isIterable(output));
    if (isChunked && this.#taskLog.watch(this.#call(null), output, this.#stop)) return;
    this.#submit(isChunked ? null : output);
  }

  #submit(output: unknown, result: Record<string, unknown> = {}): void {
    const latencyMs = Math.round((monotonicMs() - this.#beganMs) * 1000) / 1000;
    this.#taskLog.submit(this.#call(output, { latency_ms: latencyMs, ...result }));
  }

  #call(output: unknown, measured: Record<string, unknown> = {}): LogCall {
    return this.#taskLog.callOf({ ...measured, ...this.#entry, output });
  }
}

/** Return whether *value* is a promise with the `then` of its runtime, which starts no work. */
function isPlainPromise(value: PromiseLike<unknown>): boolean {
  return tagOf(value) === "Promise" && Function.prototype.toString.call(value.then).includes("[native code]");
}

function rethrow(error: unknown): never {
  throw error;
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
