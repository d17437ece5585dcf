/** The sender: passes events from the queue to the transport until each is settled. */

import { errorText } from "../errors.js";
import { backgroundTimer, monotonicMs } from "../runtime.js";
import { retryDelayMs, type Settings } from "../settings.js";
import type { Counters } from "./counters.js";
import type { QueuedEvent } from "./event.js";
import { Flush, type FlushResult, type Settled } from "./flush.js";
import type { LogQueue } from "./queue.js";
import { eventCount, type Group, regrouped, SUSPECT_CODES } from "./retry-groups.js";
import { type Outcome, rejected, retry, type Transport } from "./transport.js";

// A timer that is later than this is lost, even on a busy machine.
const LOST_AFTER_MS = 5_000;

interface SenderParts {
  queue: LogQueue;
  transport: Transport;
  settings: Settings;
  counters: Counters;
  /** Called each time that events were settled, after the flushes that wait for them. */
  onSettled: () => void;
}

/**
 * Sends the queue's events in batches, one attempt at a time.
 *
 * Between attempts only a timer is pending, and a flush replaces it. Edge runtimes end timers and requests with the
 * request that began them: the next flush then continues from the state kept here.
 *
 * The sender survives every failure. Events with the outcome "retry" are sent again after a pause. All others are
 * settled: counted, and removed from the queue.
 */
export class Sender {
  readonly #queue: LogQueue;
  readonly #transport: Transport;
  readonly #settings: Settings;
  readonly #counters: Counters;
  readonly #onSettled: () => void;
  readonly #flushes = new Set<Flush>();
  #groups: Group[] = [];
  #failedRounds = 0;
  #resumeAtMs = 0;
  #mayHurry = true;
  #timer: { id: ReturnType<typeof setTimeout>; dueAtMs: number } | undefined;
  #turn = 0;
  #busyUntilMs = 0;
  #isAbandoned = false;
  #isAborted = false;

  constructor({ queue, transport, settings, counters, onSettled }: SenderParts) {
    this.#queue = queue;
    this.#transport = transport;
    this.#settings = settings;
    this.#counters = counters;
    this.#onSettled = onSettled;
  }

