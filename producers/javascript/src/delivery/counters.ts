/** Counters of a client's events. */

import { errorText } from "../errors.js";
import type { Warnings } from "./warnings.js";

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
  readonly #warnings: Warnings;

  constructor(warnings: Warnings) {
    this.#warnings = warnings;
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
    this.#warnings.warn(reason, `phospho: event ${eventId} is dropped (${reason}): ${message}`);
  }

  /** Count one failed attempt for *number* events that is repeated, and warn. */
  countRetried(code: string, number: number, message: string): void {
    increment(this.#retried, code);
    // No answer is a matter of the set-up. A busy server is not.
    const isTransient = code !== "no_answer";
    const text = `phospho: ${number} event(s) will be sent again (${code}): ${message}`;
    this.#warnings.warn(code, text, isTransient);
  }

  /** Count a fault that is kept from the app, and warn. */
  countError(source: string, error: unknown): void {
    increment(this.#errors, source);
    this.#warnings.warn(source, `phospho: ${source} failed, and the app goes on: ${errorText(error)}`);
  }

  /** Warn of *number* events that the end of the process loses. */
  warnOfUnsent(number: number, baseUrl: string): void {
    const text = `phospho: ${number} event(s) are lost at the end of the process: not sent to ${baseUrl}. `;
    this.#warnings.warn("unsent", `${text}Call \`await phospho.shutdown(timeoutMs)\` before it ends`);
  }

  /** Warn of logs that waited *lateMs* too long. */
  warnOfFreeze(lateMs: number): void {
    const text = `phospho: logs were held up for ${Math.round(lateMs / 1000)} s, as where a platform freezes a function. `;
    this.#warnings.warn(
      "frozen",
      `${text}Call \`await phospho.flush()\` before it returns, or pass waitUntil`,
    );
  }

  /** Warn of a time that can't be read. */
  warnOfTime(name: string): void {
    this.#warnings.warn(
      name,
      `phospho: ${name} is no time, and is logged as metadata. Pass a Date or Unix seconds`,
    );
  }

  /** Return a copy of the counts. */
  stats(queued: number): Stats {
    const { failures } = this.#warnings;
    return {
      logged: this.#logged,
      sent: this.#sent,
      dropped: { ...this.#dropped },
      queued,
      truncated: this.#truncated,
      retried: { ...this.#retried },
      errors: failures > 0 ? { ...this.#errors, onWarning: failures } : { ...this.#errors },
    };
  }
}

function increment(counts: Counts, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}
