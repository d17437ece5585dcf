/** Queued events. */

import { approximateBytes, encode, type JsonObject } from "../content/json.js";
import { type Mask, maskedLog } from "../content/masking.js";

/**
 * State of an event: "ready" to be sent, "awaited" while a promise in it is pending (a flush waits for it), or
 * "streaming" while its output grows as the app iterates (a flush does not wait for it).
 */
export type EventState = "ready" | "awaited" | "streaming";

/** One log, feedback or label to send. `content` is the object that will be sent. */
export class QueuedEvent {
  sizeBytes: number;
  /** Set when it is queued. */
  mask: Mask | undefined;
  /** Writes what is known of an unfinished output into the content. */
  complete: (content: JsonObject) => void = () => {};

  constructor(
    readonly id: string,
    public content: JsonObject,
    public state: EventState = "ready",
    readonly kind: "log" | "feedback" | "label" = "log",
  ) {
    this.sizeBytes = approximateBytes(content);
  }

  /** Return the content as it is sent: masked, and without raw fields that only repeat their text. */
  toSend(): JsonObject {
    const sent = { ...this.content };
    this.complete(sent);
    for (const side of ["input", "output"]) {
      const raw = sent[`raw_${side}`];
      if (typeof raw === "string" && raw === sent[side]) delete sent[`raw_${side}`];
    }
    return this.mask ? maskedLog(sent, this.mask) : sent;
  }

  /** Return the content as it is sent, as one JSON object. */
  encoded(): string {
    return encode(this.toSend());
  }
}
