/** The bounded queue between the app and the sender. */

import { approximateBytes, encode, type JsonObject } from "./json.js";
import type { Limits } from "./settings.js";

/**
 * Where an event stands: "ready" to be sent; "awaited", its promise is not settled, and a flush waits for it;
 * "streaming", its output still grows as the app iterates, and a flush does not.
 */
export type EventState = "ready" | "awaited" | "streaming";

/** One thing to send. `content` is the object that will be sent. */
export class QueuedEvent {
  sizeBytes: number;

  constructor(
    readonly id: string,
    public content: JsonObject,
    public state: EventState = "ready",
    readonly kind: "log" | "feedback" | "label" = "log",
  ) {
    this.sizeBytes = approximateBytes(content);
  }

  /** Return the content as it is sent: a raw field that only repeats its text is left out. */
  toSend(): JsonObject {
    const sent = { ...this.content };
    for (const side of ["input", "output"]) {
      const raw = sent[`raw_${side}`];
      if (typeof raw === "string" && raw === sent[side]) delete sent[`raw_${side}`];
    }
    return sent;
  }

  /** Return the content as it is sent, as one JSON object. */
  encoded(): string {
    return encode(this.toSend());
  }
}

/**
 * Events by id, in the order they were logged, within `Limits`.
 *
 * What was taken is never dropped: when the queue is full, the new event is refused.
 */
export class LogQueue {
  readonly #waiting = new Map<string, QueuedEvent>();
  readonly #inFlight = new Map<string, QueuedEvent>();
  readonly #limits: Limits;
  #heldBytes = 0;
  #ready = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** How many events are held, those in flight included. */
  get size(): number {
    return this.#waiting.size + this.#inFlight.size;
  }

  /** The estimated size of all that is held. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** How many events wait and are ready to be sent. */
  get ready(): number {
    return this.#ready;
  }

  /** Return the event of *id* that waits, and may still be changed. */
  get(id: string): QueuedEvent | undefined {
    return this.#waiting.get(id);
  }

  /** Hold *event*; return false, and hold nothing, when the queue is full. */
  append(event: QueuedEvent): boolean {
    const isFull =
      this.size >= this.#limits.queueEvents || this.#heldBytes + event.sizeBytes > this.#limits.queueBytes;
    if (isFull) return false;
    this.#waiting.set(event.id, event);
    this.#heldBytes += event.sizeBytes;
    if (event.state === "ready") this.#ready += 1;
    return true;
  }

  /** Account for a held event whose content was changed, and set where it stands now. */
  update(event: QueuedEvent, sizeBytes: number, state: EventState): void {
    this.#heldBytes += sizeBytes - event.sizeBytes;
    this.#ready += Number(state === "ready") - Number(event.state === "ready");
    event.sizeBytes = sizeBytes;
    event.state = state;
  }

  /** Let go of an event that waits. */
  discard(event: QueuedEvent): void {
    this.update(event, 0, "streaming");
    this.#waiting.delete(event.id);
  }

  /** Mark every event that waits for its output as ready, so that what has come of it is sent. */
  completeAll(): void {
    for (const event of this.#waiting.values()) this.update(event, event.sizeBytes, "ready");
  }

  /** Return the ids that wait to be sent or are in flight, unfinished streams left out. */
  idsToSend(): string[] {
    const waiting = [...this.#waiting.values()].filter((event) => event.state !== "streaming");
    return [...new Set([...this.#inFlight.keys(), ...waiting.map((event) => event.id)])];
  }

  /** Move the oldest ready events, within one batch's limits, in flight and return them. */
  take(): QueuedEvent[] {
    const batch = this.#oldestBatch();
    for (const event of batch) {
      this.#waiting.delete(event.id);
      this.#inFlight.set(event.id, event);
    }
    this.#ready -= batch.length;
    return batch;
  }

  #oldestBatch(): QueuedEvent[] {
    const batch: QueuedEvent[] = [];
    let sizeBytes = 0;
    for (const event of this.#waiting.values()) {
      if (event.state !== "ready" || this.#inFlight.has(event.id)) continue;
      sizeBytes += event.sizeBytes;
      if (batch.length > 0 && sizeBytes > this.#limits.batchBytes) break;
      batch.push(event);
      if (batch.length >= this.#limits.batchEvents) break;
    }
    return batch;
  }

  /** Return whether *event* was taken and is not settled. */
  isInFlight(event: QueuedEvent): boolean {
    return this.#inFlight.get(event.id) === event;
  }

  /** Let go of events in flight: they have arrived, or never will. Return those that were held. */
  settle(events: readonly QueuedEvent[]): QueuedEvent[] {
    const held = events.filter((event) => this.isInFlight(event));
    for (const event of held) {
      this.#inFlight.delete(event.id);
      this.#heldBytes -= event.sizeBytes;
    }
    return held;
  }
}
