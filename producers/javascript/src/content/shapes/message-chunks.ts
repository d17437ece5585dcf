/** Chunks with pieces of a message: Chat Completions, Gemini, lines of Ollama, and LangChain. */

import { isObject, type Json, type JsonObject } from "../json.js";
import { CALLS, CONTENT, type Draft, isFilled, number } from "./draft.js";
import { isLangchainChunk } from "./envelopes.js";
import { contentParts } from "./parts.js";

/** Chat Completions and legacy completions. Azure's chunks may lack choices or their delta. */
export function addChat(draft: Draft, chunk: JsonObject): boolean {
  if (!Array.isArray(chunk.choices)) {
    return chunk.object === "chat.completion.chunk" || chunk.object === "text_completion";
  }
  for (const choice of chunk.choices.filter(isObject)) {
    const index = number(choice, "index");
    draft.grow([index, CONTENT], choice.text);
    // Beside a delta, Perplexity's message is all that came so far.
    const delta = isObject(choice.delta) ? choice.delta : choice.message;
    if (isObject(delta)) draft.addMessageDelta(index, delta);
  }
  return true;
}

/** Lines of Ollama, and LangChain's chunks. */
export function addMessage(draft: Draft, chunk: JsonObject): boolean {
  const { message } = chunk;
  if (isObject(message) && ("role" in message || "content" in message)) {
    draft.addMessageDelta(0, message);
    return true;
  }
  if (isLangchainChunk(chunk) || chunk.role === "assistant" || chunk.role === "model") {
    draft.addMessageDelta(0, chunk);
    return true;
  }
  return false;
}

export function addGemini(draft: Draft, chunk: JsonObject): boolean {
  if (!Array.isArray(chunk.candidates)) {
    return "usageMetadata" in chunk || ("usage_metadata" in chunk && !("content" in chunk));
  }
  for (const [position, candidate] of chunk.candidates.entries()) {
    if (!isObject(candidate) || !isObject(candidate.content)) continue;
    addGeminiParts(draft, number(candidate, "index", position), candidate.content.parts);
  }
  return true;
}

function addGeminiParts(draft: Draft, choice: number, parts: Json | undefined): void {
  for (const part of Array.isArray(parts) ? parts : [parts ?? null]) {
    const call = isObject(part) ? part.functionCall || part.function_call : undefined;
    const pieces = isObject(call) ? call.partialArgs || call.partial_args : undefined;
    if (isObject(call) && (isFilled(pieces) || call.args == null))
      addPieceOfCall(draft, choice, call.name, pieces);
    else draft.append(choice, contentParts(part, "piece"));
  }
}

/** Begin a call that has a name, or go on with the last one. */
function addPieceOfCall(
  draft: Draft,
  choice: number,
  name: Json | undefined,
  pieces: Json | undefined,
): void {
  const count = draft.parts.count(choice, CALLS);
  const isNew = typeof name === "string" && name !== "";
  const place = [choice, CALLS, isNew ? count : count - 1];
  if (isNew) draft.call(place, name);
  const part = draft.parts.get(place);
  for (const piece of Array.isArray(pieces) ? pieces.filter(isObject) : []) part?.addArgument(piece);
}
