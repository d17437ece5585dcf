/** The client: what the functions of `phospho` do, as an object that can be made several times. */

import {
  appendChunk,
  buildContent,
  inputFields,
  type LogCall,
  mergeContent,
  outputFields,
  usageFields,
} from "./content.js";
import type { Stats } from "./counters.js";
import { bareContent, callOf, type LogEntry, type LoggedContent, loggedContent } from "./entry.js";
import { errorText } from "./errors.js";
import { usageOf } from "./extract/index.js";
import { HttpTransport } from "./http.js";
import { newId } from "./ids.js";
import { approximateBytes, type Json, type JsonObject, textOf, toJson } from "./json.js";
import { Pipeline } from "./pipeline.js";
import { type EventState, QueuedEvent } from "./queue.js";
import type { FlushResult } from "./sender.js";
import { type PhosphoOptions, settingsOf } from "./settings.js";
import { addAll, isIterable, isPromiseLike, isStream, type Stop, StreamLog, watch } from "./streams.js";
import { type Flag, verdict } from "./verdicts.js";
import { type WrapOptions, type Wrapped, wrapped } from "./wrap.js";

/** What a person thinks of a logged event. */
export interface Feedback {
  eventId: string;
  /** 1 (positive) or 0 (negative). */
  score: number | boolean;
  comment?: string | null | undefined;
}

/** A verdict on a task, as a flag or as whatever the app's user clicked. */
export interface UserFeedback {
  taskId: string;
  flag?: Flag | null | undefined;
  notes?: string | null | undefined;
  /** Who says so. Default: "user". */
  source?: string | null | undefined;
  /** What was clicked: 👍, 🙂, 😀, "success" and the like are a success, everything else is a failure. */
  rawFlag?: unknown;
  /** Makes a flag of `rawFlag`. */
  // biome-ignore lint/suspicious/noExplicitAny: the app knows what it passes
  rawFlagToFlag?: ((rawFlag: any) => Flag) | undefined;
}

/** The event of a task that a person has judged. */
export interface EventOfTask {
  taskId: string;
  /** The event's name, as the project defined it. */
  name: string;
}

/** A person's word on an event of a task. */
export interface EventLabel extends EventOfTask {
  comment?: string | null | undefined;
}

const FLUSH_TIMEOUT_MS = 10_000;

const CANNOT_WATCH = new TypeError("a stream is logged with stream: true only, and not when it is frozen");

/**
 * Logs to one project, by its own queue; several may live in one process.
 *
 * What the options leave out, PHOSPHO_API_KEY, PHOSPHO_PROJECT_ID and PHOSPHO_BASE_URL say. Making a client does
 * no I/O. It throws ConfigError for options that cannot work; after that no method throws, and no promise of
 * theirs is rejected.
 */
export class Phospho {
  /** The ids that were used, or made, last. */
  latestTaskId: string | null = null;
  latestSessionId: string | null = null;
  readonly #pipeline: Pipeline;

