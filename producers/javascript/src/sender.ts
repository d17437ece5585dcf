/** Takes events from the queue and hands them to the transport until each is settled. */

import type { Counters } from "./counters.js";
import { errorText } from "./errors.js";
import { eventsIn, type Group, regrouped, SUSPECT_CODES } from "./groups.js";
import type { LogQueue, QueuedEvent } from "./queue.js";
import { backgroundTimer, LONGEST_DELAY_MS, monotonicMs } from "./runtime.js";
import { retryDelayMs, type Settings } from "./settings.js";
import { type Outcome, rejected, retry, type Transport } from "./transport.js";

// How late a timer may be on a busy machine.
const LOST_AFTER_MS = 5_000;

/** An event that will never arrive, and why. */
export interface Rejection {
  id: string;
  reason: string;
}

/** What a flush achieved, in ids of events. */
export interface FlushResult {
  /** Accepted by the server. */
  sent: string[];
  /** Never to arrive. */
  rejected: Rejection[];
  /** Still held: they are sent later. */
  pending: string[];
  /** Whether everything that was queued has been sent. */
  isComplete: boolean;
}

/**
 * Sends the queue's events in batches, one attempt at a time.
 *
 * Nothing runs between attempts but one timer, and a flush takes its place. That matters on edge runtimes,
 * where timers and requests end with the request that began them: the next flush then goes on from the state
 * that is kept here.
 *
 * It outlives every failure: what may yet be taken is tried again after a pause, what never will be is counted
 * and let go.
 */
export class Sender {
  readonly #queue: LogQueue;
  readonly #transport: Transport;
  readonly #settings: Settings;
  readonly #counters: Counters;
  readonly #onSettled: () => void;
  readonly #flushes = new Set<Flush>();
  #groups: Group[] = [];
  #roundsInVain = 0;
  #resumeAtMs = 0;
  #mayHurry = true;
  #timer: { id: ReturnType<typeof setTimeout>; dueAtMs: number } | undefined;
  #turn = 0;
  #busyUntilMs = 0;
  #isAbandoned = false;

  /** *onSettled* is called each time that events were settled, after the flushes that wait for them. */
  constructor(
    queue: LogQueue,
    transport: Transport,
    settings: Settings,
    counters: Counters,
    onSettled: () => void,
  ) {
    this.#queue = queue;
    this.#transport = transport;
    this.#settings = settings;
    this.#counters = counters;
    this.#onSettled = onSettled;
  }

