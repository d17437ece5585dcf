/** Calls of `log` as queued events: whole, awaited, merged into a task that waits, or chunk by chunk. */

import { bareContent, callOf, type LogEntry, type LoggedContent, loggedContent } from "../content/entry.js";
import type { Json, JsonObject } from "../content/json.js";
import { LoggedValue } from "../content/logged-value.js";
import { chunkBytes, StreamedOutput } from "../content/streamed-output.js";
import {
  buildContent,
  inputFields,
  type LogCall,
  mergeContent,
  usageFields,
} from "../content/task-content.js";
import { type EventState, QueuedEvent } from "../delivery/event.js";
import type { Pipeline } from "../delivery/pipeline.js";
import { errorText } from "../errors.js";
import { isPromiseLike } from "./methods.js";
import { type Stop, StreamLog } from "./stream-log.js";
import { addAll, isIterable, isStream, watch } from "./streams.js";

const CANNOT_WATCH = new TypeError(
  "a stream is logged with stream: true only, and not if it is frozen. Only its input is logged",
);

/** Ids of the latest task and session that were logged or made. */
export interface LatestIds {
  taskId: string | null;
  sessionId: string | null;
}

/** Queues the tasks that an app logs. No method throws: faults are counted. */
export class TaskLog {
  readonly latest: LatestIds = { taskId: null, sessionId: null };
  readonly #pipeline: Pipeline;

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  /** Queue the task of *entry*. The promise resolves to its content once its promises are settled. */
  log(entry: LogEntry): Promise<LoggedContent> {
    const call = this.callOf(entry);
    const failed = (error: unknown) => {
      this.countError("log", error);
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

  /** Return the call of *entry*. */
  callOf(entry: Partial<LogEntry>): LogCall {
    const { versionId } = this.#pipeline.settings;
    try {
      return callOf(entry ?? {}, versionId);
    } catch (error) {
      this.countError("log", error); // a getter of the app's
      return callOf({}, versionId);
    }
  }

  /** Queue *call* as it is and return its content. */
  submit(call: LogCall, concatenate = true): LoggedContent {
    try {
      return loggedContent(call, this.#queue(call, "ready", concatenate).content);
    } catch (error) {
      this.countError("log", error);
      return bareContent(call);
    }
  }

  /** Log the chunks of *output* as the app iterates. Return false, and count an error, if it cannot be watched. */
  watch(call: LogCall, output: object, stop?: Stop): boolean {
    const log = this.#streamLog(call, stop);
    if (!isStream(output)) {
      addAll(output as Iterable<unknown>, log);
      return true;
    }
    if (!watch(output, log)) {
      this.countError("stream", CANNOT_WATCH);
      return false;
    }
    // The task of a stream that is never read has its input.
    this.guard("stream", () => this.#queue(call, "streaming", false));
    return true;
  }

  /** Call *work* at the edge between the app and the SDK. Count its error. */
  guard(source: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.countError(source, error);
    }
  }

  /** Count a fault that is kept from the app. */
  readonly countError = (source: string, error: unknown): void => {
    this.#pipeline.counters.countError(source, error);
  };

  /** Return whether *entry* is no entry, and count it as dropped. */
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

  /** Return *call* without an output that is a stream: reading it would take its values from the app. */
  #withoutStream(call: LogCall): LogCall {
    if (!isStream(call.output)) return call;
    this.countError("stream", CANNOT_WATCH);
    return { ...call, output: null };
  }

  /** Queue the task, and complete it when its promises are settled. */
  async #logPromises(call: LogCall): Promise<LoggedContent> {
    const waiting = this.#queue({ ...call, ...withoutPromises(call) }, "awaited", false);
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
    return loggedContent(call, this.#completeAwaited(waiting, settled));
  }

  #completeAwaited(waiting: QueuedEvent, call: LogCall): JsonObject {
    const content = this.#contentOf(call);
    content.client_created_at = waiting.content.client_created_at as Json;
    if (this.#pipeline.queue.get(waiting.id) === waiting) {
      waiting.content = content;
      this.#pipeline.update(waiting, "ready");
    }
    return content;
  }

  /** Watch a promised stream as soon as it is there: this callback is registered before any of the app's. */
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

  /** Leave a promised input empty until it is settled. */
  #awaitInput(call: LogCall): void {
    const { input } = call;
    if (!isPromiseLike(input)) return;
    call.input = "";
    input.then(
      (value) => {
        call.input = value;
        const waiting = this.#pipeline.queue.get(call.taskId);
        if (!waiting) return;
        Object.assign(waiting.content, inputFields(call, new LoggedValue(value), this.countError));
        this.#pipeline.update(waiting, waiting.state);
      },
      (error) => this.countError("input", error),
    );
  }

