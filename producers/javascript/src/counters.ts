/** What became of the events of a client, counted, and said to `onWarning` without flooding it. */

import { errorText } from "./errors.js";
import { monotonicMs } from "./runtime.js";

// The same trouble is said once in this time; the counters have the rest.
const SAY_AGAIN_AFTER_MS = 30_000;

export type Counts = Record<string, number>;

/** Events since the client was made. `logged` = `sent` + the sum of `dropped` + `queued`. */
export interface Stats {
  /** Given to `log` and the feedback functions. */
  logged: number;
  /** Accepted by the receiver. */
  sent: number;
  /** Never to arrive, by reason: `queue_full`, `too_large`, `invalid`, `closed`, or `rejected:<code>`. */
  dropped: Counts;
  /** Held in memory: waiting, in flight, or not yet complete. */
  queued: number;
  /** Sent without their raw fields, or with a shorter output, for the limits' sake. */
  truncated: number;
  /** Attempts that are to be made again, by code. */
  retried: Counts;
  /** Faults inside the SDK or the functions passed to it, by place; the app went on. */
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
  readonly #saidAt = new Map<string, number>();
  readonly #onWarning: ((message: string) => void) | undefined;

  constructor(onWarning?: (message: string) => void) {
    this.#onWarning = onWarning;
  }

  countLogged(): void {
    this.#logged += 1;
  }

  countSent(number: number): void {
    this.#sent += number;
  }

  /** Count one event that goes without all of its content. */
  countTruncated(): void {
    this.#truncated += 1;
  }

  /** Count one event that will never arrive, and say so. */
  countDropped(reason: string, eventId: string, message: string): void {
    increment(this.#dropped, reason);
    this.#say(reason, `phospho: event ${eventId} is dropped (${reason}): ${message}`);
  }

  /** Count one attempt for *number* events that is to be made again. */
  countRetried(code: string, number: number, message: string): void {
    increment(this.#retried, code);
    this.#say(code, `phospho: ${number} event(s) are to be sent again (${code}): ${message}`);
  }

  /** Count a fault that was kept from the app. */
  countError(place: string, error: unknown): void {
    increment(this.#errors, place);
    this.#say(place, `phospho: ${place} failed, and the app goes on: ${errorText(error)}`);
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

  /** Tell the app, unless *subject* was spoken of a moment ago. */
  #say(subject: string, text: string): void {
    const now = monotonicMs();
    if (!this.#onWarning || now - (this.#saidAt.get(subject) ?? -Infinity) < SAY_AGAIN_AFTER_MS) return;
    this.#saidAt.set(subject, now);
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
