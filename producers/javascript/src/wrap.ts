/** Functions whose calls are logged. */

import type { Phospho } from "./client.js";
import type { LogCall } from "./content.js";
import type { LogEntry, LogOptions } from "./entry.js";
import { knownInputText } from "./extract/index.js";
import { tagOf } from "./json.js";
import { monotonicMs } from "./runtime.js";
import { isIterable, isPromiseLike, isStream, type Stop } from "./streams.js";

// biome-ignore lint/suspicious/noExplicitAny: any function may be wrapped
export type Wrapped = (...given: any[]) => any;

/** Options of `wrap`: those of `log`, save what the call itself says, and metadata. */
export interface WrapOptions extends LogOptions {
  /** The function returns an iterable whose values are chunks of one output. `stream: true` in a call says so for it. */
  stream?: boolean | undefined;
  /** Returns true for the value that ends the output; that value is passed on, not logged. */
  // biome-ignore lint/suspicious/noExplicitAny: the app knows what its stream gives
  stop?: ((chunk: any) => boolean) | undefined;
}

type ClientOf = () => Phospho;

// Keys in the argument of a wrapped function that say the same thing to `log`.
const SHARED = [
  "sessionId",
  "taskId",
  "userId",
  "versionId",
  "session_id",
  "task_id",
  "user_id",
  "version_id",
];

/** Return *fn* with logging; see `Phospho.wrap`. The client is asked for at each call. */
export function wrapped<F extends Wrapped>(clientOf: ClientOf, fn: F, options: WrapOptions): F {
  if (typeof fn !== "function") return fn; // the app's mistake shows where it would without us
  return new Proxy(fn, {
    apply(target, receiver, given: unknown[]) {
      const beganMs = monotonicMs();
      const output = Reflect.apply(target, receiver, given);
      const client = clientOf();
      try {
        return new Observation(client, given, options, beganMs).returned(output);
      } catch (error) {
        client.countError("wrap", error);
        return output;
      }
    },
  });
}

/** One call of a wrapped function. */
class Observation {
  readonly #client: Phospho;
  readonly #entry: Partial<LogEntry>;
  readonly #beganMs: number;
  readonly #isChunked: boolean;
  readonly #stop: Stop | undefined;

  constructor(client: Phospho, given: unknown[], { stream, stop, ...options }: WrapOptions, beganMs: number) {
    const argument = soleObject(given);
    this.#client = client;
    this.#entry = { ...shared(argument), ...options, input: inputOf(given) };
    this.#beganMs = beganMs;
    this.#isChunked = stream === true || argument?.stream === true;
    this.#stop = stop;
  }

  /** Log *output* and return it: the very object, so that a client library's promise keeps its methods. */
  returned(output: unknown): unknown {
    if (!isPromiseLike(output)) this.#log(output);
    else if (tagOf(output) === "Promise") this.#watchPromise(output);
    else this.#watchThenable(output);
    return output;
  }

  /** Look at a promise's value before the app does: our callback was registered first. */
  #watchPromise(output: PromiseLike<unknown>): void {
    output.then(
      (value) => this.#guarded(value),
      () => {}, // the app hears of it by its own callback
    );
  }

  /** Of a thenable that works each time that it is asked (a query builder), look at what the app asks for. */
  #watchThenable(output: PromiseLike<unknown>): void {
    const original = output.then;
    // biome-ignore lint/suspicious/noThenProperty: it is one already
    Object.defineProperty(output, "then", {
      configurable: true,
      writable: true,
      value: (resolve?: (value: unknown) => unknown, reject?: (error: unknown) => unknown) => {
        const watching = (value: unknown) => {
          this.#guarded(value);
          return resolve ? resolve(value) : value;
        };
        return original.call(output, watching, reject);
      },
    });
  }

  #guarded(output: unknown): void {
    try {
      this.#log(output);
    } catch (error) {
      this.#client.countError("wrap", error);
    }
  }

  #log(output: unknown): void {
    const isChunked = isStream(output) || (this.#isChunked && isIterable(output));
    if (isChunked && this.#client.watch(this.#call(null), output, this.#stop)) return;
    const latencyMs = Math.round((monotonicMs() - this.#beganMs) * 1000) / 1000;
    this.#client.submit(this.#call(isChunked ? null : output, { latency_ms: latencyMs }));
  }

  #call(output: unknown, measured: Record<string, unknown> = {}): LogCall {
    return this.#client.callOf({ ...measured, ...this.#entry, output });
  }
}

function shared(argument: Record<string, unknown> | undefined): Record<string, unknown> {
  const named = SHARED.map((name) => [name, argument?.[name]] as const);
  return Object.fromEntries(
    named.filter(([, value]) => typeof value === "string" || typeof value === "number"),
  );
}

/** Return the first argument where it holds the call's own options, as the client libraries have it. */
function soleObject([argument]: unknown[]): Record<string, unknown> | undefined {
  const isObject = typeof argument === "object" && argument !== null && !Array.isArray(argument);
  return isObject ? (argument as Record<string, unknown>) : undefined;
}

/** Return a single argument as it is, the first of several if it is a call that is known, else all by their place. */
function inputOf(given: unknown[]): unknown {
  const [first] = given;
  if (given.length === 1 || knownInputText(first) !== undefined) return first;
  return Object.fromEntries(given.map((argument, index) => [String(index), argument]));
}