  /** Schedule the ready events: within a tick, or at once when a batch is full or a flush waits. */
  wake(): void {
    if (this.#isAbandoned || this.#isAborted || this.#isBusy()) return;
    if (this.#groups.length > 0) this.#schedule(this.#resumeAtMs - monotonicMs());
    else if (this.#queue.ready > 0) this.#schedule(this.#isDue() ? 0 : this.#settings.tickMs);
  }

  /** Wait until all events queued now are settled, or *timeoutMs* are over. */
  async flush(timeoutMs: number): Promise<FlushResult> {
    const flush = new Flush(this.#queue.idsToSend());
    if (flush.isDone) return flush.result();
    this.#flushes.add(flush);
    this.#isAborted = false;
    this.#hurry();
    await flush.wait(timeoutMs);
    this.#flushes.delete(flush);
    return flush.result();
  }

  /** Abort the attempt in flight, and make no other before `resume` or a flush. The events stay queued. */
  abort(): void {
    this.#isAborted = true;
    this.#cancelTimer();
    this.#transport.close?.();
  }

  /** Go on after `abort`: the app has logged more. */
  resume(): void {
    this.#isAborted = false;
    this.wake();
  }

  /** Abort the attempt in flight and make no other. The queued events stay unsent. */
  abandon(): void {
    this.#isAbandoned = true;
    this.abort();
  }

  #isDue(): boolean {
    return this.#flushes.size > 0 || this.#queue.ready >= this.#settings.limits.batchEvents;
  }

  /** Return whether an attempt is in flight. One that outlives every timeout was lost with its edge request. */
  #isBusy(): boolean {
    return monotonicMs() < this.#busyUntilMs;
  }

  /** Restart the time of the attempt of *turn*. Return false if it was given up. */
  #renew(turn: number): boolean {
    if (turn !== this.#turn || this.#isAbandoned) return false;
    this.#busyUntilMs = monotonicMs() + 2 * this.#settings.requestTimeoutMs;
    return true;
  }

  /** Send now. Only a pause that the server asked for is kept. */
  #hurry(): void {
    if (this.#isBusy()) {
      this.#checkLater();
      return;
    }
    if (this.#mayHurry) this.#resumeAtMs = 0;
    this.#cancelTimer();
    const waitMs = this.#groups.length > 0 ? this.#resumeAtMs - monotonicMs() : 0;
    if (waitMs > 0) this.#schedule(waitMs);
    else this.#run();
  }

  /** Schedule a check at the time when the attempt in flight counts as lost. */
  #checkLater(): void {
    this.#schedule(this.#busyUntilMs - monotonicMs() + 1);
  }

  #schedule(delayMs: number): void {
    const nowMs = monotonicMs();
    const dueAtMs = nowMs + Math.max(0, delayMs);
    // A long overdue timer was lost with its edge request.
    const isAlive = this.#timer && this.#timer.dueAtMs > nowMs - LOST_AFTER_MS;
    if (this.#timer && !isAlive) this.#counters.warnOfFreeze(nowMs - this.#timer.dueAtMs);
    if (isAlive && this.#timer && this.#timer.dueAtMs <= dueAtMs) return;
    this.#cancelTimer();
    const id = backgroundTimer(
      () => {
        this.#timer = undefined;
        const lateMs = monotonicMs() - dueAtMs;
        if (lateMs > LOST_AFTER_MS) this.#counters.warnOfFreeze(lateMs);
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

  /** Drop the events of the current groups after a fault of the SDK. Later events are sent. */
  #giveUp(error: unknown): void {
    this.#counters.countError("sender", error);
    const outcome = rejected("fault", errorText(error));
    const lost = this.#groups.flatMap(({ events }) => events);
    this.#groups = [];
    this.#busyUntilMs = 0;
    this.#settle(lost.map((event) => ({ event, outcome })));
    this.wake();
  }

  /** Make attempts until no event is due, or a pause is. */
  async #pump(): Promise<void> {
    if (this.#isBusy()) {
      this.#checkLater(); // a timer may be a little early
      return;
    }
    this.#turn += 1;
    const turn = this.#turn;
    const mayGoOn = () => this.#renew(turn);
    for (let isDue = true; isDue && this.#fill(); isDue = this.#isDue()) {
      const failures = await this.#sendRound(this.#groups, mayGoOn);
      // The attempt counted as lost and came back: a newer one has taken over its unsettled events.
      if (turn !== this.#turn) return;
      this.#planRetry(failures);
    }
    this.#busyUntilMs = 0;
    this.wake();
  }

  /** Fill `#groups` from the queue. Return false if there are none, or they must wait. */
  #fill(): boolean {
    if (this.#isAbandoned) return false;
    if (this.#groups.length > 0) return monotonicMs() >= this.#resumeAtMs;
    const batch = this.#queue.take();
    if (batch.length > 0) this.#groups = [{ events: batch, failures: 0 }];
    return batch.length > 0;
  }

  /** Send each group once, up to a failure that no event can cause. Return the failed groups. */
  async #sendRound(groups: readonly Group[], mayGoOn: () => boolean): Promise<Failures> {
    const failures: Failures = { groups: [], waitsMs: [] };
    for (const [index, group] of groups.entries()) {
      if (!mayGoOn()) {
        failures.groups.push(...groups.slice(index));
        break;
      }
      const retries = await this.#attempt(group.events, mayGoOn);
      const [first] = retries;
      if (!first) continue;
      failures.waitsMs.push(...retries.flatMap(({ outcome }) => outcome.retryAfterMs ?? []));
      const isSuspect = SUSPECT_CODES.has(first.outcome.code);
      const events = retries.map(({ event }) => event);
      failures.groups.push({ events, failures: group.failures + Number(isSuspect) });
      if (!isSuspect) {
        failures.groups.push(...groups.slice(index + 1));
        break;
      }
    }
    return failures;
  }

  /** Set the groups of the next round, and the pause before it. */
  #planRetry({ groups: failed, waitsMs }: Failures): void {
    const haveAllFailed = eventCount(failed) === eventCount(this.#groups);
    this.#groups = [];
    if (failed.length === 0) return;
    this.#failedRounds = haveAllFailed ? this.#failedRounds + 1 : 1;
    const retryAfterMs = waitsMs.length > 0 ? Math.max(...waitsMs) : undefined;
    this.#mayHurry = retryAfterMs === undefined;
    const delayMs = retryDelayMs(this.#settings.retry, this.#failedRounds - 1, retryAfterMs);
    this.#resumeAtMs = monotonicMs() + delayMs;
    this.#groups = regrouped(failed, () => this.#queue.take());
  }

  /** Send *events* once, settle those with a final outcome, and return the others. */
  async #attempt(events: readonly QueuedEvent[], mayGoOn: () => boolean): Promise<Settled[]> {
    // Another attempt, which counts as lost, may have settled some.
    const held = events.filter((event) => this.#queue.isInFlight(event));
    if (held.length === 0) return [];
    const outcomes = await this.#outcomes(held, mayGoOn);
    const tried = held.map((event, index) => ({ event, outcome: outcomes[index] as Outcome }));
    const retries = tried.filter(({ outcome }) => outcome.status === "retry");
    this.#settle(tried.filter(({ outcome }) => outcome.status !== "retry"));
    const [first] = retries;
    if (first && !this.#isAbandoned && !this.#isAborted) {
      this.#counters.countRetried(first.outcome.code, retries.length, first.outcome.message);
    }
    return retries;
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

  /** Count and remove events with a final outcome. An event that two attempts have settled counts once. */
  #settle(settled: Settled[]): void {
    const held = new Set(this.#queue.settle(settled.map(({ event }) => event)));
    for (const { event, outcome } of settled.filter(({ event }) => held.has(event))) {
      if (outcome.status === "accepted") this.#counters.countSent(1);
      else this.#counters.countDropped(`rejected:${outcome.code}`, event.id, outcome.message);
    }
    this.settleFlushes(settled);
  }

  /** Pass final outcomes to the flushes that wait for them. */
  settleFlushes(settled: readonly Settled[]): void {
    for (const flush of this.#flushes) flush.settle(settled);
    this.#onSettled();
  }
}

/** Groups that a round leaves to be sent again, and the pauses that the server asked for. */
interface Failures {
  groups: Group[];
  waitsMs: number[];
}
