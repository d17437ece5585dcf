/** Events of streams whose answers are blocks: Anthropic's, Bedrock's, Cohere's and the AI SDK's. */

import { isObject, type Json, type JsonObject } from "../json.js";
import { BLOCKS, CONTENT, type Draft, number } from "./draft.js";
import { argumentsText, callText, contentParts, isResult, messageParts } from "./parts.js";

const ANTHROPIC_EVENTS = new Set<Json>([
  "message_start",
  "message_delta",
  "message_stop",
  "content_block_stop",
  "ping",
]);
const BEDROCK_EVENTS = [
  "messageStart",
  "contentBlockStart",
  "contentBlockDelta",
  "contentBlockStop",
  "messageStop",
];

const COHERE_EVENTS = new Set<Json>(["content-delta", "tool-call-start", "tool-call-delta"]);
const AI_SDK_EVENTS = new Set(["start", "finish", "error", "abort"]);

export function addAnthropic(draft: Draft, event: JsonObject): boolean {
  const kind = event.type;
  if (kind === "content_block_start" && isObject(event.content_block)) {
    draft.block = number(event, "index", draft.block + 1);
    startBlock(draft, event.content_block);
  } else if (kind === "content_block_delta" && isObject(event.delta)) {
    draft.block = number(event, "index", Math.max(draft.block, 0));
    addBlockDelta(draft, event.delta);
  } else if (kind === "message" && Array.isArray(event.content)) {
    draft.parts.replace([0, BLOCKS], messageParts(event));
  } else return ANTHROPIC_EVENTS.has(kind ?? null);
  return true;
}

function startBlock(draft: Draft, block: JsonObject): void {
  const place = [0, BLOCKS, draft.block];
  if (typeof block.name === "string" && !isResult(block)) {
    const isEmpty = isObject(block.input) && Object.keys(block.input).length === 0;
    draft.call(place, block.name, isEmpty ? null : (block.input ?? null));
    draft.parts.at(place, "call").isObject = true;
    return;
  }
  for (const part of contentParts(block)) draft.grow(place, part.text, part.kind);
}

function addBlockDelta(draft: Draft, delta: JsonObject): void {
  const place = [0, BLOCKS, draft.block];
  const startedPart = draft.parts.get(place);
  if ("partial_json" in delta) {
    if (startedPart?.kind === "call") startedPart.text += argumentsText(delta.partial_json);
  } else if (delta.type === "citations_delta") draft.parts.at(place, "piece").kind = "piece";
  else draft.grow(place, delta.text);
}

export function addBedrock(draft: Draft, event: JsonObject): boolean {
  const body = BEDROCK_EVENTS.map((name) => event[name]).find(isObject);
  if (!body) return isObject(event.metadata) && "usage" in event.metadata;
  draft.block = number(body, "contentBlockIndex", Math.max(draft.block, 0));
  addBedrockBlock(draft, body);
  return true;
}

function addBedrockBlock(draft: Draft, { start, delta }: JsonObject): void {
  const place = [0, BLOCKS, draft.block];
  for (const change of [start, delta]) {
    const call = isObject(change) ? change.toolUse : undefined;
    if (!isObject(call)) continue;
    draft.call(place, call.name, call.input);
    draft.parts.at(place, "call").isObject = true;
  }
  if (isObject(delta)) draft.grow(place, delta.text);
}

/** Parts of the AI SDK's streams, of which the last step is the answer. */
export function addAiSdk(draft: Draft, part: JsonObject): boolean {
  const kind = part.type;
  const call = kind === "tool-call" || kind === "tool-input-available" ? callText(part) : undefined;
  if (kind === "text-delta") {
    const text = [part.delta, part.textDelta, part.text].find((value) => value != null);
    if (text) draft.grow(draft.textPlace(part.id), text);
  } else if (call) draft.append(0, [{ text: call, kind: "call" }]);
  else if (kind === "start-step" || kind === "step-start") {
    draft.parts.clear();
    draft.textNumbers.clear();
  } else {
    return typeof kind === "string" && (kind.includes("-") || AI_SDK_EVENTS.has(kind));
  }
  return true;
}

export function addCohere(draft: Draft, event: JsonObject): boolean {
  if (typeof event.event_type === "string") return addCohere1(draft, event.event_type, event);
  const message = isObject(event.delta) ? event.delta.message : undefined;
  if (!COHERE_EVENTS.has(event.type ?? null) || !isObject(message)) return false;
  const { content, tool_calls: call } = message;
  if (isObject(content)) draft.grow([0, CONTENT], content.text);
  if (isObject(call)) draft.addCalls(0, [{ ...call, index: event.index ?? null }]);
  return true;
}

/** Events of Cohere's first API. */
function addCohere1(draft: Draft, kind: string, event: JsonObject): boolean {
  if (kind === "text-generation") draft.grow([0, CONTENT], event.text);
  else if (kind === "tool-calls-generation") {
    draft.append(0, messageParts({ tool_calls: event.tool_calls ?? null }));
  }
  return kind.includes("-");
}
