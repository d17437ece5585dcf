/** The transport for tests: it records events and sends nothing. */

import type { JsonObject } from "../content/json.js";
import type { QueuedEvent } from "./event.js";
import { accepted, type Outcome, type Transport } from "./transport.js";

/**
 * Records every event that it accepts, in order, as the objects that would have been sent.
 *
 * *answer* returns the outcome of each event, to simulate a server that refuses. The default accepts all.
 */
export class RecordingTransport implements Transport {
  readonly logs: JsonObject[] = [];
  readonly feedback: JsonObject[] = [];
  readonly labels: JsonObject[] = [];
  /** Number of calls of `send`. */
  attempts = 0;
  readonly #answer: (event: QueuedEvent) => Outcome;

  constructor(answer: (event: QueuedEvent) => Outcome = accepted) {
    this.#answer = answer;
  }

  async send(events: readonly QueuedEvent[]): Promise<Outcome[]> {
    this.attempts += 1;
    const records = { log: this.logs, feedback: this.feedback, label: this.labels };
    return events.map((event) => {
      const outcome = this.#answer(event);
      if (outcome.status === "accepted") records[event.kind].push(event.toSend());
      return outcome;
    });
  }

  /** Remove all records, and set `attempts` to 0. */
  clear(): void {
    this.logs.length = 0;
    this.feedback.length = 0;
    this.labels.length = 0;
    this.attempts = 0;
  }
}
