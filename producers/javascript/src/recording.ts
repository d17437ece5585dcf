/** A transport for tests: it keeps what it is given and sends nothing. */

import type { JsonObject } from "./json.js";
import type { QueuedEvent } from "./queue.js";
import { accepted, type Outcome, type Transport } from "./transport.js";

/**
 * Keeps every event that it accepts, in order, as the objects that would have been sent.
 *
 * *answer* decides the outcome of each event, to rehearse a server's refusals; the default accepts.
 */
export class RecordingTransport implements Transport {
  readonly logs: JsonObject[] = [];
  readonly feedback: JsonObject[] = [];
  readonly labels: JsonObject[] = [];
  /** How often `send` was called. */
  attempts = 0;
  readonly #answer: (event: QueuedEvent) => Outcome;

  constructor(answer: (event: QueuedEvent) => Outcome = accepted) {
    this.#answer = answer;
  }

  async send(events: readonly QueuedEvent[]): Promise<Outcome[]> {
    this.attempts += 1;
    const kept = { log: this.logs, feedback: this.feedback, label: this.labels };
    return events.map((event) => {
      const outcome = this.#answer(event);
      if (outcome.status === "accepted") kept[event.kind].push(event.toSend());
      return outcome;
    });
  }

  /** Forget what was kept. */
  clear(): void {
    this.logs.length = 0;
    this.feedback.length = 0;
    this.labels.length = 0;
    this.attempts = 0;
  }
}