  /** See to it that what is ready is sent: within a tick, or at once when a batch is full or a flush waits. */
  wake(): void {
    if (this.#isAbandoned || this.#isBusy()) return;
    if (this.#groups.length > 0) this.#schedule(this.#resumeAtMs - monotonicMs());
    else if (this.#queue.ready > 0) this.#schedule(this.#isDue() ? 0 : this.#settings.tickMs);
  }

  /** Wait until all that is queued now is settled, or *timeoutMs* are over; say what became of it. */
  async flush(timeoutMs: number): Promise<FlushResult> {
    const flush = new Flush(this.#queue.idsToSend());
    if (flush.isDone) return flush.result();
    this.#flushes.add(flush);
    this.#hurry();
    await flush.wait(timeoutMs);
    this.#flushes.delete(flush);
    return flush.result();
  }

  /** Break off the attempt in flight: its events are held as before. */
  breakOff(): void {
    this.#transport.close?.();
  }

  /** End: break off what is in flight, and try nothing again. What is held stays unsent. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#cancelTimer();
    this.breakOff();
  }

  #isDue(): boolean {
    return this.#flushes.size > 0 || this.#queue.ready >= this.#settings.limits.batchEvents;
  }

  /** Whether an attempt is in flight. One whose request outlives every timeout was lost with its edge request. */
  #isBusy(): boolean {
    return monotonicMs() < this.#busyUntilMs;
  }

  /** Give the attempt of *turn* the time of one more request; return false when it was given up. */
  #renew(turn: number): boolean {
    if (turn !== this.#turn || this.#isAbandoned) return false;
    this.#busyUntilMs = monotonicMs() + 2 * this.#settings.requestTimeoutMs;
    return true;
  }

  /** Send without waiting for a batch to fill or for a backoff to end, save one that the server asked for. */
  #hurry(): void {
    if (this.#isBusy()) {
      this.#lookAgain();
      return;
    }
    if (this.#mayHurry) this.#resumeAtMs = 0;
    this.#cancelTimer();
    const waitMs = this.#groups.length > 0 ? this.#resumeAtMs - monotonicMs() : 0;
    if (waitMs > 0) this.#schedule(waitMs);
    else this.#run();
  }

  /** See to it that an attempt which turns out to be lost is made again. */
  #lookAgain(): void {
    this.#schedule(this.#busyUntilMs - monotonicMs() + 1);
  }

  #schedule(delayMs: number): void {
    const nowMs = monotonicMs();
    const dueAtMs = nowMs + Math.max(0, delayMs);
    // One that is long overdue was lost with its edge request.
    const isAlive = this.#timer && this.#timer.dueAtMs > nowMs - LOST_AFTER_MS;
    if (isAlive && this.#timer && this.#timer.dueAtMs <= dueAtMs) return;
    this.#cancelTimer();
    const id = backgroundTimer(
      () => {
        this.#timer = undefined;
        void this.#pump();
      },
      Math.max(0, delayMs),
    );
    this.#timer = { id, dueAtMs };
  }

  #cancelTimer(): void {
    if (this.#timer) clearTimeout(this.#timer.id);
    this.#timer = undefined;
  }

  #run(): void {
    this.#pump().catch((error) => this.#giveUp(error));
  }

  /** A fault of ours costs the events in hand, not all to come. */
  #giveUp(error: unknown): void {
    this.#counters.countError("sender", error);
    const outcome = rejected("fault", errorText(error));
    const lost = this.#groups.flatMap(({ events }) => events);
    this.#groups = [];
    this.#busyUntilMs = 0;
    this.#settle(lost.map((event) => ({ event, outcome })));
    this.wake();
  }

  /** Attempt after attempt, until nothing is due or a pause is. */
  async #pump(): Promise<void> {
    if (this.#isBusy()) {
      this.#lookAgain(); // a timer may be a little early
      return;
    }
    this.#turn += 1;
    const turn = this.#turn;
    const mayGoOn = () => this.#renew(turn);
    for (let isDue = true; isDue && this.#fill(); isDue = this.#isDue()) {
      const failures = await this.#round(this.#groups, mayGoOn);
      // Given up for lost, and then it came back: what it has settled is settled, the rest is in newer hands.
      if (turn !== this.#turn) return;
      this.#plan(failures);
    }
    this.#busyUntilMs = 0;
    this.wake();
  }

  /** Have groups to send now; return false when there are none, or they are to wait. */
  #fill(): boolean {
    if (this.#isAbandoned) return false;
    if (this.#groups.length > 0) return monotonicMs() >= this.#resumeAtMs;
    const batch = this.#queue.take();
    if (batch.length > 0) this.#groups = [{ events: batch, failures: 0 }];
    return batch.length > 0;
  }

  /** Try each group once, up to a failure of the receiver itself, and return what failed. */
  async #round(groups: readonly Group[], mayGoOn: () => boolean): Promise<Failures> {
    const failures: Failures = { groups: [], waitsMs: [] };
    for (const [index, group] of groups.entries()) {
      if (!mayGoOn()) {
        failures.groups.push(...groups.slice(index));
        break;
      }
      const again = await this.#attempt(group.events, mayGoOn);
      const [first] = again;
      if (!first) continue;
      failures.waitsMs.push(...again.flatMap(({ outcome }) => outcome.retryAfterMs ?? []));
      const isSuspect = SUSPECT_CODES.has(first.outcome.code);
      const events = again.map(({ event }) => event);
      failures.groups.push({ events, failures: group.failures + Number(isSuspect) });
      if (!isSuspect) {
        failures.groups.push(...groups.slice(index + 1));
        break;
      }
    }
    return failures;
  }

