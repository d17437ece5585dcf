/** Keys of `log` that are no options, and names that are reserved. */

import { type Json, type JsonObject, setField, toJson } from "./json.js";

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

/**
 * Return the content's fields for keys that `log` has no option for.
 *
 * Reserved names move into `metadata`. `client_created_at` (Unix seconds, or a Date) sets the time of the task; one that
 * is no time moves into `metadata` too.
 */
export function keywordFields(extra: Readonly<Record<string, unknown>>): JsonObject {
  const fields: JsonObject = {};
  const moved: JsonObject = {};
  for (const [name, value] of Object.entries(extra)) {
    if (value != null) setField(RESERVED.has(name) ? moved : fields, name, toJson(value));
  }
  const { client_created_at: createdAt, ...others } = fields;
  if (createdAt === undefined) return withMetadata(fields, moved);
  const unixS = unixSeconds(extra.client_created_at);
  return unixS === undefined
    ? withMetadata(others, { ...moved, client_created_at: createdAt })
    : withMetadata({ ...others, client_created_at: unixS }, moved);
}

/** Return *fields* with *moved* in its metadata. The server accepts only an object as metadata. */
function withMetadata(fields: JsonObject, moved: JsonObject): JsonObject {
  const { metadata } = fields;
  if (metadata === undefined) return Object.keys(moved).length > 0 ? { ...fields, metadata: moved } : fields;
  return { ...fields, metadata: { ...moved, ...(isObject(metadata) ? metadata : { value: metadata }) } };
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Return Unix seconds or a Date as Unix seconds. Undefined if *value* is no time. */
function unixSeconds(value: unknown): number | undefined {
  const unixS = value instanceof Date ? value.getTime() / 1000 : value;
  return typeof unixS === "number" && Number.isFinite(unixS) ? unixS : undefined;
}
