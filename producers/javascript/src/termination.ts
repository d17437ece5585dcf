/** Signals that end a Node process: what is queued is sent before it ends as it would have. */

import { type ProcessLike, processLike } from "./runtime.js";

const SIGNALS = ["SIGINT", "SIGTERM"];

/**
 * Calls *work* at SIGINT (Ctrl-C) and SIGTERM, while it watches.
 *
 * Without a listener of the app's the process ends by the same signal once *work* is done; a second signal ends it at
 * once. An app that listens ends by itself. Elsewhere than in Node nothing is watched.
 */
export class Termination {
  readonly #work: () => Promise<void>;
  readonly #listeners = new Map<string, () => void>();
  #isEnding = false;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Listen to the signals. Safe to call again. */
  watch(): void {
    const process = processLike();
    if (this.#isEnding || this.#listeners.size > 0 || !process?.prependListener || !process.off) return;
    for (const signal of SIGNALS) {
      const listener = () => this.#end(process, signal);
      this.#listeners.set(signal, listener);
      process.prependListener(signal, listener); // before a listener of `once`, which is gone when it is called
    }
  }

  /** Leave the signals to Node and the app. */
  unwatch(): void {
    for (const [signal, listener] of this.#listeners) processLike()?.off?.(signal, listener);
    this.#listeners.clear();
  }

  #end(process: ProcessLike, signal: string): void {
    const isLeftToApp = (process.listenerCount?.(signal) ?? 0) - signalExitListeners(process) > 1;
    this.#isEnding = true;
    // signal-exit ends the process at once where nobody else listens.
    if (isLeftToApp) this.unwatch();
    else this.#listenOnceMore(process, signal);
    const end = () => {
      this.#isEnding = false;
      this.unwatch();
      if (!isLeftToApp && process.pid) process.kill?.(process.pid, signal);
    };
    this.#work().then(end, end);
  }

  /** End the process at the next *signal*. */
  #listenOnceMore(process: ProcessLike, signal: string): void {
    this.unwatch();
    const listener = () => {
      this.unwatch();
      if (process.pid) process.kill?.(process.pid, signal);
    };
    this.#listeners.set(signal, listener);
    process.prependListener?.(signal, listener);
  }
}

/**
 * Return the number of listeners a signal has of the package signal-exit, which many command line tools use.
 *
 * They run the tool's clean-up, and end the process only if nobody else listens.
 */
function signalExitListeners(process: ProcessLike): number {
  const holders = [
    (globalThis as unknown as Record<symbol, unknown>)[Symbol.for("signal-exit emitter")],
    (process as Record<string, unknown>).__signal_exit_emitter__, // before version 4
  ];
  return holders.reduce<number>(
    (sum, holder) => sum + (Number((holder as { count?: number })?.count) || 0),
    0,
  );
}