  #plan({ groups: failed, waitsMs }: Failures): void {
    const isInVain = eventsIn(failed) === eventsIn(this.#groups);
    this.#groups = [];
    if (failed.length === 0) return;
    this.#roundsInVain = isInVain ? this.#roundsInVain + 1 : 1;
    const retryAfterMs = waitsMs.length > 0 ? Math.max(...waitsMs) : undefined;
    this.#mayHurry = retryAfterMs === undefined;
    const delayMs = retryDelayMs(this.#settings.retry, this.#roundsInVain - 1, retryAfterMs);
    this.#resumeAtMs = monotonicMs() + delayMs;
    this.#groups = regrouped(failed, () => this.#queue.take());
  }

  /** Send *events* once, settle those that are settled, and return the others with the reason. */
  async #attempt(events: readonly QueuedEvent[], mayGoOn: () => boolean): Promise<Settled[]> {
    // Another attempt, given up for lost since, may have settled some.
    const held = events.filter((event) => this.#queue.isInFlight(event));
    if (held.length === 0) return [];
    const outcomes = await this.#outcomes(held, mayGoOn);
    const tried = held.map((event, index) => ({ event, outcome: outcomes[index] as Outcome }));
    const again = tried.filter(({ outcome }) => outcome.status === "retry");
    this.#settle(tried.filter(({ outcome }) => outcome.status !== "retry"));
    const [first] = again;
    if (first && !this.#isAbandoned) {
      this.#counters.countRetried(first.outcome.code, again.length, first.outcome.message);
    }
    return again;
  }

  async #outcomes(events: readonly QueuedEvent[], mayGoOn: () => boolean): Promise<Outcome[]> {
    try {
      const outcomes = await this.#transport.send(events, mayGoOn);
      const isWhole = outcomes.length === events.length && outcomes.every((outcome) => outcome?.status);
      if (isWhole) return outcomes;
      throw new RangeError(`${outcomes.length} outcomes for ${events.length} events`);
    } catch (error) {
      this.#counters.countError("transport", error);
      return events.map(() => retry("transport_error", errorText(error)));
    }
  }

  /** Count and let go of what has its last outcome. One that two attempts have settled counts once. */
  #settle(settled: Settled[]): void {
    const held = new Set(this.#queue.settle(settled.map(({ event }) => event)));
    for (const { event, outcome } of settled.filter(({ event }) => held.has(event))) {
      if (outcome.status === "accepted") this.#counters.countSent(1);
      else this.#counters.countDropped(`rejected:${outcome.code}`, event.id, outcome.message);
    }
    this.tellFlushes(settled);
  }

  /** Have the flushes that wait for these events know what became of them. */
  tellFlushes(settled: readonly Settled[]): void {
    for (const flush of this.#flushes) flush.settle(settled);
    this.#onSettled();
  }
}

/** An event with its last outcome. */
export interface Settled {
  event: QueuedEvent;
  outcome: Outcome;
}

/** What one round leaves to be tried again, and the pauses that the server asked for. */
interface Failures {
  groups: Group[];
  waitsMs: number[];
}

/** One call of `flush`, waiting for its ids. */
class Flush {
  readonly #ids: string[];
  readonly #outcomes = new Map<string, Outcome>();
  readonly #pending: Set<string>;
  #onDone = () => {};

  constructor(ids: string[]) {
    this.#ids = ids;
    this.#pending = new Set(ids);
  }

  get isDone(): boolean {
    return this.#pending.size === 0;
  }

  settle(settled: readonly Settled[]): void {
    for (const { event, outcome } of settled) {
      if (this.#pending.delete(event.id)) this.#outcomes.set(event.id, outcome);
    }
    if (this.isDone) this.#onDone();
  }

  /** Wait until all is settled, or *timeoutMs* are over. This timer does keep a process alive. */
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
