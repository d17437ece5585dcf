/** Steps of a task, as an app logs them: calls of models and tools, retrievals, and what encloses them. */

import { isObject, type Json, type JsonObject, setField } from "./json.js";
import { unixSeconds } from "./times.js";

/** One step. The names of Python and REST (`started_at`, …) work too, and so do other keys. */
export interface LogStep {
  /** "llm", "tool", "retriever", "chain", "agent", or another word. */
  kind?: string | undefined;
  name?: string | undefined;
  input?: unknown;
  output?: unknown;
  /** An error that was thrown, or its text. */
  error?: unknown;
  startedAt?: Date | string | number | undefined;
  /** Instead of `latencyMs`. */
  endedAt?: Date | string | number | undefined;
  latencyMs?: number | undefined;
  model?: string | undefined;
  tokensIn?: number | undefined;
  tokensOut?: number | undefined;
  spanId?: string | undefined;
  /** The `spanId` of the step that encloses this one. */
  parentSpanId?: string | undefined;
  [name: string]: unknown;
}

// Names as they are sent, by those of apps: in camelCase, and of other tracers.
const NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    started_at: ["startedAt", "startTime", "start_time"],
    ended_at: ["endedAt", "endTime", "end_time"],
    latency_ms: ["latencyMs", "durationMs", "duration_ms"],
    model: ["modelId", "modelName"],
    tokens_in: ["tokensIn", "inputTokens", "promptTokens", "input_tokens", "prompt_tokens"],
    tokens_out: ["tokensOut", "outputTokens", "completionTokens", "output_tokens", "completion_tokens"],
    span_id: ["spanId", "stepId"],
    parent_span_id: ["parentSpanId", "parentId", "parentStepId"],
  }).flatMap(([name, others]) => others.map((other) => [other, name] as const)),
);

/** Return *step* with the names and forms that are sent. A name of Python and REST wins over another one. */
export function stepFields(step: Json): Json {
  if (!isObject(step)) return step;
  const fields: JsonObject = {};
  for (const [name, value] of Object.entries(step)) {
    const sent = NAMES.get(name) ?? name;
    if (value !== null && (sent === name || step[sent] == null)) setField(fields, sent, value);
  }
  return timed(fields);
}

function timed({ ended_at: end, ...fields }: JsonObject): JsonObject {
  const [startS, endS] = [unixSeconds(fields.started_at), unixSeconds(end)];
  if (startS !== undefined && endS !== undefined)
    fields.latency_ms ??= Math.round((endS - startS) * 1e6) / 1000;
  const start = new Date(Math.round((startS ?? Number.NaN) * 1000));
  if (!Number.isNaN(start.getTime())) fields.started_at = start.toISOString();
  return fields;
}
