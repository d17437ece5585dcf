/** Counters of a client's events, and warnings that don't flood `onWarning`. */

import { errorText } from "../errors.js";
import { monotonicMs } from "../runtime.js";

// The same warning is passed on once in this time. The counters have the rest.
const WARN_AGAIN_AFTER_MS = 30_000;

export type Counts = Record<string, number>;

/** Events since the client was made. `logged` = `sent` + the sum of `dropped` + `queued`. */
export interface Stats {
  /** Passed to `log`, the feedback functions and the label functions. */
  logged: number;
  /** Accepted by the receiver. */
  sent: number;
  /** Lost, by reason: `queue_full`, `too_large`, `invalid`, `closed`, or `rejected:<code>`. */
  dropped: Counts;
  /** Held in memory: waiting, in flight, or unfinished. */
  queued: number;
  /** Sent without raw fields, or with a shorter output, because of the limits. */
  truncated: number;
  /** Failed attempts that are repeated, by code. */
  retried: Counts;
  /** Faults in the SDK or in functions passed to it, by source. They never reach the app. */
  errors: Counts;
}

/** The counts behind `Stats`. */
export class Counters {
  #logged = 0;
  #sent = 0;
  #truncated = 0;
  readonly #dropped: Counts = {};
  readonly #retried: Counts = {};
  readonly #errors: Counts = {};
  readonly #warnedAt = new Map<string, number>();
  readonly #onWarning: ((message: string) => void) | undefined;

  constructor(onWarning?: (message: string) => void) {
    this.#onWarning = onWarning;
  }

  /** Count one event that the app has logged. */
  countLogged(): void {
    this.#logged += 1;
  }

  /** Count events that have arrived. */
  countSent(number: number): void {
    this.#sent += number;
  }

  /** Count one event that is sent without all of its content. */
  countTruncated(): void {
    this.#truncated += 1;
  }

  /** Count one event that is lost, and warn. */
  countDropped(reason: string, eventId: string, message: string): void {
    increment(this.#dropped, reason);
    this.#warn(reason, `phospho: event ${eventId} is dropped (${reason}): ${message}`);
  }

  /** Count one failed attempt for *number* events that is repeated, and warn. */
  countRetried(code: string, number: number, message: string): void {
    increment(this.#retried, code);
    this.#warn(code, `phospho: ${number} event(s) will be sent again (${code}): ${message}`);
  }

  /** Count a fault that is kept from the app, and warn. */
  countError(source: string, error: unknown): void {
    increment(this.#errors, source);
    this.#warn(source, `phospho: ${source} failed, and the app goes on: ${errorText(error)}`);
  }

  /** Return a copy of the counts. */
  stats(queued: number): Stats {
    return {
      logged: this.#logged,
      sent: this.#sent,
      dropped: { ...this.#dropped },
      queued,
      truncated: this.#truncated,
      retried: { ...this.#retried },
      errors: { ...this.#errors },
    };
  }

  /** Pass *text* to `onWarning`, at most once in WARN_AGAIN_AFTER_MS for a *subject*. */
  #warn(subject: string, text: string): void {
    const now = monotonicMs();
    if (!this.#onWarning || now - (this.#warnedAt.get(subject) ?? -Infinity) < WARN_AGAIN_AFTER_MS) return;
    this.#warnedAt.set(subject, now);
    try {
      this.#onWarning(text);
    } catch {
      increment(this.#errors, "onWarning");
    }
  }
}

function increment(counts: Counts, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}
