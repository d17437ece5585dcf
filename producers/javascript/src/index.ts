/** Log what goes in and out of your LLM app, without ever getting in its way. */

export { type EventLabel, type EventOfTask, type Feedback, Phospho, type UserFeedback } from "./client.js";
export type { Counts, Stats } from "./counters.js";
export type { LogEntry, LoggedContent, LogOptions } from "./entry.js";
export { ConfigError, PhosphoError } from "./errors.js";
export type { Json, JsonObject } from "./json.js";
export { phospho } from "./module.js";
export type { QueuedEvent } from "./queue.js";
export { RecordingTransport } from "./recording.js";
export type { FlushResult, Rejection } from "./sender.js";
export type { Fetch, FetchResponse, Limits, PhosphoOptions, RetryPolicy } from "./settings.js";
export type { Outcome, Transport } from "./transport.js";
export type { Flag } from "./verdicts.js";
export { VERSION } from "./version.js";
export type { WrapOptions } from "./wrap.js";
