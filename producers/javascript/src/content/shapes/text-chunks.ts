/** Chunks that are a text in some field, and those of LlamaIndex, of Claude's agents and of Gemini's interactions. */

import { isObject, type JsonObject } from "../json.js";
import type { Place } from "./answer-parts.js";
import { BLOCKS, CALLS, CONTENT, type Draft, number } from "./draft.js";
import { listedAnswers } from "./envelopes.js";
import { argumentsText, isResult, itemParts, messageParts, PLAIN_TEXT_FIELDS } from "./parts.js";

const TRANSCRIPT = "transcript.text.";

/** Add the text of a helper's event, where the app has filtered out the API's own, which come before it. */
export function addHelperEvent(draft: Draft, event: JsonObject): void {
  const field = event.type === "text" ? "text" : event.type === "content.delta" ? "delta" : "";
  const text = event[field];
  if (typeof text !== "string" || !(draft.parts.isEmpty || draft.hasHelperText)) return;
  draft.hasHelperText = true;
  if (event.snapshot === text) draft.block = draft.parts.count(0, BLOCKS);
  draft.grow([0, BLOCKS, draft.block], text);
}

export function addTranscription(draft: Draft, event: JsonObject): boolean {
  const kind = event.type;
  if (typeof kind !== "string" || !kind.startsWith(TRANSCRIPT)) return false;
  if (kind === `${TRANSCRIPT}delta`) draft.grow([0, CONTENT], event.delta);
  else if (kind === `${TRANSCRIPT}done` && typeof event.text === "string") {
    draft.parts.clear();
    draft.grow([0, CONTENT], event.text);
  }
  return true;
}

/** TGI: its last chunk repeats the text. */
export function addToken(draft: Draft, { token }: JsonObject): boolean {
  if (!isObject(token) || !("text" in token)) return false;
  if (token.special !== true) draft.grow([0, CONTENT], token.text);
  return true;
}

/** LlamaIndex: each chunk has the piece and all that came before it. */
export function addLlamaIndex(draft: Draft, { delta, message, text }: JsonObject): boolean {
  const isMessage = isObject(message) && "blocks" in message;
  if (!isMessage && !(typeof delta === "string" && typeof text === "string")) return false;
  draft.grow([0, CONTENT], delta);
  const calls = isObject(message) ? messageParts(message).filter((part) => part.kind === "call") : [];
  if (calls.length > 0) draft.parts.replace([0, CALLS], calls);
  return true;
}

/** Bedrock's Mistral and watsonx. */
export function addListedAnswers(draft: Draft, chunk: JsonObject): boolean {
  const answers = listedAnswers(chunk);
  for (const [choice, answer] of answers.entries()) {
    const field = PLAIN_TEXT_FIELDS.find((name) => typeof answer[name] === "string") ?? "";
    draft.grow([choice, CONTENT], answer[field]);
  }
  return answers.length > 0;
}

/** Whole messages of Claude's Agent SDK. Those after the last result of a tool are the answer. */
export function addAgentMessage(draft: Draft, chunk: JsonObject): boolean {
  const { type: kind } = chunk;
  const isBare = !kind && !("role" in chunk);
  const message = kind === "assistant" || kind === "user" ? chunk.message : isBare ? chunk : undefined;
  if (!isObject(message) || !Array.isArray(message.content)) return false;
  if (message.content.length > 0 && message.content.every(isResult)) draft.parts.clear();
  else if (kind !== "user") draft.append(0, messageParts(message));
  return true;
}

/** Gemini's interactions. */
export function addInteraction(draft: Draft, event: JsonObject): boolean {
  const { event_type: kind, step, delta } = event;
  const place = [0, BLOCKS, number(event, "index")];
  if (kind === "step.start" && isObject(step)) startStep(draft, place, step);
  else if (kind === "step.delta" && isObject(delta)) addStepDelta(draft, place, delta);
  return typeof kind === "string" && (kind.startsWith("step.") || kind.startsWith("interaction."));
}

function startStep(draft: Draft, place: Place, step: JsonObject): void {
  if (step.type !== "function_call") {
    for (const part of itemParts(step)) draft.grow(place, part.text, part.kind);
    return;
  }
  const isEmpty = isObject(step.arguments) && Object.keys(step.arguments).length === 0;
  draft.call(place, step.name, isEmpty ? null : (step.arguments ?? null));
  draft.parts.at(place, "call").isObject = true;
}

function addStepDelta(draft: Draft, place: Place, delta: JsonObject): void {
  const startedPart = draft.parts.get(place);
  if (delta.type === "text") draft.grow(place, delta.text);
  else if (delta.type === "arguments_delta" && startedPart?.kind === "call") {
    startedPart.text += argumentsText(delta.arguments);
  }
}

/** Chunks that are text in one field. In an answer of another shape or field they are unknown ones. */
export function addPlainText(draft: Draft, chunk: JsonObject): boolean {
  const fields = "role" in chunk || "type" in chunk ? PLAIN_TEXT_FIELDS : [...PLAIN_TEXT_FIELDS, "content"];
  const field = fields.find((name) => typeof chunk[name] === "string");
  if (field === undefined || (!draft.parts.isEmpty && field !== draft.textField)) return false;
  draft.textField = field;
  draft.grow([0, CONTENT], chunk[field]);
  return true;
}