  constructor(options: PhosphoOptions = {}) {
    const settings = settingsOf(options);
    this.#pipeline = new Pipeline(
      settings,
      options.transport ?? new HttpTransport(settings),
      options.onWarning,
    );
  }

  /**
   * Queue one task, an input with its output, and return what will be sent.
   *
   * The snapshot of plain values is taken before `log` returns; a promise among them is waited for, and nobody has to
   * wait for the promise of `log`. What cannot be queued is counted in `stats().dropped`.
   */
  log(entry: LogEntry): Promise<LoggedContent> {
    const call = this.callOf(entry);
    const failed = (error: unknown) => {
      this.#countError("log", error);
      return bareContent(call);
    };
    try {
      if (this.#refusesEntry(call, entry)) return Promise.resolve(bareContent(call));
      const concatenate = entry.concatenateRawOutputsIfTaskIdExists !== false;
      return this.#log(call, entry.stream === true, concatenate).catch(failed);
    } catch (error) {
      return Promise.resolve(failed(error));
    }
  }

  /** Queue what a person thinks of a logged event: a score that is neither 0 nor 1 is counted as dropped. */
  async feedback(feedback: Feedback): Promise<void> {
    this.#guarded("feedback", () => {
      const { eventId, score, comment } = feedback ?? {};
      if (!eventId) this.#pipeline.refuse(textOf(eventId), "feedback needs the eventId that log returned");
      else if (typeof score === "boolean" || score === 0 || score === 1) {
        this.#submitFeedback(eventId, { score: Number(score), comment });
      } else this.#pipeline.refuse(textOf(eventId), `score must be 0 or 1, not ${textOf(score)}`);
    });
  }

  /** Queue the verdict on a task, "success" or "failure"; without `flag` it is made of `rawFlag`. */
  async userFeedback(feedback: UserFeedback): Promise<void> {
    this.#guarded("userFeedback", () => {
      const { taskId, flag, notes, source, rawFlag, rawFlagToFlag } = feedback ?? {};
      this.#guarded("rawFlagToFlag", () => {
        const given = flag ?? (rawFlag == null ? undefined : verdict(rawFlag, rawFlagToFlag));
        if (!taskId) this.#pipeline.refuse(textOf(taskId), "userFeedback needs the taskId of a logged task");
        else if (given === "success" || given === "failure") {
          this.#submitFeedback(taskId, { flag: given, comment: notes, source: source ?? "user" });
        } else
          this.#pipeline.refuse(textOf(taskId), `flag must be "success" or "failure", not ${textOf(given)}`);
      });
    });
  }

  /**
   * Queue that an event did happen in a task. One that detection did not find is added to it.
   *
   * The last word on an event of a task holds. It corrects what readers see, and teaches detection. A name that the
   * project has not defined is counted as dropped, and so is a task that the server does not know.
   */
  async confirmEvent(label: EventLabel): Promise<void> {
    this.#guarded("confirmEvent", () => this.#submitLabel(label, "confirmed"));
  }

  /** Queue that an event did not happen in a task: readers no longer see it there. */
  async rejectEvent(label: EventLabel): Promise<void> {
    this.#guarded("rejectEvent", () => this.#submitLabel(label, "rejected"));
  }

  /** Queue that what was said of an event of a task is taken back: detection alone decides. */
  async clearEvent(event: EventOfTask): Promise<void> {
    this.#guarded("clearEvent", () => this.#submitLabel({ taskId: event?.taskId, name: event?.name }, ""));
  }

  /** Return a new id for a session, to pass to `log`. Sends nothing. */
  newSession(): string {
    this.latestSessionId = newId();
    return this.latestSessionId;
  }

  /** Return a new id for a task, to pass to `log` and `userFeedback`. Sends nothing. */
  newTask(): string {
    this.latestTaskId = newId();
    return this.latestTaskId;
  }

  /**
   * Return a function that does the same and logs each call.
   *
   * Functions, async or not, generators and functions that return a stream stay what they are. A call that throws,
   * or whose promise is rejected, is not logged.
   */
  wrap<F extends Wrapped>(fn: F, options: WrapOptions = {}): F {
    return wrapped(() => this, fn, options);
  }

  /**
   * Wait until all that was logged before is settled, or *timeoutMs* are over; return what was sent and what was not.
   * Promises that were logged are waited for, streams that are not complete are not.
   */
  flush(timeoutMs: number = FLUSH_TIMEOUT_MS): Promise<FlushResult> {
    return this.#pipeline.flush(timeoutMs);
  }

  /** Send all that is held, unfinished streams too, within *timeoutMs* (`exitTimeoutMs` by default); then end. */
  shutdown(timeoutMs: number = this.#pipeline.settings.exitTimeoutMs): Promise<FlushResult> {
    return this.#pipeline.close(timeoutMs);
  }

  /** Return what became of everything logged, in numbers. */
  stats(): Stats {
    return this.#pipeline.stats();
  }

  /** Return the call that *entry* stands for. Never throws. @internal */
  callOf(entry: Partial<LogEntry>): LogCall {
    const { versionId } = this.#pipeline.settings;
    try {
      return callOf(entry ?? {}, versionId);
    } catch (error) {
      this.#countError("log", error); // a getter of the app's
      return callOf({}, versionId);
    }
  }

  /** Queue *call* as it is and return its content. Never throws. @internal */
  submit(call: LogCall, concatenate = true): LoggedContent {
    try {
      return loggedContent(call, this.#hold(call, "ready", concatenate).content);
    } catch (error) {
      this.#countError("log", error);
      return bareContent(call);
    }
  }

  /** Log the chunks of *output* as the app iterates; return whether that is possible, and count where not. @internal */
  watch(call: LogCall, output: object, stop?: Stop): boolean {
    const log = this.#streamLog(call, stop);
    if (!isStream(output)) {
      addAll(output as Iterable<unknown>, log);
      return true;
    }
    const isWatched = watch(output, log);
    if (!isWatched) this.#countError("stream", CANNOT_WATCH);
    return isWatched;
  }

  /** Count a fault that was kept from the app. @internal */
  countError(place: string, error: unknown): void {
    this.#countError(place, error);
  }

  /** Count what is no entry; return whether *entry* is one. */
  #refusesEntry(call: LogCall, entry: LogEntry): boolean {
    const isEntry = typeof entry === "object" && entry !== null && "input" in entry;
    if (!isEntry) this.#pipeline.refuse(call.taskId, "log needs an object with an input");
    return !isEntry;
  }

  #log(call: LogCall, isChunked: boolean, concatenate: boolean): Promise<LoggedContent> {
    if (isChunked && isPromiseLike(call.output)) return this.#logPromisedStream(call, call.output);
    if (isChunked && isIterable(call.output)) {
      this.#awaitInput(call);
      if (this.watch(call, call.output)) return Promise.resolve(bareContent(call));
    }
    if (isPromiseLike(call.input) || isPromiseLike(call.output)) return this.#logPromises(call);
    return Promise.resolve(this.submit(this.#withoutStream(call), concatenate));
  }

  /** A stream that nobody watches is not an output that could be read: it is the app's to iterate. */
  #withoutStream(call: LogCall): LogCall {
    if (!isStream(call.output)) return call;
    this.#countError("stream", CANNOT_WATCH);
    return { ...call, output: null };
  }

  /** Hold the task, and complete it when its promises are settled. */
  async #logPromises(call: LogCall): Promise<LoggedContent> {
    const begun = this.#hold({ ...call, ...blankedPromises(call) }, "awaited", false);
    const [input, output] = await Promise.allSettled([call.input, call.output]);
    const errors = [input, output].flatMap((part) =>
      part.status === "rejected" ? errorText(part.reason) : [],
    );
    const settled = this.#withoutStream({
      ...call,
      input: settledValue(input),
      output: settledValue(output),
    });
    if (errors.length > 0) settled.extra = { error: errors.join("; "), ...call.extra };
    return loggedContent(call, this.#completeAwaited(begun, settled));
  }

  #completeAwaited(begun: QueuedEvent, call: LogCall): JsonObject {
    const content = this.#contentOf(call);
    content.client_created_at = begun.content.client_created_at as Json;
    if (this.#pipeline.queue.get(begun.id) === begun) {
      begun.content = content;
      this.#pipeline.changed(begun, "ready");
    }
    return content;
  }

  /** Watch a stream as soon as it is there: this callback was registered before any of the app's. */
  async #logPromisedStream(call: LogCall, output: PromiseLike<unknown>): Promise<LoggedContent> {
    const { input } = call;
    this.#awaitInput(call);
    return output.then(
      (stream) => {
        call.output = stream;
        if (isIterable(stream) && this.watch(call, stream)) return bareContent(call);
        return this.#logPromises({ ...call, input });
      },
      (error) => this.#logPromises({ ...call, input, output: Promise.reject(error) }),
    );
  }

  /** Let a promised input be empty until it is there. */
  #awaitInput(call: LogCall): void {
    const { input } = call;
    if (!isPromiseLike(input)) return;
    call.input = "";
    input.then(
      (value) => {
        call.input = value;
        const held = this.#pipeline.queue.get(call.taskId);
        if (!held) return;
        Object.assign(held.content, inputFields(call, this.#countError));
        this.#pipeline.changed(held, held.state);
      },
      (error) => this.#countError("input", error),
    );
  }

  /** Queue a call, or merge it into the event of its task that still waits; return the event. */
  #hold(call: LogCall, state: EventState, concatenate: boolean): QueuedEvent {
    this.latestTaskId = call.taskId;
    this.latestSessionId = call.sessionId;
    const content = this.#contentOf(call);
    const held = this.#pipeline.queue.get(call.taskId);
    if (held) {
      mergeContent(held.content, content, concatenate);
      this.#pipeline.changed(held, state);
      return held;
    }
    const event = new QueuedEvent(call.taskId, content, state);
    this.#pipeline.submit(event);
    return event;
  }

  #contentOf(call: LogCall): JsonObject {
    return buildContent(call, this.#pipeline.settings.projectId, this.#countError);
  }

  #streamLog(call: LogCall, stop?: Stop): StreamLog {
    call.output = null; // the log of a stream must not keep the stream itself
    const guarded = (work: () => void) => this.#guarded("stream", work);
    const sink = {
      addChunk: (chunk: unknown, chunksBefore: number) =>
        guarded(() => this.#addChunk(call, chunk, chunksBefore)),
      finish: (chunks: number, error: unknown, last: unknown) =>
        guarded(() => this.#finishStream(call, chunks, error, last)),
      countError: this.#countError,
    };
    return new StreamLog(sink, stop);
  }

  /** Add one chunk to the task of a stream, which the first chunk begins. When the queue was full, it never was. */
  #addChunk(call: LogCall, chunk: unknown, chunksBefore: number): void {
    if (chunksBefore === 0) {
      this.#hold({ ...call, output: chunk }, "streaming", true);
      return;
    }
    const held = this.#pipeline.queue.get(call.taskId);
    if (!held) return;
    const fields = { ...outputFields(call, chunk, this.#countError), ...usageOf(chunk) };
    const addedBytes = approximateBytes(fields);
    if (!this.#pipeline.hasRoom(held, addedBytes)) return;
    appendChunk(held.content, fields, chunksBefore);
    this.#pipeline.grown(held, addedBytes);
  }

  /** Let the task of a stream be sent; one without chunks is its input alone. */
  #finishStream(call: LogCall, chunks: number, error: unknown, last: unknown): void {
    if (chunks === 0) this.#hold(call, "ready", true);
    const held = this.#pipeline.queue.get(call.taskId);
    if (!held) return;
    Object.assign(held.content, usageOf(last));
    if (call.inputOutputToUsageFunction) {
      Object.assign(held.content, usageFields(call, held.content.output, this.#countError));
    }
    if (error !== undefined) held.content.error = errorText(error);
    this.#pipeline.changed(held, "ready");
  }

  #submitFeedback(taskId: unknown, fields: Record<string, unknown>): void {
    const feedbackId = newId();
    const known = {
      task_id: textOf(taskId),
      ...fields,
      feedback_id: feedbackId,
      client_created_at: Date.now() / 1000,
    };
    const given = Object.entries(known).filter(([, value]) => value != null);
    const content = toJson(Object.fromEntries(given)) as JsonObject;
    this.#pipeline.submit(new QueuedEvent(feedbackId, content, "ready", "feedback"));
  }

  #submitLabel(label: EventLabel, value: "confirmed" | "rejected" | ""): void {
    const { taskId, name, comment } = label ?? {};
    if (!taskId || !name) {
      this.#pipeline.refuse(textOf(taskId), "a label needs the taskId of a task and the name of an event");
      return;
    }
    const content: JsonObject = { event: textOf(name), task_id: textOf(taskId), label: value };
    if (comment != null) content.comment = textOf(comment);
    this.#pipeline.submit(new QueuedEvent(newId(), content, "ready", "label"));
  }

  /** Do *work* at the edge between the app and us: what it throws is counted. */
  #guarded(place: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#countError(place, error);
    }
  }

  readonly #countError = (place: string, error: unknown): void => {
    this.#pipeline.counters.countError(place, error);
  };
}

function settledValue(settled: PromiseSettledResult<unknown>): unknown {
  return settled.status === "fulfilled" ? settled.value : null;
}

/** Return the parts of a call that are promises, as what they are until they are settled: nothing. */
function blankedPromises(call: LogCall): Partial<LogCall> {
  return {
    input: isPromiseLike(call.input) ? null : call.input,
    output: isPromiseLike(call.output) ? null : call.output,
  };
}
