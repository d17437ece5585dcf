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
    if (value != null && !isTime) setField(RESERVED.has(name) ? moved : fields, name, toJson(value));
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

/** Return *fields* with *moved* in its metadata. The server accepts only an object as metadata. */
function withMetadata(fields: JsonObject, moved: JsonObject): JsonObject {
  const { metadata } = fields;
  if (metadata === undefined) return Object.keys(moved).length > 0 ? { ...fields, metadata: moved } : fields;
  return { ...fields, metadata: { ...moved, ...(isObject(metadata) ? metadata : { value: metadata }) } };
}

// 1e11 seconds are in the year 5138, 1e11 milliseconds in 1973.
const LARGEST_SECONDS = 1e11;

const ISO_TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|[+-]\d\d:?\d\d)?)?$/i;

/** Return a time as Unix seconds. Text without a zone is UTC, as the server reads it. Undefined if *value* is no time. */
function unixSeconds(value: unknown): number | undefined {
  if (value instanceof Date) return finite(value.getTime() / 1000);
  if (typeof value === "string" && !/^\d+$/.test(value)) return isoSeconds(value);
  const unixS = ["number", "bigint", "string"].includes(typeof value) ? Number(value) : Number.NaN;
  // Its size tells the unit.
  const power = [9, 6, 3].find((each) => Math.abs(unixS) >= LARGEST_SECONDS * 10 ** (each - 3)) ?? 0;
  return finite(unixS / 10 ** power);
}

function isoSeconds(text: string): number | undefined {
  const [, date, time = "00:00", zone = "Z"] = ISO_TIME.exec(text.trim()) ?? [];
  return date === undefined ? undefined : finite(Date.parse(`${date}T${time}${zone}`) / 1000);
}

function finite(number: number): number | undefined {
  return Number.isFinite(number) ? number : undefined;
}
