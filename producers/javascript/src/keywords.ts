/** Keys of `log` that need a second look: the wire keeps some names for itself. */

import { type Json, type JsonObject, setField, toJson } from "./json.js";

// Whoever passes one of these means metadata: on the wire they say how a log was read and where it is.
const KEPT_BY_THE_WIRE: ReadonlySet<string> = new Set([
  "event_id",
  "kind",
  "last_update",
  "project_id",
  "raw_input_type_name",
  "raw_output_type_name",
  "received_at",
  "revision",
  "schema_version",
  "source",
]);

/**
 * Return the snapshot of the keys that `log` has no option for, as they stand in the content.
 *
 * Names that the wire keeps for itself move into `metadata`, and so does a `client_created_at` that is no time; a
 * good one (Unix seconds, or a Date) says when the task was.
 */
export function asSent(extra: Readonly<Record<string, unknown>>): JsonObject {
  const sent: JsonObject = {};
  const moved: JsonObject = {};
  for (const [name, value] of Object.entries(extra)) {
    if (value != null) setField(KEPT_BY_THE_WIRE.has(name) ? moved : sent, name, toJson(value));
  }
  const { client_created_at: saidAt, ...others } = sent;
  if (saidAt === undefined) return withMetadata(sent, moved);
  const atS = unixSeconds(extra.client_created_at);
  return atS === undefined
    ? withMetadata(others, { ...moved, client_created_at: saidAt })
    : withMetadata({ ...others, client_created_at: atS }, moved);
}

/** Return *sent* with *moved* in its metadata, which the server takes as an object only. */
function withMetadata(sent: JsonObject, moved: JsonObject): JsonObject {
  const { metadata } = sent;
  if (metadata === undefined) return Object.keys(moved).length > 0 ? { ...sent, metadata: moved } : sent;
  return { ...sent, metadata: { ...moved, ...(isObject(metadata) ? metadata : { value: metadata }) } };
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Return a time, as Unix seconds or a Date, in Unix seconds; undefined if it is none. */
function unixSeconds(value: unknown): number | undefined {
  const atS = value instanceof Date ? value.getTime() / 1000 : value;
  return typeof atS === "number" && Number.isFinite(atS) ? atS : undefined;
}
