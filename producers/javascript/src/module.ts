/** The object `phospho`: each function does its work on the client that `init` made. */

import { type EventLabel, type EventOfTask, type Feedback, Phospho, type UserFeedback } from "./client.js";
import type { Stats } from "./counters.js";
import type { LogEntry, LoggedContent } from "./entry.js";
import { errorText } from "./errors.js";
import type { FlushResult } from "./sender.js";
import type { PhosphoOptions } from "./settings.js";
import { rejected } from "./transport.js";
import { VERSION } from "./version.js";
import { type WrapOptions, type Wrapped, wrapped } from "./wrap.js";

interface State {
  client: Phospho | undefined;
}

/** The one default client, also where an app and its libraries have loaded both the ESM and the CommonJS build. */
const STATE = sharedState();

function sharedState(): State {
  const place = globalThis as unknown as Record<symbol, State | undefined>;
  const name = Symbol.for(`phospho@${VERSION}`);
  place[name] ??= { client: undefined };
  return place[name];
}

/** Return the client that `init` made. Before `init` it is made from the environment, as `init()` would. */
function client(): Phospho {
  STATE.client ??= clientOfEnvironment();
  return STATE.client;
}

/** Return a client; where the environment cannot work, one that counts everything as dropped: nothing throws here. */
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
   * Make the client that the other functions use; one that was made before sends what it was given, streams too.
   * Does no I/O. Throws ConfigError for options that cannot work, and is the only function that throws.
   */
  init(options: PhosphoOptions = {}): void {
    const made = new Phospho(options);
    const previous = STATE.client;
    if (previous) {
      made.latestTaskId = previous.latestTaskId;
      made.latestSessionId = previous.latestSessionId;
    }
    STATE.client = made;
  },

  /** Queue one task, an input with its output; see `Phospho.log`. */
  log(entry: LogEntry): Promise<LoggedContent> {
    return client().log(entry);
  },

  /** Queue what a person thinks of a logged event: `score` is 1 (positive) or 0 (negative). */
  feedback(feedback: Feedback): Promise<void> {
    return client().feedback(feedback);
  },

  /** Queue the verdict on a task, "success" or "failure"; see `Phospho.userFeedback`. */
  userFeedback(feedback: UserFeedback): Promise<void> {
    return client().userFeedback(feedback);
  },

  /** Queue that an event did happen in a task: it is added where detection did not find it. */
  confirmEvent(label: EventLabel): Promise<void> {
    return client().confirmEvent(label);
  },

  /** Queue that an event did not happen in a task: readers no longer see it there. */
  rejectEvent(label: EventLabel): Promise<void> {
    return client().rejectEvent(label);
  },

  /** Queue that what was said of an event of a task is taken back. */
  clearEvent(event: EventOfTask): Promise<void> {
    return client().clearEvent(event);
  },

  /** Return a new id for a session, to pass to `log`. Sends nothing. */
  newSession(): string {
    return client().newSession();
  },

  /** Return a new id for a task, to pass to `log` and `userFeedback`. Sends nothing. */
  newTask(): string {
    return client().newTask();
  },

  /** Return a function that does the same and logs each call; see `Phospho.wrap`. May be called before `init`. */
  wrap<F extends Wrapped>(fn: F, options: WrapOptions = {}): F {
    return wrapped(client, fn, options);
  },

  /** Wait until all that was logged before is settled, or *timeoutMs* are over; see `Phospho.flush`. */
  flush(timeoutMs?: number): Promise<FlushResult> {
    return client().flush(timeoutMs);
  },

  /** Send all that is held within *timeoutMs*, then end; `init` begins anew. See `Phospho.shutdown`. */
  shutdown(timeoutMs?: number): Promise<FlushResult> {
    return client().shutdown(timeoutMs);
  },

  /** Return what became of everything logged since `init`, in numbers. */
  stats(): Stats {
    return client().stats();
  },

  /** The id of the task that was logged, or made, last. */
  get latestTaskId(): string | null {
    return STATE.client?.latestTaskId ?? null;
  },

  /** The id of the session that was logged to, or made, last. */
  get latestSessionId(): string | null {
    return STATE.client?.latestSessionId ?? null;
  },
};
