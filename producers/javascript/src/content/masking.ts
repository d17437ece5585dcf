/** Masking: what must not leave an app, replaced in every text of a log. The Python SDK has the same rules. */

import type { Json, JsonObject } from "./json.js";

/** Each is linear: no part of a pattern can match what the one before it gives back. */
const RULES = {
  email: "[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\\.[A-Za-z0-9-]{1,63}){1,8}",
  iban: "\\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\\b",
  card: "\\b[0-9]{4}(?:[ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}\\b",
  ip: "\\b(?:[0-9]{1,3}\\.){3}[0-9]{1,3}\\b",
  phone:
    "\\+[0-9]{1,3}(?:[ ./-]{1,2}[0-9]{2,10}){1,5}\\b|\\+[0-9]{8,15}\\b" +
    "|(?<![0-9./-])\\(?0[0-9]{1,4}\\)?(?: ?/ ?| )[0-9]{3,10}(?: [0-9]{2,6}){0,4}\\b",
};

/** What stays as it is: ids, and what is no text of a person. */
const UNMASKED_FIELDS = new Set(
  (
    "task_id event_id session_id user_id version_id project_id feedback_id trace_id created_at client_created_at " +
    "received_at last_update flag score source model kind schema_version revision sdk_version sdk_language " +
    "raw_input_type_name raw_output_type_name"
  ).split(" "),
);

/** In the place of a text for which a function throws: it may hold what the function would have masked. */
const FAILED = "<masking failed>";

export type Mask = (text: string) => string;
/** The name of a rule, a regular expression, or a function of a text. */
export type MaskRule = keyof typeof RULES | RegExp | Mask;

/** Return one function of rules, undefined where one is no rule. */
export function maskOf(rules: readonly unknown[]): Mask | undefined {
  const masks = rules.map(single);
  if (!masks.every((mask) => mask !== undefined)) return undefined;
  return (text) => masks.reduce((masked, mask) => mask(masked), text);
}

/** Return a log with each of its texts masked, and the keys of objects as they are. */
export function maskedLog(log: JsonObject, mask: Mask): JsonObject {
  const entries = Object.entries(log);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, UNMASKED_FIELDS.has(name) ? value : masked(value, mask)]),
  );
}

function masked(value: Json, mask: Mask): Json {
  if (typeof value === "string") return maskedText(value, mask);
  if (Array.isArray(value)) return value.map((part) => masked(part, mask));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, masked(part, mask)]));
}

function maskedText(text: string, mask: Mask): string {
  try {
    const result: unknown = mask(text);
    return typeof result === "string" ? result : FAILED;
  } catch {
    return FAILED;
  }
}

function single(rule: unknown): Mask | undefined {
  if (typeof rule === "string" && Object.hasOwn(RULES, rule)) {
    return replacing(new RegExp(RULES[rule as keyof typeof RULES], "g"), `<${rule}>`);
  }
  if (rule instanceof RegExp) {
    return replacing(
      new RegExp(rule.source, rule.flags.includes("g") ? rule.flags : `${rule.flags}g`),
      "<masked>",
    );
  }
  return typeof rule === "function" ? (rule as Mask) : undefined;
}

function replacing(pattern: RegExp, replacement: string): Mask {
  return (text) => text.replace(pattern, () => replacement);
}
