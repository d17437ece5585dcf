/** The seam between the sender and what carries its events: one method. */

import type { QueuedEvent } from "./queue.js";

/**
 * What became of one event: "accepted", "rejected" (it never will be) or "retry" (it may yet be).
 *
 * `code` and `message` say why; `retryAfterMs` is how long the receiver asked to wait.
 */
export interface Outcome {
  status: "accepted" | "rejected" | "retry";
  code: string;
  message: string;
  retryAfterMs?: number | undefined;
}

export interface Transport {
  /**
   * Send *events* and return their outcomes in the same order. A rejected promise counts as "retry" for all of
   * them, so throwing is safe and loses nothing. Used by one sender, one call at a time.
   *
   * An attempt is taken for lost after twice `requestTimeoutMs`. One that makes several requests calls *mayGoOn*
   * before each, which begins that time anew; where it returns false the attempt was given up, and what is left
   * of it is to be answered with "retry".
   */
  send(events: readonly QueuedEvent[], mayGoOn: () => boolean): Promise<Outcome[]>;

  /** Break off what is in flight, at the end of the client or of the process. */
  close?(): void;
}

export function accepted(): Outcome {
  return { status: "accepted", code: "", message: "" };
}

export function rejected(code: string, message: string): Outcome {
  return { status: "rejected", code, message };
}

export function retry(code: string, message: string, retryAfterMs?: number): Outcome {
  return { status: "retry", code, message, retryAfterMs };
}
