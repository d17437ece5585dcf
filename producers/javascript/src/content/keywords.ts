/** Keys of `log` that are no options, and names that are reserved. */

import { isObject, type Json, type JsonObject, setField, toJson } from "./json.js";
import { described } from "./shapes/media.js";
import { stepFields } from "./steps.js";
import { unixSeconds } from "./times.js";

// Fields that the SDK or the server sets. An app that passes one means metadata.
const RESERVED: ReadonlySet<string> = new Set([
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

const TIMES = ["created_at", "client_created_at"];

/**
 * Return the content's fields for keys that `log` has no option for.
 *
 * Reserved names move into `metadata`. `client_created_at` or `created_at` (a Date, ISO text, or Unix seconds, milli-, micro-
 * or nanoseconds) sets the time of the task; one that is no time moves into `metadata` too, and *onBadTime* is called.
 */
export function keywordFields(
  extra: Readonly<Record<string, unknown>>,
  onBadTime: (name: string) => void,
): JsonObject {
  const fields: JsonObject = {};
  const moved: JsonObject = {};
  for (const [name, value] of Object.entries(extra)) {
    const isTime = TIMES.includes(name);
    if (value != null && !isTime) setField(RESERVED.has(name) ? moved : fields, name, fieldOf(name, value));
  }
  for (const name of TIMES) {
    if (extra[name] == null) continue;
    const unixS = unixSeconds(extra[name]);
    if (unixS !== undefined) fields.client_created_at = unixS;
    else {
      moved[name] = toJson(extra[name]);
      onBadTime(name);
    }
  }
  return withMetadata(fields, moved);
}

/** Return a field as JSON, with pictures, sounds and files described. */
function fieldOf(name: string, value: unknown): Json {
  const field = described(toJson(value));
  return name === "steps" && Array.isArray(field) ? field.map(stepFields) : field;
}

/** Return *fields* with *moved* in its metadata. The server accepts only an object as metadata. */
function withMetadata(fields: JsonObject, moved: JsonObject): JsonObject {
  const { metadata } = fields;
  if (metadata === undefined) return Object.keys(moved).length > 0 ? { ...fields, metadata: moved } : fields;
  return { ...fields, metadata: { ...moved, ...(isObject(metadata) ? metadata : { value: metadata }) } };
}
