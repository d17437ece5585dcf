/** The interface between the sender and the network: one method. */

import type { QueuedEvent } from "./event.js";

/**
 * Result of sending one event: "accepted", "rejected" (for good) or "retry" (try again later).
 *
 * `code` and `message` hold the reason, `retryAfterMs` the wait that the receiver asked for.
 */
export interface Outcome {
  status: "accepted" | "rejected" | "retry";
  code: string;
  message: string;
  retryAfterMs?: number | undefined;
}

export interface Transport {
  /**
   * Send *events* and return their outcomes in the same order. A rejected promise counts as "retry" for all of them,
   * so throwing loses no event. One sender makes one call at a time.
   *
   * An attempt counts as lost after twice `requestTimeoutMs`. An attempt of several requests calls *mayGoOn* before
   * each, which restarts that time. If it returns false, the attempt was given up: answer the rest with "retry".
   */
  send(events: readonly QueuedEvent[], mayGoOn: () => boolean): Promise<Outcome[]>;

  /** Abort the requests in flight, at the end of the client or of the process. */
  close?(): void;
}

/** Return the outcome of an event that has arrived. */
export function accepted(): Outcome {
  return { status: "accepted", code: "", message: "" };
}

/** Return the outcome of an event that the receiver will never accept. */
export function rejected(code: string, message: string): Outcome {
  return { status: "rejected", code, message };
}

/** Return the outcome of an event that the receiver may accept later. */
export function retry(code: string, message: string, retryAfterMs?: number): Outcome {
  return { status: "retry", code, message, retryAfterMs };
}
