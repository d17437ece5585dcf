/** Delivery of one client's events: queue, sender and transport, to the end of the process. */

import { approximateBytes, type JsonObject } from "../content/json.js";
import { requestWaitUntil } from "../request-context.js";
import { monotonicMs, onProcessExit, onProcessIdle } from "../runtime.js";
import type { Settings } from "../settings.js";
import { Termination } from "../termination.js";
import type { Counters, Stats } from "./counters.js";
import type { EventState, QueuedEvent } from "./event.js";
import type { FlushResult } from "./flush.js";
import { LogQueue } from "./queue.js";
import { Sender } from "./sender.js";
import { rejected, type Transport } from "./transport.js";

/** Delivers events. `submit` neither waits nor throws. */
export class Pipeline {
  readonly settings: Settings;
  readonly counters: Counters;
  readonly queue: LogQueue;
  readonly #sender: Sender;
  #isClosed = false;
  #hasGivenUp = false;
  #draining: Promise<void> | undefined;

  constructor(settings: Settings, transport: Transport, counters: Counters) {
    this.settings = settings;
    this.counters = counters;
    this.queue = new LogQueue(settings.limits);
    this.#sender = new Sender({
      queue: this.queue,
      transport,
      settings,
      counters: this.counters,
      onSettled: () => this.#onSettled(),
    });
  }

  /** Queue *event* and return true, or count it as dropped and return false. */
  submit(event: QueuedEvent): boolean {
    this.counters.countLogged();
    event.mask = this.settings.mask;
    const reason = this.#refusalOf(event);
    if (reason) {
      this.counters.countDropped(reason, event.id, `${event.sizeBytes} bytes, ${this.queue.size} queued`);
      return false;
    }
    this.#hasGivenUp = false;
    if (event.state !== "streaming") this.#holdRequest();
    watchProcess(this);
    this.#sender.resume();
    return true;
  }

  /** Count a call of the app that can't be sent. */
  refuse(eventId: string, message: string): void {
    this.counters.countLogged();
    this.counters.countDropped("invalid", eventId, message);
  }

  /** Note that the content of a waiting *event* has changed. If it no longer fits, the event is dropped. */
  update(event: QueuedEvent, state: EventState): void {
    const { eventBytes, queueBytes } = this.settings.limits;
    const roomBytes = Math.min(eventBytes, queueBytes - this.queue.heldBytes + event.sizeBytes);
    if (approximateBytes(event.content) > roomBytes) {
      removeRawFields(event.content);
      this.counters.countTruncated();
    }
    const sizeBytes = approximateBytes(event.content);
    if (sizeBytes > roomBytes) {
      this.#drop(event, sizeBytes > eventBytes ? "too_large" : "queue_full", sizeBytes);
      return;
    }
    this.queue.update(event, sizeBytes, state);
    if (state === "ready") this.#holdRequest();
    this.#sender.wake();
  }

  /** Note that a waiting *event*, a stream, has grown. */
  grow(event: QueuedEvent, addedBytes: number): void {
    this.queue.update(event, event.sizeBytes + addedBytes, "streaming");
  }

  /** Return whether a waiting *event* may grow. The first refusal is counted as truncation. */
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

  /** Wait until all events are settled, or *timeoutMs* are over. */
  flush(timeoutMs: number): Promise<FlushResult> {
    return this.#sender.flush(timeoutMs);
  }

  /** Send all events, unfinished streams too, within *timeoutMs*, then end. Safe to call again. */
  async close(timeoutMs: number): Promise<FlushResult> {
    this.#isClosed = true;
    this.queue.completeAll();
    const result = await this.#sender.flush(timeoutMs);
    this.#sender.abandon();
    unwatchProcess(this);
    return result;
  }

  /** Flush once when Node has nothing left to do, so that the process ends within `exitTimeoutMs`. */
  async flushAtExit(): Promise<void> {
    if (this.#hasGivenUp) return;
    this.queue.completeAll();
    const result = await this.#sender.flush(this.settings.exitTimeoutMs);
    this.#hasGivenUp = result.pending.length > 0;
    if (this.#hasGivenUp) this.#sender.abort();
  }

  /** Warn of the events that the end of the process loses. */
  warnOfUnsent(): void {
    if (this.queue.size > 0) this.counters.warnOfUnsent(this.queue.size, this.settings.baseUrl);
  }

  /** Return the counts of events so far. */
  stats(): Stats {
    return this.counters.stats(this.queue.size);
  }

  /** Keep the runtime of the current request until what is queued now is sent, where the runtime offers that. */
  #holdRequest(): void {
    const waitUntil = this.settings.waitUntil ?? requestWaitUntil();
    if (!waitUntil) return;
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined;
    });
    try {
      waitUntil(this.#draining);
    } catch (error) {
      this.counters.countError("waitUntil", error); // the request has ended
    }
  }

  /** Send all events, those too that are queued meanwhile, within `exitTimeoutMs`. */
  async #drain(): Promise<void> {
    const endMs = monotonicMs() + this.settings.exitTimeoutMs;
    await new Promise((resolve) => setTimeout(resolve, this.settings.tickMs));
    let leftMs = endMs - monotonicMs();
    while (leftMs > 0 && this.queue.idsToSend().length > 0) {
      await this.#sender.flush(leftMs);
      leftMs = endMs - monotonicMs();
    }
  }

  #onSettled(): void {
    if (this.queue.size === 0) unwatchProcess(this);
  }

  /** Queue *event*. Return the reason if that is not possible, else an empty string. */
  #refusalOf(event: QueuedEvent): string {
    if (this.#isClosed) return "closed";
    if (!this.#fits(event)) return "too_large";
    return this.queue.append(event) ? "" : "queue_full";
  }

  /** Return whether *event* is within the limit, after removing its raw fields if needed. */
  #fits(event: QueuedEvent): boolean {
    const limit = this.settings.limits.eventBytes;
    if (event.sizeBytes <= limit) return true;
    removeRawFields(event.content);
    event.sizeBytes = approximateBytes(event.content);
    this.counters.countTruncated();
    return event.sizeBytes <= limit;
  }

  #drop(event: QueuedEvent, reason: string, sizeBytes: number): void {
    const message = `${sizeBytes} bytes, ${this.queue.size} queued`;
    this.queue.discard(event);
    this.counters.countDropped(reason, event.id, message);
    this.#sender.settleFlushes([{ event, outcome: rejected(reason, message) }]);
  }
}

/** Remove the raw fields. The texts, which are analysed, stay. */
function removeRawFields(content: JsonObject): void {
  for (const name of ["raw_input", "raw_output"]) {
    if (name in content) content[name] = null;
  }
}

// Pipelines with queued events. The others may be garbage collected.
const ACTIVE_PIPELINES = new Set<Pipeline>();
const TERMINATION = new Termination(flushAll);
let isWatching = false;

/** Send the events of *pipeline* at the end of the process. Signals have a listener only as long as there are some. */
function watchProcess(pipeline: Pipeline): void {
  ACTIVE_PIPELINES.add(pipeline);
  TERMINATION.watch();
  if (isWatching) return;
  isWatching = true;
  onProcessIdle(() => void flushAll());
  onProcessExit(() => {
    for (const pipeline of ACTIVE_PIPELINES) pipeline.warnOfUnsent();
  });
}

function unwatchProcess(pipeline: Pipeline): void {
  ACTIVE_PIPELINES.delete(pipeline);
  if (ACTIVE_PIPELINES.size === 0) TERMINATION.unwatch();
}

async function flushAll(): Promise<void> {
  await Promise.all([...ACTIVE_PIPELINES].map((pipeline) => pipeline.flushAtExit()));
}
