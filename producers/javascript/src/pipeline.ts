/** One client's way out: queue, sender and transport, to the end of the process. */

import { Counters, type Stats } from "./counters.js";
import { approximateBytes, type JsonObject } from "./json.js";
import { type EventState, LogQueue, type QueuedEvent } from "./queue.js";
import { onProcessIdle } from "./runtime.js";
import { type FlushResult, Sender } from "./sender.js";
import type { Settings } from "./settings.js";
import { rejected, type Transport } from "./transport.js";

/** Takes events and sees to it that they are sent. `submit` neither waits nor throws. */
export class Pipeline {
  readonly settings: Settings;
  readonly counters: Counters;
  readonly queue: LogQueue;
  readonly #sender: Sender;
  #isClosed = false;
  #hasGivenUp = false;

  constructor(settings: Settings, transport: Transport, onWarning?: (message: string) => void) {
    this.settings = settings;
    this.counters = new Counters(onWarning);
    this.queue = new LogQueue(settings.limits);
    this.#sender = new Sender(this.queue, transport, settings, this.counters, () => this.#settled());
  }

  /** Take *event* and return true, or count it as dropped and return false. */
  submit(event: QueuedEvent): boolean {
    this.counters.countLogged();
    const reason = this.#take(event);
    if (reason) {
      this.counters.countDropped(reason, event.id, `${event.sizeBytes} bytes, ${this.queue.size} queued`);
      return false;
    }
    this.#hasGivenUp = false;
    HOLDING.add(this);
    watchProcess();
    this.#sender.wake();
    return true;
  }

  /** Count something that cannot be sent as it was given. */
  refuse(eventId: string, message: string): void {
    this.counters.countLogged();
    this.counters.countDropped("invalid", eventId, message);
  }

  /** Take note that the content of *event*, which is held, was changed. One that no longer fits is dropped. */
  changed(event: QueuedEvent, state: EventState): void {
    const { eventBytes, queueBytes } = this.settings.limits;
    const roomBytes = Math.min(eventBytes, queueBytes - this.queue.heldBytes + event.sizeBytes);
    if (approximateBytes(event.content) > roomBytes) {
      withoutRaw(event.content);
      this.counters.countTruncated();
    }
    const sizeBytes = approximateBytes(event.content);
    if (sizeBytes > roomBytes) {
      this.#drop(event, sizeBytes > eventBytes ? "too_large" : "queue_full", sizeBytes);
      return;
    }
    this.queue.update(event, sizeBytes, state);
    this.#sender.wake();
  }

  /** Take note that *event*, a stream that is held, was added to. */
  grown(event: QueuedEvent, addedBytes: number): void {
    this.queue.update(event, event.sizeBytes + addedBytes, "streaming");
  }

  /** Return whether *event*, which is held, may grow; the first time it may not is counted. */
  hasRoom(event: QueuedEvent, addedBytes: number): boolean {
    const { eventBytes, queueBytes } = this.settings.limits;
    if (event.sizeBytes + addedBytes <= eventBytes && this.queue.heldBytes + addedBytes <= queueBytes)
      return true;
    if (!event.content.is_truncated) {
      event.content.is_truncated = true;
      this.counters.countTruncated();
    }
    return false;
  }

  /** Wait until what is queued is settled, or *timeoutMs* are over. */
  flush(timeoutMs: number): Promise<FlushResult> {
    return this.#sender.flush(timeoutMs);
  }

  /** Send what is held, unfinished streams too, within *timeoutMs*; then end. Safe to call again. */
  async close(timeoutMs: number): Promise<FlushResult> {
    this.#isClosed = true;
    this.queue.completeAll();
    const result = await this.#sender.flush(timeoutMs);
    this.#sender.abandon();
    HOLDING.delete(this);
    return result;
  }

  /** Node has nothing left to do: flush once, so that the process ends within the bound whatever the server does. */
  async flushAtExit(): Promise<void> {
    if (this.#hasGivenUp) return;
    this.queue.completeAll();
    const result = await this.#sender.flush(this.settings.exitTimeoutMs);
    this.#hasGivenUp = result.pending.length > 0;
    if (this.#hasGivenUp) this.#sender.breakOff();
  }

  /** Return what became of the events so far. */
  stats(): Stats {
    return this.counters.stats(this.queue.size);
  }

  #settled(): void {
    if (this.queue.size === 0) HOLDING.delete(this);
  }

  /** Queue *event*; return why that was not possible, or an empty string. */
  #take(event: QueuedEvent): string {
    if (this.#isClosed) return "closed";
    if (!this.#fits(event)) return "too_large";
    return this.queue.append(event) ? "" : "queue_full";
  }

  /** Return whether *event* is small enough, without its raw fields if it must be. */
  #fits(event: QueuedEvent): boolean {
    const limit = this.settings.limits.eventBytes;
    if (event.sizeBytes <= limit) return true;
    withoutRaw(event.content);
    event.sizeBytes = approximateBytes(event.content);
    this.counters.countTruncated();
    return event.sizeBytes <= limit;
  }

  #drop(event: QueuedEvent, reason: string, sizeBytes: number): void {
    const message = `${sizeBytes} bytes, ${this.queue.size} queued`;
    this.queue.discard(event);
    this.counters.countDropped(reason, event.id, message);
    this.#sender.tellFlushes([{ event, outcome: rejected(reason, message) }]);
  }
}

/** Let go of the raw fields: the texts are what is analysed. */
function withoutRaw(content: JsonObject): void {
  for (const name of ["raw_input", "raw_output"]) {
    if (name in content) content[name] = null;
  }
}

// Only pipelines that hold something: the others may be collected.
const HOLDING = new Set<Pipeline>();
let isWatching = false;

function watchProcess(): void {
  if (isWatching) return;
  isWatching = true;
  onProcessIdle(() => {
    for (const pipeline of HOLDING) void pipeline.flushAtExit();
  });
}
