/** Keys of `log` that are no options, and names that are reserved. */

import { isObject, type JsonObject, setField, toJson } from "./json.js";

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
 * Reserved names move into `metadata`. `client_created_at` (Unix seconds or milliseconds, a Date, or ISO text) sets the time
 * of the task; one that is no time moves into `metadata` too.
 */
export function keywordFields(extra: Readonly<Record<string, unknown>>): JsonObject {
  const fields: JsonObject = {};
  const moved: JsonObject = {};
  for (const [name, value] of Object.entries(extra)) {
    if (value != null) setField(RESERVED.has(name) ? moved : fields, name, toJson(value));
  }
  // Unix milliseconds, as JavaScript has them, are no time for the server.
  if (typeof extra.created_at === "number")
    fields.created_at = unixSeconds(extra.created_at) ?? extra.created_at;
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

// Unix milliseconds of 1973. As seconds they would be in the year 5138.
const MILLISECONDS_FROM = 1e11;

const ISO_TIME = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/i;

/** Return a Date, Unix seconds or milliseconds, or ISO text as Unix seconds. Undefined if *value* is no time. */
export function unixSeconds(value: unknown): number | undefined {
  const time = typeof value === "string" ? isoTime(value) : value;
  if (time instanceof Date) return Number.isNaN(time.getTime()) ? undefined : time.getTime() / 1000;
  if (typeof time !== "number" || !Number.isFinite(time)) return undefined;
  return Math.abs(time) >= MILLISECONDS_FROM ? time / 1000 : time;
}

/** Return ISO text as a Date: UTC where it names no zone, as the server reads it. */
function isoTime(text: string): Date | undefined {
  const match = ISO_TIME.exec(text.trim());
  if (!match) return undefined;
  const zone = match[4] || !match[1] ? "" : "Z";
  return new Date(text.trim().replace(" ", "T").replace(/\s/g, "") + zone);
}
