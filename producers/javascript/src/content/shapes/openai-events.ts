/** Events of OpenAI's Responses and Assistants APIs. */

import { isObject, type Json, type JsonObject } from "../json.js";
import type { Place } from "./answer-parts.js";
import { CALLS, type Draft, number } from "./draft.js";
import { callText, contentParts, itemParts, type Kind, messageParts } from "./parts.js";

const ITEMS = CALLS;

const RESPONSES_TEXTS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["response.output_text.delta", "text"],
  ["response.text.delta", "text"],
  ["response.refusal.delta", "text"],
  ["response.output_audio_transcript.delta", "text"],
  ["response.audio.transcript.delta", "text"],
  ["response.function_call_arguments.delta", "call"],
  ["response.custom_tool_call_input.delta", "call"],
  ["response.mcp_call_arguments.delta", "call"],
]);
// Fields of the events that repeat what their deltas said.
const RESPONSES_WHOLE = ["text", "refusal", "transcript", "arguments", "input"];
const RESPONSES_ENDS = new Set([
  "response.completed",
  "response.incomplete",
  "response.failed",
  "response.done",
]);

export function addResponses(draft: Draft, event: JsonObject): boolean {
  const kind = event.type;
  if (event.object === "response") {
    addEnd(draft, event);
    return true;
  }
  if (typeof kind !== "string" || !kind.startsWith("response.")) return false;
  const place = [0, ITEMS, number(event, "output_index")];
  const text = RESPONSES_TEXTS.get(kind);
  if (text === "text") draft.grow([...place, number(event, "content_index")], event.delta);
  else if (text) draft.call([...place, 0], undefined, event.delta);
  else if (RESPONSES_ENDS.has(kind)) addEnd(draft, event.response);
  else if (isObject(event.item)) addItem(draft, place, kind, event.item);
  else if (kind.endsWith(".done")) addWhole(draft, place, kind, event);
  return true;
}

/** Take the whole text of a part or a call, whose deltas the app may not have passed on. */
function addWhole(draft: Draft, place: Place, kind: string, event: JsonObject): void {
  const partKind = RESPONSES_TEXTS.get(kind.replace(/\.done$/, ".delta"));
  const text = RESPONSES_WHOLE.map((field) => event[field]).find((value) => typeof value === "string");
  if (!partKind || !text) return;
  const last = partKind === "text" ? number(event, "content_index") : 0;
  draft.parts.at([...place, last], partKind).text = text;
}

function addItem(draft: Draft, place: Place, kind: string, item: JsonObject): void {
  if (kind === "response.output_item.done") draft.parts.replace(place, itemParts(item));
  else if (callText(item) !== undefined) draft.call([...place, 0], item.name);
}

/** Take the whole answer, which the last event repeats. */
function addEnd(draft: Draft, response: Json | undefined): void {
  const items = isObject(response) ? response.output : undefined;
  if (!Array.isArray(items) || items.length === 0) return;
  draft.parts.clear();
  draft.parts.replace([0, ITEMS], items.filter(isObject).flatMap(itemParts));
}

/** Objects of the Assistants API: messages and their pieces, and runs, which ask for calls of tools. */
export function addAssistants(draft: Draft, event: JsonObject): boolean {
  const { object: kind, delta } = event;
  if (typeof kind !== "string" || !kind.startsWith("thread")) return false;
  if (kind === "thread.message" && event.role === "assistant") {
    const parts = messageParts(event);
    if (parts.length > 0) draft.parts.replace(draft.textPlace(event.id), parts);
  } else if (kind === "thread.message.delta" && isObject(delta)) {
    addText(draft, draft.textPlace(event.id), delta.content);
  } else if (kind === "thread.run.step.delta" && isObject(delta)) {
    draft.addCalls(
      0,
      callsOf(delta.step_details).filter((call) => isObject(call.function)),
    );
  } else if (kind === "thread.run") addRequiredCalls(draft, event.required_action);
  return true;
}

function addText(draft: Draft, place: Place, pieces: Json | undefined): void {
  for (const piece of Array.isArray(pieces) ? pieces.filter(isObject) : []) {
    for (const part of contentParts(piece)) {
      draft.grow([...place, number(piece, "index")], part.text, part.kind);
    }
  }
}

/** Take the calls that a run asks for, which may have come in pieces. */
function addRequiredCalls(draft: Draft, action: Json | undefined): void {
  const calls = isObject(action) ? callsOf(action.submit_tool_outputs) : [];
  if (calls.length === 0) return;
  draft.parts.dropCalls();
  draft.append(0, messageParts({ tool_calls: calls }));
}

function callsOf(holder: Json | undefined): JsonObject[] {
  const calls = isObject(holder) ? holder.tool_calls : undefined;
  return Array.isArray(calls) ? calls.filter(isObject) : [];
}
