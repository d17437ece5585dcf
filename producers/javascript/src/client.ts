/** The client: everything the functions of `phospho` do, as an object. */

import { type LatestIds, TaskLog } from "./capture/task-log.js";
import { type WrapOptions, type Wrapped, wrapped } from "./capture/wrap.js";
import type { LogEntry, LoggedContent } from "./content/entry.js";
import {
  type EventLabel,
  type EventOfTask,
  type Feedback,
  feedbackContent,
  flagOf,
  labelContent,
  type UserFeedback,
} from "./content/feedback.js";
import { textOf } from "./content/json.js";
import { Counters, type Stats } from "./delivery/counters.js";
import { QueuedEvent } from "./delivery/event.js";
import type { FlushResult } from "./delivery/flush.js";
import { HttpTransport } from "./delivery/http.js";
import { Pipeline } from "./delivery/pipeline.js";
import { Warnings } from "./delivery/warnings.js";
import { newId } from "./ids.js";
import { type PhosphoOptions, settingsOf } from "./options.js";

const FLUSH_TIMEOUT_MS = 10_000;

/**
 * Logs to one project by its own queue. One process may have several.
 *
 * PHOSPHO_API_KEY, PHOSPHO_PROJECT_ID and PHOSPHO_BASE_URL stand in for options that are left out. Making a client does
 * no I/O. It throws ConfigError for options that cannot work. After that no method throws, and none of its promises is
 * rejected.
 */
export class Phospho {
  /** @internal */
  readonly taskLog: TaskLog;
  readonly #pipeline: Pipeline;

  constructor(options: PhosphoOptions = {}) {
    const settings = settingsOf(options);
    const warnings = new Warnings(settings.baseUrl, options.onWarning, options.silent === true);
    const transport = options.transport ?? new HttpTransport(settings, warnings);
    this.#pipeline = new Pipeline(settings, transport, new Counters(warnings));
    this.taskLog = new TaskLog(this.#pipeline);
  }

  /** The id of the latest task that was logged or made. */
  get latestTaskId(): string | null {
    return this.#latest.taskId;
  }

  /** The id of the latest session that was logged to or made. */
  get latestSessionId(): string | null {
    return this.#latest.sessionId;
  }

  /**
   * Queue one task, an input with its output, and return the content that will be sent.
   *
   * The snapshot of plain values is taken before `log` returns. Promises among them are awaited in the background, so the
   * app need not await `log`. What cannot be queued is counted in `stats().dropped`.
   */
  log(entry: LogEntry): Promise<LoggedContent> {
    return this.taskLog.log(entry);
  }

  /** Queue a person's feedback on a task. A score that is neither 0 nor 1 is counted as dropped. */
  async feedback(feedback: Feedback): Promise<void> {
    this.taskLog.guard("feedback", () => {
      const { eventId, score, comment } = feedback ?? {};
      if (!eventId) this.#pipeline.refuse(textOf(eventId), "feedback needs the eventId that log returned");
      else if (typeof score === "boolean" || score === 0 || score === 1) {
        this.#submitFeedback(eventId, { score: Number(score), comment });
      } else this.#pipeline.refuse(textOf(eventId), `score must be 0 or 1, not ${textOf(score)}`);
    });
  }

  /** Queue feedback on a task, "success" or "failure". Without `flag` it is converted from `rawFlag`. */
  async userFeedback(feedback: UserFeedback): Promise<void> {
    this.taskLog.guard("userFeedback", () => {
      const { taskId, notes, source } = feedback ?? {};
      this.taskLog.guard("rawFlagToFlag", () => {
        const flag = flagOf(feedback ?? {});
        if (!taskId) this.#pipeline.refuse(textOf(taskId), "userFeedback needs the taskId of a logged task");
        else if (flag === "success" || flag === "failure") {
          this.#submitFeedback(taskId, { flag, comment: notes, source: source ?? "user" });
        } else
          this.#pipeline.refuse(textOf(taskId), `flag must be "success" or "failure", not ${textOf(flag)}`);
      });
    });
  }

  /**
   * Queue a label that confirms an event of a task. If detection has not found it, it is added.
   *
   * The last label of an event wins. Readers see the corrected events, and detection learns from the label. A name that
   * the project has not defined, or a task that the server does not know, is counted as dropped.
   */
  async confirmEvent(label: EventLabel): Promise<void> {
    this.taskLog.guard("confirmEvent", () => this.#submitLabel(label, "confirmed"));
  }

  /** Queue a label that rejects an event of a task: readers no longer see it there. */
  async rejectEvent(label: EventLabel): Promise<void> {
    this.taskLog.guard("rejectEvent", () => this.#submitLabel(label, "rejected"));
  }

  /** Queue the removal of the label of an event of a task: detection alone decides again. */
  async clearEvent(event: EventOfTask): Promise<void> {
    const clear = () => this.#submitLabel({ taskId: event?.taskId, name: event?.name }, "");
    this.taskLog.guard("clearEvent", clear);
  }

  /** Return a new session id, to pass to `log`. Sends nothing. */
  newSession(): string {
    this.#latest.sessionId = newId();
    return this.#latest.sessionId;
  }

  /** Return a new task id, to pass to `log` and `userFeedback`. Sends nothing. */
  newTask(): string {
    this.#latest.taskId = newId();
    return this.#latest.taskId;
  }

  /**
   * Return a function that logs each call of *fn*.
   *
   * Functions, async or not, generators and functions that return a stream stay what they are. If a call throws, or its
   * promise is rejected, its input is logged with the exception as `error`.
   */
  wrap<F extends Wrapped>(fn: F, options: WrapOptions = {}): F {
    return wrapped(() => this.taskLog, fn, options);
  }

  /**
   * Wait until every event logged before is settled, or *timeoutMs* are over. Return the ids that were sent, rejected
   * and are still pending. Logged promises are awaited, unfinished streams are not.
   */
  flush(timeoutMs: number = FLUSH_TIMEOUT_MS): Promise<FlushResult> {
    return this.#pipeline.flush(timeoutMs);
  }

  /** Send all events, unfinished streams too, within *timeoutMs* (`exitTimeoutMs` by default), then end. */
  shutdown(timeoutMs: number = this.#pipeline.settings.exitTimeoutMs): Promise<FlushResult> {
    return this.#pipeline.close(timeoutMs);
  }

  /** Return the counts of everything logged. */
  stats(): Stats {
    return this.#pipeline.stats();
  }

  get #latest(): LatestIds {
    return this.taskLog.latest;
  }

  #submitFeedback(taskId: unknown, fields: Record<string, unknown>): void {
    const feedbackId = newId();
    const content = feedbackContent(feedbackId, taskId, fields);
    this.#pipeline.submit(new QueuedEvent(feedbackId, content, "ready", "feedback"));
  }

  #submitLabel(label: Partial<EventLabel>, value: "confirmed" | "rejected" | ""): void {
    const content = labelContent(label ?? {}, value);
    if (content) this.#pipeline.submit(new QueuedEvent(newId(), content, "ready", "label"));
    else {
      const message = "a label needs the taskId of a task and the name of an event";
      this.#pipeline.refuse(textOf(label?.taskId), message);
    }
  }
}
