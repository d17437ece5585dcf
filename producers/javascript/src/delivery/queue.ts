/** The bounded queue between the app and the sender. */

import type { Limits } from "../settings.js";
import type { EventState, QueuedEvent } from "./event.js";

/**
 * Events by id, in the order they were logged, within `Limits`.
 *
 * A queued event is never dropped: when the queue is full, the new event is refused.
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

  /** Number of events held, in flight included. */
  get size(): number {
    return this.#waiting.size + this.#inFlight.size;
  }

  /** Estimated size of all events held, in flight included. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Number of waiting events that are ready to be sent. */
  get ready(): number {
    return this.#ready;
  }

  /** Return the waiting event of *id*, whose content may still change. */
  get(id: string): QueuedEvent | undefined {
    return this.#waiting.get(id);
  }

  /** Add *event* and return true, or return false if the queue is full. */
  append(event: QueuedEvent): boolean {
    const isFull =
      this.size >= this.#limits.queueEvents || this.#heldBytes + event.sizeBytes > this.#limits.queueBytes;
    if (isFull) return false;
    this.#waiting.set(event.id, event);
    this.#heldBytes += event.sizeBytes;
    if (event.state === "ready") this.#ready += 1;
    return true;
  }

  /** Note the new size and state of a waiting event whose content has changed. */
  update(event: QueuedEvent, sizeBytes: number, state: EventState): void {
    this.#heldBytes += sizeBytes - event.sizeBytes;
    this.#ready += Number(state === "ready") - Number(event.state === "ready");
    event.sizeBytes = sizeBytes;
    event.state = state;
  }

  /** Remove a waiting event. */
  discard(event: QueuedEvent): void {
    this.update(event, 0, "streaming");
    this.#waiting.delete(event.id);
  }

  /** Mark every waiting event as ready, so that unfinished streams are sent as they are. */
  completeAll(): void {
    for (const event of this.#waiting.values()) this.update(event, event.sizeBytes, "ready");
  }

  /** Return the ids of all events but those of unfinished streams, in flight included. */
  idsToSend(): string[] {
    const waiting = [...this.#waiting.values()].filter((event) => event.state !== "streaming");
    return [...new Set([...this.#inFlight.keys(), ...waiting.map((event) => event.id)])];
  }

  /** Move the oldest ready events, up to one batch's limits, in flight and return them. */
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

  /** Return whether *event* was taken and is not yet settled. */
  isInFlight(event: QueuedEvent): boolean {
    return this.#inFlight.get(event.id) === event;
  }

  /** Remove events in flight: they have arrived, or never will. Return those that were in flight. */
  settle(events: readonly QueuedEvent[]): QueuedEvent[] {
    const held = events.filter((event) => this.isInFlight(event));
    for (const event of held) {
      this.#inFlight.delete(event.id);
      this.#heldBytes -= event.sizeBytes;
    }
    return held;
  }
}
