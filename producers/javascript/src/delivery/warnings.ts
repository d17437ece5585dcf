/** Warnings to whoever runs the app. */

import { monotonicMs } from "../runtime.js";

// `onWarning` gets the same cause once in this time. The counters have the rest.
const WARN_AGAIN_AFTER_MS = 30_000;

// Causes that the console has shown, by server: an app may make a client for each request.
const SHOWN = new Set<string>();
const MAX_SHOWN = 100;

/** Shows each cause once on the console, or passes it to the app's function. Never throws. */
export class Warnings {
  readonly #warnedAt = new Map<string, number>();
  readonly #onWarning: ((message: string) => void) | undefined;
  readonly #server: string;
  readonly #isSilent: boolean;
  #failures = 0;

  constructor(server: string, onWarning: ((message: string) => void) | undefined, isSilent: boolean) {
    this.#server = server;
    this.#onWarning = onWarning;
    this.#isSilent = isSilent;
  }

  /** Number of times that the app's function has thrown. */
  get failures(): number {
    return this.#failures;
  }

  /** Warn of *cause*. Causes that end by themselves (*isTransient*) are not for the console. */
  warn(cause: string, text: string, isTransient = false): void {
    if (this.#onWarning) this.#pass(cause, text, this.#onWarning);
    else if (!this.#isSilent && !isTransient) this.#show(cause, text);
  }

  #pass(cause: string, text: string, onWarning: (message: string) => void): void {
    const now = monotonicMs();
    if (now - (this.#warnedAt.get(cause) ?? -Infinity) < WARN_AGAIN_AFTER_MS) return;
    this.#warnedAt.set(cause, now);
    try {
      onWarning(text);
    } catch {
      this.#failures += 1;
    }
  }

  #show(cause: string, text: string): void {
    const key = `${this.#server} ${cause}`;
    if (SHOWN.has(key) || SHOWN.size >= MAX_SHOWN) return;
    SHOWN.add(key);
    try {
      // biome-ignore lint/suspicious/noConsole: whoever runs the app has to learn that its logs are lost
      console.warn(text);
    } catch {
      // a console that the app has replaced
    }
  }
}
