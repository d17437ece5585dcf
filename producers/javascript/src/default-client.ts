/** The object `phospho`: each function calls a method of the client that `init` made. */

import { type WrapOptions, type Wrapped, wrapped } from "./capture/wrap.js";
import { Phospho } from "./client.js";
import type { LogEntry, LoggedContent } from "./content/entry.js";
import type { EventLabel, EventOfTask, Feedback, UserFeedback } from "./content/feedback.js";
import type { Stats } from "./delivery/counters.js";
import type { FlushResult } from "./delivery/flush.js";
import { rejected } from "./delivery/transport.js";
import { errorText } from "./errors.js";
import type { PhosphoOptions } from "./options.js";
import { VERSION } from "./version.js";

interface State {
  client: Phospho | undefined;
}

/** The default client of the process, even if both the ESM and the CommonJS build are loaded. */
const STATE = sharedState();

function sharedState(): State {
  const globals = globalThis as unknown as Record<symbol, State | undefined>;
  const name = Symbol.for(`phospho@${VERSION}`);
  globals[name] ??= { client: undefined };
  return globals[name];
}

/** Return the default client. Before `init` it is made from the environment, as `init()` does. */
function client(): Phospho {
  STATE.client ??= clientOfEnvironment();
  return STATE.client;
}

/** Return a client of the environment. If that cannot work, return one that counts everything as dropped. */
function clientOfEnvironment(): Phospho {
  try {
    return new Phospho();
  } catch (error) {
    const outcome = rejected("config", errorText(error));
    const transport = { send: async (events: readonly unknown[]) => events.map(() => outcome) };
    return new Phospho({ transport, apiKey: "none", baseUrl: "http://localhost" });
  }
}

/** Logs to the project of the client that `phospho.init` made. */
export const phospho = {
  /**
   * Make the client that the other functions use. A previous client sends its queued events, streams too. Does no I/O.
   * Throws ConfigError for options that cannot work, and is the only function that throws.
   */
  init(options: PhosphoOptions = {}): void {
    const client = new Phospho(options);
    Object.assign(client.taskLog.latest, STATE.client?.taskLog.latest);
    STATE.client = client;
  },

  /** Queue one task, an input with its output; see `Phospho.log`. */
  log(entry: LogEntry): Promise<LoggedContent> {
    return client().log(entry);
  },

  /** Queue a person's feedback on a task: `score` is 1 (positive) or 0 (negative). */
  feedback(feedback: Feedback): Promise<void> {
    return client().feedback(feedback);
  },

  /** Queue feedback on a task, "success" or "failure"; see `Phospho.userFeedback`. */
  userFeedback(feedback: UserFeedback): Promise<void> {
    return client().userFeedback(feedback);
  },

  /** Queue a label that confirms an event of a task; see `Phospho.confirmEvent`. */
  confirmEvent(label: EventLabel): Promise<void> {
    return client().confirmEvent(label);
  },

  /** Queue a label that rejects an event of a task; see `Phospho.rejectEvent`. */
  rejectEvent(label: EventLabel): Promise<void> {
    return client().rejectEvent(label);
  },

  /** Queue the removal of the label of an event of a task; see `Phospho.clearEvent`. */
  clearEvent(event: EventOfTask): Promise<void> {
    return client().clearEvent(event);
  },

  /** Return a new session id, to pass to `log`. Sends nothing. */
  newSession(): string {
    return client().newSession();
  },

  /** Return a new task id, to pass to `log` and `userFeedback`. Sends nothing. */
  newTask(): string {
    return client().newTask();
  },

  /** Return a function that logs each call of *fn*; see `Phospho.wrap`. May be called before `init`. */
  wrap<F extends Wrapped>(fn: F, options: WrapOptions = {}): F {
    return wrapped(() => client().taskLog, fn, options);
  },

  /** Wait until every event logged before is settled, or *timeoutMs* are over; see `Phospho.flush`. */
  flush(timeoutMs?: number): Promise<FlushResult> {
    return client().flush(timeoutMs);
  },

  /** Send all events within *timeoutMs*, then end; see `Phospho.shutdown`. `init` makes a new client. */
  shutdown(timeoutMs?: number): Promise<FlushResult> {
    return client().shutdown(timeoutMs);
  },

  /** Return the counts of everything logged since `init`. */
  stats(): Stats {
    return client().stats();
  },

  /** The id of the latest task that was logged or made. */
  get latestTaskId(): string | null {
    return STATE.client?.latestTaskId ?? null;
  },

  /** The id of the latest session that was logged to or made. */
  get latestSessionId(): string | null {
    return STATE.client?.latestSessionId ?? null;
  },
};
