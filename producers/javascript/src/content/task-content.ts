/** Content of a task: the JSON object that one call of `log` sends, whole or chunk by chunk. */

import { type Json, type JsonObject, setField, toJson } from "./json.js";
import { keywordFields } from "./keywords.js";
import { LoggedValue } from "./logged-value.js";

export type OnError = (source: string, error: unknown) => void;

/** Options of one `log`, with ids. `extra` holds every key that is no option, by the name that is sent. */
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
 * Return the content of a task: a snapshot, which later changes to the app's objects don't touch.
 *
 * A key of the app wins over an extracted field; `keywordFields` names the exceptions. If a function of the app throws,
 * *onError* is called and the default is used instead.
 */
export function buildContent(
  call: LogCall,
  projectId: string | undefined,
  onError: OnError,
  onBadTime: (name: string) => void,
): JsonObject {
  const [input, output] = [new LoggedValue(call.input), new LoggedValue(call.output)];
  const content: JsonObject = {
    client_created_at: Date.now() / 1000,
    session_id: call.sessionId,
    task_id: call.taskId,
    ...inputFields(call, input, onError),
    ...outputFields(call, output, onError),
  };
  const ids = { project_id: projectId, version_id: call.versionId, user_id: call.userId };
  for (const [name, value] of Object.entries(ids)) {
    if (value) content[name] = value;
  }
  if (!isTextAlone(call)) Object.assign(content, extractedFields(input, output));
  if (call.inputOutputToUsageFunction) Object.assign(content, usageFields(call, output, onError));
  for (const [name, value] of Object.entries(keywordFields(call.extra, onBadTime))) {
    setField(content, name, value);
  }
  return content;
}

function isTextAlone(call: LogCall): boolean {
  return typeof call.input === "string" && (call.output == null || typeof call.output === "string");
}

/** Return the fields that *input* adds to the content of *call*. */
export function inputFields(call: LogCall, input: LoggedValue, onError: OnError): JsonObject {
  return {
    input: textOfSide(call, "inputToStrFunction", input, onError) ?? "",
    raw_input: call.rawInput == null ? input.json() : new LoggedValue(call.rawInput).json(),
    raw_input_type_name: typeName(input.original),
  };
}

function outputFields(call: LogCall, output: LoggedValue, onError: OnError): OutputFields {
  return {
    output: output.original == null ? null : textOfSide(call, "outputToStrFunction", output, onError),
    raw_output: call.rawOutput == null ? output.json() : new LoggedValue(call.rawOutput).json(),
    raw_output_type_name: typeName(output.original),
  };
}

/** Return the text of one chunk by the app's `outputToStrFunction`. Undefined without one, or if it fails. */
export function chunkText(call: LogCall, chunk: unknown, onError: OnError): string | undefined {
  try {
    const text = call.outputToStrFunction?.(chunk);
    return text == null ? undefined : String(text);
  } catch (error) {
    onError("outputToStrFunction", error);
    return undefined;
  }
}

/** Return the token counts by the app's function if it has one, else those that *output* carries. */
export function usageFields(call: LogCall, output: LoggedValue, onError: OnError): JsonObject {
  try {
    const counts = call.inputOutputToUsageFunction?.(call.input, output.original);
    if (counts) return toJson(counts) as JsonObject;
  } catch (error) {
    onError("inputOutputToUsageFunction", error);
  }
  return output.usage();
}

/**
 * Merge the content of a task that is logged again into the queued one, in place.
 *
 * The first `client_created_at` and fields that the new content lacks stay. Outputs of a task that *isUnfinished* are
 * joined, and its raw outputs become a list. Otherwise the last output replaces the first.
 */
export function mergeContent(held: JsonObject, added: JsonObject, isUnfinished: boolean): void {
  const { client_created_at: _, ...fields } = added;
  if (isUnfinished) {
    fields.output = joinedText(held.output, added.output);
    fields.raw_output = joinedRaw(held.raw_output, added.raw_output);
  }
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null) setField(held, name, value);
  }
}

/** Return the text of a side: by the app's function of that name if it has one. */
function textOfSide(
  call: LogCall,
  name: "inputToStrFunction" | "outputToStrFunction",
  value: LoggedValue,
  onError: OnError,
): string | null {
  const convert = call[name];
  if (convert) {
    try {
      const text = convert(value.original);
      return text == null ? null : String(text);
    } catch (error) {
      onError(name, error);
    }
  }
  return name === "inputToStrFunction" ? value.inputText() : value.outputText();
}

/** Return token counts, model and system prompt. The output's model is the exact one. */
function extractedFields(input: LoggedValue, output: LoggedValue): JsonObject {
  const fields: JsonObject = { ...output.usage() };
  const model = output.model() ?? input.model();
  if (model !== undefined) fields.model = model;
  const systemPrompt = input.systemPrompt() || output.systemPrompt();
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

/** Return the name of a type as the Python SDK has it, so that rows of both SDKs are alike. */
function typeName(value: unknown): string {
  if (value == null) return "NoneType";
  if (Array.isArray(value)) return "list";
  const name = PYTHON_NAMES[typeof value];
  if (name) return name;
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  const className = classNameOf(value);
  return className && className !== "Object" ? className : "dict";
}

function classNameOf(value: unknown): string {
  try {
    return (value as object).constructor.name;
  } catch {
    return ""; // no constructor, or a getter of the app's
  }
}

const PYTHON_NAMES: Record<string, string> = {
  string: "str",
  boolean: "bool",
  bigint: "int",
  function: "function",
};
