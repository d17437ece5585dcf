/** Log what goes in and out of your LLM app, without ever getting in its way. */

export type { WrapOptions } from "./capture/wrap.js";
export { Phospho } from "./client.js";
export type { LogEntry, LoggedContent, LogOptions } from "./content/entry.js";
export type { EventLabel, EventOfTask, Feedback, Flag, UserFeedback } from "./content/feedback.js";
export type { Json, JsonObject } from "./content/json.js";
export type { MaskRule } from "./content/masking.js";
export type { LogStep } from "./content/steps.js";
export { phospho } from "./default-client.js";
export type { Counts, Stats } from "./delivery/counters.js";
export type { QueuedEvent } from "./delivery/event.js";
export type { FlushResult, Rejection } from "./delivery/flush.js";
export { RecordingTransport } from "./delivery/recording.js";
export type { Outcome, Transport } from "./delivery/transport.js";
export { ConfigError, PhosphoError } from "./errors.js";
export type { PhosphoOptions } from "./options.js";
export type { Fetch, FetchResponse, Limits, RetryPolicy } from "./settings.js";
export { VERSION } from "./version.js";
