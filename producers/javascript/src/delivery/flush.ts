/** Flushes: what a caller of `flush` waits for, and the result it gets. */

import { LONGEST_DELAY_MS } from "../runtime.js";
import type { QueuedEvent } from "./event.js";
import type { Outcome } from "./transport.js";

/** A lost event, and the reason. */
export interface Rejection {
  id: string;
  reason: string;
}

/** Result of a flush, as ids of events. */
export interface FlushResult {
  /** Accepted by the server. */
  sent: string[];
  /** Lost for good. */
  rejected: Rejection[];
  /** Still queued: they are sent later. */
  pending: string[];
  /** True if every queued event has been sent. */
  isComplete: boolean;
}

/** An event with its final outcome. */
export interface Settled {
  event: QueuedEvent;
  outcome: Outcome;
}

/** One call of `flush`, waiting for its ids. */
export class Flush {
  readonly #ids: string[];
  readonly #outcomes = new Map<string, Outcome>();
  readonly #pending: Set<string>;
  #onDone = () => {};

  constructor(ids: string[]) {
    this.#ids = ids;
    this.#pending = new Set(ids);
  }

  /** True if every event is settled. */
  get isDone(): boolean {
    return this.#pending.size === 0;
  }

  /** Note the outcomes of this flush's events. The last one ends the wait. */
  settle(settled: readonly Settled[]): void {
    for (const { event, outcome } of settled) {
      if (this.#pending.delete(event.id)) this.#outcomes.set(event.id, outcome);
    }
    if (this.isDone) this.#onDone();
  }

  /** Wait until all events are settled, or *timeoutMs* are over. This timer keeps the process alive. */
  async wait(timeoutMs: number): Promise<void> {
    if (this.isDone) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(timeoutMs, LONGEST_DELAY_MS));
      this.#onDone = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Return the outcomes so far, in the order in which the events were logged. */
  result(): FlushResult {
    const result: FlushResult = { sent: [], rejected: [], pending: [...this.#pending], isComplete: false };
    for (const id of this.#ids) {
      const outcome = this.#outcomes.get(id);
      if (outcome?.status === "accepted") result.sent.push(id);
      else if (outcome) result.rejected.push({ id, reason: `${outcome.code}: ${outcome.message}` });
    }
    result.isComplete = result.rejected.length + result.pending.length === 0;
    return result;
  }
}