  /** Queue a call, or merge it into the waiting event of its task. Return the event. */
  #queue(call: LogCall, state: EventState, concatenate: boolean): QueuedEvent {
    this.latest.taskId = call.taskId;
    this.latest.sessionId = call.sessionId;
    const content = this.#contentOf(call);
    const waiting = this.#pipeline.queue.get(call.taskId);
    if (waiting) {
      mergeContent(waiting.content, content, concatenate && waiting.state !== "ready");
      this.#pipeline.update(waiting, state);
      return waiting;
    }
    const event = new QueuedEvent(call.taskId, content, state);
    this.#pipeline.submit(event);
    return event;
  }

  #contentOf(call: LogCall): JsonObject {
    const { settings, counters } = this.#pipeline;
    return buildContent(call, settings.projectId, this.countError, (name) => counters.warnOfTime(name));
  }

  #streamLog(call: LogCall, stop?: Stop): StreamLog {
    call.output = null; // the log of a stream must not keep the stream itself
    const output = new StreamedOutput(call, this.countError);
    let isFull = false;
    const receiver = {
      addChunk: (chunk: unknown, chunksBefore: number) =>
        this.guard("stream", () => {
          if (chunksBefore === 0) this.#beginStream(call, output, chunk);
          // What comes after a gap would not be the answer.
          else if (!isFull) isFull = !this.#addChunk(call, output, chunk);
        }),
      finish: (error: unknown, last: unknown) =>
        this.guard("stream", () => {
          output.addFigures(new LoggedValue(last));
          this.#finishStream(call, output, error);
        }),
      countError: this.countError,
    };
    return new StreamLog(receiver, stop);
  }

  /** Add the first chunk to the task of a stream, which an earlier flush may have sent. */
  #beginStream(call: LogCall, output: StreamedOutput, chunk: unknown): void {
    output.add(new LoggedValue(chunk));
    const event = this.#queue({ ...call, output: chunk }, "streaming", false);
    event.complete = (content) => output.writeTo(content);
  }

  /** Add one chunk to the task of a stream, and return whether there was room for it. */
  #addChunk(call: LogCall, output: StreamedOutput, chunk: unknown): boolean {
    const waiting = this.#pipeline.queue.get(call.taskId);
    if (!waiting) return false;
    const value = new LoggedValue(chunk);
    const addedBytes = chunkBytes(value);
    if (!this.#pipeline.hasRoom(waiting, addedBytes)) return false;
    output.add(value);
    this.#pipeline.grow(waiting, addedBytes);
    return true;
  }

  /** Complete the task of a stream, so that it is sent. A stream without chunks is its input. */
  #finishStream(call: LogCall, output: StreamedOutput, error: unknown): void {
    const waiting = this.#pipeline.queue.get(call.taskId);
    if (!waiting) return;
    const { content } = waiting;
    output.writeTo(content);
    waiting.complete = () => {};
    if (call.inputOutputToUsageFunction) {
      Object.assign(content, usageFields(call, new LoggedValue(content.output), this.countError));
    }
    if (error !== undefined) content.error = errorText(error);
    this.#pipeline.update(waiting, "ready");
  }
}

function settledValue(settled: PromiseSettledResult<unknown>): unknown {
  return settled.status === "fulfilled" ? settled.value : null;
}

/** Return the input and output of a call, with null for a promise. */
function withoutPromises({ input, output }: LogCall): Partial<LogCall> {
  return {
    input: isPromiseLike(input) ? null : input,
    output: isPromiseLike(output) ? null : output,
  };
}
