/** From the call of `log` to the object that is sent. */

import { inputText, modelOf, outputText, systemPromptOf, usageOf } from "./extract/index.js";
import { read } from "./extract/shapes.js";
import { type Json, type JsonObject, setField, toJson } from "./json.js";
import { asSent } from "./keywords.js";

type OnError = (place: string, error: unknown) => void;

/** The options of one `log`, with its ids made. `extra` holds every key that is no option, by its name on the wire. */
export interface LogCall {
  input: unknown;
  output: unknown;
  taskId: string;
  sessionId: string;
  versionId?: string | undefined;
  userId?: string | undefined;
  rawInput?: unknown;
  rawOutput?: unknown;
  // biome-ignore lint/suspicious/noExplicitAny: the app knows what it passes, and what its function takes
  inputToStrFunction?: ((input: any) => unknown) | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  outputToStrFunction?: ((output: any) => unknown) | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  inputOutputToUsageFunction?: ((input: any, output: any) => Record<string, number>) | undefined;
  extra: Readonly<Record<string, unknown>>;
}

/** The fields that an output, whole or one chunk, adds to a content. */
export interface OutputFields extends JsonObject {
  output: string | null;
  raw_output: Json;
  raw_output_type_name: string;
}

/**
 * Return the content of a task: a snapshot, which the app's later changes to its objects do not touch.
 *
 * What the app passed by name wins over what was extracted; `asSent` says what no name can overwrite. A function of the app that throws is reported to
 * *onError* and its default takes its place.
 */
export function buildContent(call: LogCall, projectId: string | undefined, onError: OnError): JsonObject {
  const content: JsonObject = {
    client_created_at: Date.now() / 1000,
    session_id: call.sessionId,
    task_id: call.taskId,
    ...inputFields(call, onError),
    ...outputFields(call, call.output, onError),
  };
  const given = { project_id: projectId, version_id: call.versionId, user_id: call.userId };
  for (const [name, value] of Object.entries(given)) {
    if (value) content[name] = value;
  }
  if (!isTextAlone(call)) Object.assign(content, saidBesideTheText(call));
  if (call.inputOutputToUsageFunction) Object.assign(content, usageFields(call, call.output, onError));
  for (const [name, value] of Object.entries(asSent(call.extra))) setField(content, name, value);
  return content;
}

function isTextAlone(call: LogCall): boolean {
  return typeof call.input === "string" && (call.output == null || typeof call.output === "string");
}

/** Return the fields that the input of *call* adds to its content. */
export function inputFields(call: LogCall, onError: OnError): JsonObject {
  return {
    input: textBy(call.inputToStrFunction, call.input, inputText, "inputToStrFunction", onError) ?? "",
    raw_input: toJson(call.rawInput ?? call.input),
    raw_input_type_name: typeName(call.input),
  };
}

/** Return the fields that *output*, whole or one chunk, adds to the content of *call*. */
export function outputFields(call: LogCall, output: unknown, onError: OnError): OutputFields {
  return {
    output:
      output == null
        ? null
        : textBy(call.outputToStrFunction, output, outputText, "outputToStrFunction", onError),
    raw_output: toJson(call.rawOutput ?? output),
    raw_output_type_name: typeName(output),
  };
}

/** Return the tokens used, counted by the app's function if it gave one, else as *output* says. */
export function usageFields(call: LogCall, output: unknown, onError: OnError): JsonObject {
  try {
    const counts = call.inputOutputToUsageFunction?.(call.input, output);
    if (counts) return toJson(counts) as JsonObject;
  } catch (error) {
    onError("inputOutputToUsageFunction", error);
  }
  return usageOf(output);
}

/**
 * Put the content of a task that is logged again into the one that is held, in place.
 *
 * Its first `client_created_at` stays. With *concatenate* outputs are joined and raw outputs become a list,
 * else the last ones stay.
 */
export function mergeContent(held: JsonObject, added: JsonObject, concatenate: boolean): void {
  const { client_created_at: _, ...fields } = added;
  if (concatenate) {
    fields.output = joinedText(held.output, added.output);
    fields.raw_output = joinedRaw(held.raw_output, added.raw_output);
  }
  Object.assign(held, fields);
}

/** Add the fields of one more chunk to the content of a stream, in place and in constant time. */
export function appendChunk(held: JsonObject, added: OutputFields, chunksBefore: number): void {
  const { output, raw_output: raw, ...fields } = added;
  held.output = joinedText(held.output, output);
  if (chunksBefore === 1) held.raw_output = [held.raw_output ?? null, raw];
  else if (Array.isArray(held.raw_output)) held.raw_output.push(raw);
  Object.assign(held, fields);
}

function textBy(
  convert: ((value: unknown) => unknown) | undefined,
  value: unknown,
  otherwise: (value: unknown) => string | null,
  place: string,
  onError: OnError,
): string | null {
  if (convert) {
    try {
      const text = convert(value);
      return text == null ? null : String(text);
    } catch (error) {
      onError(place, error);
    }
  }
  return otherwise(value);
}

function saidBesideTheText(call: LogCall): JsonObject {
  const fields: JsonObject = { ...usageOf(call.output) };
  const model = modelOf(call.input, call.output);
  if (model !== undefined) fields.model = model;
  const systemPrompt = systemPromptOf(call.input, call.output);
  if (systemPrompt !== undefined) fields.system_prompt = systemPrompt;
  return fields;
}

function joinedText(held: Json | undefined, added: Json | undefined): Json {
  if (typeof held === "string" && typeof added === "string") return held + added;
  return held ?? added ?? null;
}

function joinedRaw(held: Json | undefined, added: Json | undefined): Json {
  if (held == null || added == null) return held ?? added ?? null;
  return [held, added].flat() as Json[];
}

/** Return the name of a type as the Python SDK has it: the server's rows don't tell who logged them. */
function typeName(value: unknown): string {
  if (value == null) return "NoneType";
  if (Array.isArray(value)) return "list";
  const name = PYTHON_NAMES[typeof value];
  if (name) return name;
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  const madeBy = read(value, "constructor");
  const className = typeof madeBy === "function" ? madeBy.name : "";
  return className && className !== "Object" ? className : "dict";
}

const PYTHON_NAMES: Record<string, string> = {
  string: "str",
  boolean: "bool",
  bigint: "int",
  function: "function",
};
