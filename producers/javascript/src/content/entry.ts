/** Options of `log({ … })`, and their names as they are sent. */

import { newId } from "../ids.js";
import { type JsonObject, textOf } from "./json.js";
import type { LogStep } from "./steps.js";
import type { LogCall } from "./task-content.js";

type Id = string | number | null | undefined;

/** One task. Only `input` is required. Every key that is not listed here is logged as metadata. */
export interface LogEntry extends LogOptions {
  /** A string, a call's arguments, a list of messages, any value, or a promise of one. */
  input: unknown;
  /** A string, a response, a list of messages, any value, or a promise of one. Null if there is none. */
  output?: unknown;
}

/** Options of a task beside its input and output. */
export interface LogOptions {
  /** Groups tasks. Default: a session of its own. */
  sessionId?: Id;
  /** The same id again is the same task. Default: a new UUID, which sorts by time. */
  taskId?: Id;
  /** The app's user. */
  userId?: Id;
  /** The version of the app. */
  versionId?: Id;
  /** Kept instead of `input`. */
  rawInput?: unknown;
  /** Kept instead of `output`. */
  rawOutput?: unknown;
  /** Returns the text of `input`. */
  // biome-ignore lint/suspicious/noExplicitAny: the app knows what it passes
  inputToStrFunction?: ((input: any) => string | null | undefined) | undefined;
  /** Returns the text of `output`, or of one chunk of it. */
  // biome-ignore lint/suspicious/noExplicitAny: the app knows what it passes
  outputToStrFunction?: ((output: any) => string | null | undefined) | undefined;
  /** Returns the token counts, from input and output. */
  // biome-ignore lint/suspicious/noExplicitAny: the app knows what it passes
  inputOutputToUsageFunction?: ((input: any, output: any) => Record<string, number>) | undefined;
  /** Join the outputs of a task that is logged again while it waits to be sent. If false, the last one replaces the first. */
  concatenateRawOutputsIfTaskIdExists?: boolean | undefined;
  /** `output` is an iterable, synchronous or not. Its chunks are joined as the app iterates, then sent. */
  stream?: boolean | undefined;
  metadata?: Record<string, unknown> | null | undefined;
  systemPrompt?: string | null | undefined;
  /** Time of the task. Default: now. */
  createdAt?: Date | string | number | null | undefined;
  tokensIn?: number | null | undefined;
  tokensOut?: number | null | undefined;
  latencyMs?: number | null | undefined;
  /** Calls of models and tools, which the page of the task shows as a tree. */
  steps?: readonly LogStep[] | undefined;
  [name: string]: unknown;
}

/** A queued task: the fields as they are sent, and the ids in camelCase too. */
export interface LoggedContent {
  /** The task's id, to pass to `feedback`. */
  eventId: string;
  taskId: string;
  sessionId: string;
  event_id: string;
  task_id: string;
  session_id: string;
  /** The user's text. */
  input: string;
  /** The assistant's text. Null if there is none, or none yet. */
  output: string | null;
  /** The whole input. */
  raw_input?: unknown;
  /** The whole output. */
  raw_output?: unknown;
  [name: string]: unknown;
}

const IDS: ReadonlySet<string> = new Set(["sessionId", "taskId", "userId", "versionId"]);

// Options by their names in Python and REST, which work too.
const OPTION_OF_WIRE_NAME: Readonly<Record<string, string>> = {
  session_id: "sessionId",
  task_id: "taskId",
  user_id: "userId",
  version_id: "versionId",
  raw_input: "rawInput",
  raw_output: "rawOutput",
  input_to_str_function: "inputToStrFunction",
  output_to_str_function: "outputToStrFunction",
};

const OPTIONS: ReadonlySet<string> = new Set([
  "input",
  "output",
  "stream",
  "concatenateRawOutputsIfTaskIdExists",
  "inputOutputToUsageFunction",
  ...Object.values(OPTION_OF_WIRE_NAME),
]);

// Fields of the server. Every other key is the app's own, and is sent as it is.
const WIRE_NAMES: ReadonlyMap<string, string> = new Map([
  ["projectId", "project_id"],
  ["systemPrompt", "system_prompt"],
  ["createdAt", "created_at"],
  ["tokensIn", "tokens_in"],
  ["tokensOut", "tokens_out"],
  ["latencyMs", "latency_ms"],
]);

/**
 * Return the call of *entry*, with ids and the default version.
 *
 * An empty id counts as missing: the server would refuse it, and unrelated tasks would be merged into one.
 */
export function callOf(entry: Partial<LogEntry>, versionId: string | undefined): LogCall {
  const options: Record<string, unknown> = {
    versionId: versionId && textOf(versionId),
    taskId: newId(),
    sessionId: newId(),
  };
  const extra: [string, unknown][] = [];
  for (const [name, value] of Object.entries(entry)) {
    const option = Object.hasOwn(OPTION_OF_WIRE_NAME, name) ? OPTION_OF_WIRE_NAME[name] : name;
    if (!option || !OPTIONS.has(option)) extra.push([WIRE_NAMES.get(name) ?? name, value]);
    else if (value != null && IDS.has(option)) options[option] = textOf(value) || options[option];
    else if (value != null) options[option] = value;
  }
  return { input: null, output: null, ...options, extra: Object.fromEntries(extra) } as unknown as LogCall;
}

/** Return the content of a queued task for the app. */
export function loggedContent({ taskId, sessionId }: LogCall, content: JsonObject): LoggedContent {
  return {
    ...content,
    task_id: taskId,
    session_id: sessionId,
    eventId: taskId,
    event_id: taskId,
    taskId,
    sessionId,
  } as LoggedContent;
}

/** Return the content of a task that could not be built, or is not built yet. */
export function bareContent(call: LogCall): LoggedContent {
  return loggedContent(call, { input: typeof call.input === "string" ? call.input : "", output: null });
}
