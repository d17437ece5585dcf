/** Answers that come in chunks, put together so that their text is that of the whole answer. */

import { isObject, type Json, type JsonObject } from "../json.js";
import { AnswerParts, type Place } from "./answer-parts.js";
import { isLangchainChunk, unwrapped } from "./envelopes.js";
import { mergeCounts, modelName, type Usage, usageOfCounts } from "./figures.js";
import { Growing } from "./growing.js";
import {
  ARGUMENT_FIELDS,
  argumentsText,
  callText,
  contentParts,
  isResult,
  itemParts,
  joined,
  type Kind,
  messageParts,
  type Part,
  PLAIN_TEXT_FIELDS,
} from "./parts.js";

const [CONTENT, REFUSAL, AUDIO, CALLS] = [0, 1, 2, 3];
const BLOCKS = CALLS;
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

/**
 * One answer of which chunks are added: OpenAI, Assistants, Azure, LiteLLM, Anthropic, Gemini, Bedrock, Ollama, Cohere,
 * LangChain, the AI SDK, and the events that the libraries' stream helpers add. An unknown chunk adds nothing.
 */
export class Assembly {
  readonly #parts = new AnswerParts();
  readonly #counts: JsonObject = {};
  #model = "";
  #block = -1;
  // Where the next piece of a call goes, by its choice and index, and of a text, by its id in the AI SDK or Assistants.
  readonly #callNumbers = new Map<string, number>();
  readonly #textNumbers = new Map<string, number>();

  /** Add one chunk, as JSON. Return whether its shape is known. */
  add(value: Json): boolean {
    if (typeof value === "string") {
      this.#grow([0, CONTENT], value);
      return true;
    }
    if (!isObject(value)) return false;
    const isHelperEvent = value.type === "chunk" && isObject(value.chunk); // of OpenAI's stream helper
    const chunk = unwrapped(isHelperEvent ? (value.chunk as JsonObject) : value);
    this.addFigures(chunk);
    return "snapshot" in chunk || this.#read(chunk);
  }

  /** Take over the model and the counts of a chunk. */
  addFigures(chunk: Json): void {
    mergeCounts(this.#counts, chunk);
    this.#model ||= modelName(chunk);
  }

  /** Return the text of the answer so far: of several choices, the first one that has text. */
  text(): string {
    const choices = this.#parts.choices();
    const [first] = choices;
    if (choices.length === 1 && first?.length === 1) return first[0]?.text ?? "";
    return choices.map(joined).find((text) => text) ?? "";
  }

  /** Return the latest figure of each kind. */
  usage(): Usage {
    return usageOfCounts(this.#counts);
  }

  /** Return the model that the first chunk with one names. */
  model(): string {
    return this.#model;
  }

  #read(chunk: JsonObject): boolean {
    return (
      this.#chat(chunk) ||
      this.#responses(chunk) ||
      this.#anthropic(chunk) ||
      this.#gemini(chunk) ||
      this.#bedrock(chunk) ||
      this.#assistants(chunk) ||
      this.#cohere(chunk) ||
      this.#aiSdk(chunk) ||
      this.#message(chunk)
    );
  }

  #grow(place: Place, text: Json | undefined, kind: Kind = "text"): void {
    if (typeof text === "string" && text) this.#parts.at(place, kind).text += text;
  }

  /** Begin a call, or add to its arguments. */
  #call(place: Place, name: Json | undefined, args?: Json): void {
    const part = this.#parts.at(place, "call");
    if (typeof name === "string" && name !== part.name && !part.text) part.name += name;
    part.text += argumentsText(args);
  }

  /** Add calls of tools: pieces where they have an index, whole ones where they have none. */
  #addCalls(choice: number, calls: Json | undefined): void {
    for (const call of Array.isArray(calls) ? calls.filter(isObject) : []) {
      const nested = [call.function, call.custom].find(isObject) ?? call;
      const args = ARGUMENT_FIELDS.map((field) => nested[field]).find((value) => value != null);
      const last = this.#parts.count(choice, CALLS) - (nested.name ? 0 : 1);
      const index = Math.max(number(call, "index", last), 0);
      this.#call(this.#callPlace(choice, index, nested.name ? call.id : undefined), nested.name, args);
    }
  }

  /** Return where a piece of a call goes. Gemini's OpenAI API gives all its calls the index 0, and an id each. */
  #callPlace(choice: number, index: number, id: Json | undefined): Place {
    const key = `${choice},${index}`;
    let place = [choice, CALLS, this.#callNumbers.get(key) ?? index];
    if (typeof id !== "string" || !id) return place;
    const held = this.#parts.get(place)?.id;
    if (held && held !== id) {
      const count = this.#parts.count(choice, CALLS);
      place = [choice, CALLS, count];
      this.#callNumbers.set(key, count);
    }
    this.#parts.at(place, "call").id = id;
    return place;
  }

  // The shapes. Each returns whether the chunk has it.

  /** Chat Completions and legacy completions. Azure's chunks may lack choices or their delta. */
  #chat(chunk: JsonObject): boolean {
    if (!Array.isArray(chunk.choices)) {
      return chunk.object === "chat.completion.chunk" || chunk.object === "text_completion";
    }
    for (const choice of chunk.choices.filter(isObject)) {
      const index = number(choice, "index");
      this.#grow([index, CONTENT], choice.text);
      const delta = choice.delta || choice.message;
      if (isObject(delta)) this.#messageDelta(index, delta);
    }
    return true;
  }

  #messageDelta(choice: number, delta: JsonObject): void {
    for (const part of contentParts(delta.content)) {
      if (part.kind !== "call") this.#grow([choice, CONTENT], part.text);
    }
    this.#grow([choice, REFUSAL], delta.refusal);
    if (isObject(delta.audio)) this.#grow([choice, AUDIO], delta.audio.transcript);
    this.#addCalls(choice, isFilled(delta.tool_call_chunks) ? delta.tool_call_chunks : delta.tool_calls);
    const call = delta.function_call;
    if (isObject(call)) this.#call([choice, CALLS, 0], call.name, call.arguments);
  }

  #responses(event: JsonObject): boolean {
    const kind = event.type;
    if (event.object === "response") {
      this.#responsesEnd(event);
      return true;
    }
    if (typeof kind !== "string" || !kind.startsWith("response.")) return false;
    const place = [0, ITEMS, number(event, "output_index")];
    const text = RESPONSES_TEXTS.get(kind);
    if (text === "text") this.#grow([...place, number(event, "content_index")], event.delta);
    else if (text) this.#call([...place, 0], undefined, event.delta);
    else if (RESPONSES_ENDS.has(kind)) this.#responsesEnd(event.response);
    else if (isObject(event.item)) this.#responsesItem(place, kind, event.item);
    else if (kind.endsWith(".done")) this.#responsesWhole(place, kind, event);
    return true;
  }

  /** Take the whole text of a part or a call, whose deltas the app may not have passed on. */
  #responsesWhole(place: Place, kind: string, event: JsonObject): void {
    const partKind = RESPONSES_TEXTS.get(kind.replace(/\.done$/, ".delta"));
    const text = RESPONSES_WHOLE.map((field) => event[field]).find((value) => typeof value === "string");
    if (!partKind || !text) return;
    const last = partKind === "text" ? number(event, "content_index") : 0;
    this.#parts.at([...place, last], partKind).text = text;
  }

  #responsesItem(place: Place, kind: string, item: JsonObject): void {
    if (kind === "response.output_item.done") this.#parts.placeWhole(place, itemParts(item));
    else if (callText(item) !== undefined) this.#call([...place, 0], item.name);
  }

  /** Take the whole answer, which the last event repeats. */
  #responsesEnd(response: Json | undefined): void {
    const items = isObject(response) ? response.output : undefined;
    if (!Array.isArray(items) || items.length === 0) return;
    this.#parts.clear();
    this.#parts.placeWhole([0, ITEMS], items.filter(isObject).flatMap(itemParts));
  }

  #anthropic(event: JsonObject): boolean {
    const kind = event.type;
    if (kind === "content_block_start" && isObject(event.content_block)) {
      this.#block = number(event, "index", this.#block + 1);
      this.#startBlock(event.content_block);
    } else if (kind === "content_block_delta" && isObject(event.delta)) {
      this.#block = number(event, "index", Math.max(this.#block, 0));
      this.#blockDelta(event.delta);
    } else if (kind === "message" && Array.isArray(event.content)) {
      this.#parts.placeWhole([0, BLOCKS], messageParts(event));
    } else return ANTHROPIC_EVENTS.has(kind ?? null);
    return true;
  }

  #startBlock(block: JsonObject): void {
    const place = [0, BLOCKS, this.#block];
    if (typeof block.name === "string" && !isResult(block)) {
      const isEmpty = isObject(block.input) && Object.keys(block.input).length === 0;
      this.#call(place, block.name, isEmpty ? null : (block.input ?? null));
      this.#parts.at(place, "call").isObject = true;
      return;
    }
    for (const part of contentParts(block)) this.#grow(place, part.text, part.kind);
  }

  #blockDelta(delta: JsonObject): void {
    const place = [0, BLOCKS, this.#block];
    const held = this.#parts.get(place);
    if ("partial_json" in delta) {
      if (held?.kind === "call") held.text += argumentsText(delta.partial_json);
    } else if (delta.type === "citations_delta") this.#parts.at(place, "piece").kind = "piece";
    else this.#grow(place, delta.text);
  }

  #gemini(chunk: JsonObject): boolean {
    if (!Array.isArray(chunk.candidates)) {
      return "usageMetadata" in chunk || ("usage_metadata" in chunk && !("content" in chunk));
    }
    for (const [position, candidate] of chunk.candidates.entries()) {
      if (!isObject(candidate) || !isObject(candidate.content)) continue;
      this.#geminiParts(number(candidate, "index", position), candidate.content.parts);
    }
    return true;
  }

  #geminiParts(choice: number, parts: Json | undefined): void {
    for (const part of Array.isArray(parts) ? parts : [parts ?? null]) {
      const call = isObject(part) ? part.functionCall || part.function_call : undefined;
      const pieces = isObject(call) ? call.partialArgs || call.partial_args : undefined;
      if (isObject(call) && (isFilled(pieces) || call.args == null))
        this.#pieceOfCall(choice, call.name, pieces);
      else this.#append(choice, contentParts(part, "piece"));
    }
  }

  /** Begin a call that has a name, or go on with the last one. */
  #pieceOfCall(choice: number, name: Json | undefined, pieces: Json | undefined): void {
    const count = this.#parts.count(choice, CALLS);
    const isNew = typeof name === "string" && name !== "";
    const place = [choice, CALLS, isNew ? count : count - 1];
    if (isNew) this.#call(place, name);
    const part = this.#parts.get(place);
    for (const piece of Array.isArray(pieces) ? pieces.filter(isObject) : []) part?.addArgument(piece);
  }

  /** Add whole parts behind those of the choice. Pieces continue the last one. */
  #append(choice: number, parts: readonly Part[]): void {
    for (const { kind, text } of parts) {
      const count = this.#parts.count(choice, BLOCKS);
      const last = this.#parts.get([choice, BLOCKS, count - 1]);
      if (last?.kind === "piece" && kind === "piece") last.text += text;
      else this.#parts.set([choice, BLOCKS, count], new Growing(kind, text));
    }
  }

  #bedrock(event: JsonObject): boolean {
    const body = BEDROCK_EVENTS.map((name) => event[name]).find(isObject);
    if (!body) return isObject(event.metadata) && "usage" in event.metadata;
    this.#block = number(body, "contentBlockIndex", Math.max(this.#block, 0));
    this.#bedrockBlock(body);
    return true;
  }

  #bedrockBlock({ start, delta }: JsonObject): void {
    const place = [0, BLOCKS, this.#block];
    for (const change of [start, delta]) {
      const call = isObject(change) ? change.toolUse : undefined;
      if (!isObject(call)) continue;
      this.#call(place, call.name, call.input);
      this.#parts.at(place, "call").isObject = true;
    }
    if (isObject(delta)) this.#grow(place, delta.text);
  }

  /** Parts of the AI SDK's streams, of which the last step is the answer. */
  #aiSdk(part: JsonObject): boolean {
    const kind = part.type;
    const call = kind === "tool-call" || kind === "tool-input-available" ? callText(part) : undefined;
    if (kind === "text-delta") {
      const text = [part.delta, part.textDelta, part.text].find((value) => value != null);
      if (text) this.#grow(this.#textPlace(part.id), text);
    } else if (call) this.#append(0, [{ text: call, kind: "call" }]);
    else if (kind === "start-step" || kind === "step-start") {
      this.#parts.clear();
      this.#textNumbers.clear();
    } else {
      return typeof kind === "string" && (kind.includes("-") || AI_SDK_EVENTS.has(kind));
    }
    return true;
  }

  #textPlace(id: Json | undefined): Place {
    if (typeof id !== "string") return [0, CONTENT];
    const number = this.#textNumbers.get(id) ?? this.#parts.count(0, BLOCKS);
    this.#textNumbers.set(id, number);
    return [0, BLOCKS, number];
  }

  /** Objects of the Assistants API: messages and their pieces, and runs, which ask for calls of tools. */
  #assistants(event: JsonObject): boolean {
    const { object: kind, delta } = event;
    if (typeof kind !== "string" || !kind.startsWith("thread")) return false;
    if (kind === "thread.message" && event.role === "assistant") {
      const parts = messageParts(event);
      if (parts.length > 0) this.#parts.placeWhole(this.#textPlace(event.id), parts);
    } else if (kind === "thread.message.delta" && isObject(delta)) {
      this.#assistantsText(this.#textPlace(event.id), delta.content);
    } else if (kind === "thread.run.step.delta" && isObject(delta)) {
      this.#addCalls(
        0,
        callsOf(delta.step_details).filter((call) => isObject(call.function)),
      );
    } else if (kind === "thread.run") this.#requiredCalls(event.required_action);
    return true;
  }

  #assistantsText(place: Place, pieces: Json | undefined): void {
    for (const piece of Array.isArray(pieces) ? pieces.filter(isObject) : []) {
      for (const part of contentParts(piece)) {
        this.#grow([...place, number(piece, "index")], part.text, part.kind);
      }
    }
  }

  /** Take the calls that a run asks for, which may have come in pieces. */
  #requiredCalls(action: Json | undefined): void {
    const calls = isObject(action) ? callsOf(action.submit_tool_outputs) : [];
    if (calls.length === 0) return;
    this.#parts.dropCalls();
    this.#append(0, messageParts({ tool_calls: calls }));
  }

  #cohere(event: JsonObject): boolean {
    if (typeof event.event_type === "string") return this.#cohere1(event.event_type, event);
    const message = isObject(event.delta) ? event.delta.message : undefined;
    if (!COHERE_EVENTS.has(event.type ?? null) || !isObject(message)) return false;
    const { content, tool_calls: call } = message;
    if (isObject(content)) this.#grow([0, CONTENT], content.text);
    if (isObject(call)) this.#addCalls(0, [{ ...call, index: event.index ?? null }]);
    return true;
  }

  /** Events of Cohere's first API. */
  #cohere1(kind: string, event: JsonObject): boolean {
    if (kind === "text-generation") this.#grow([0, CONTENT], event.text);
    else if (kind === "tool-calls-generation") {
      this.#append(0, messageParts({ tool_calls: event.tool_calls ?? null }));
    }
    return kind.includes("-");
  }

  /** Lines of Ollama, LangChain's chunks, and chunks that are text in one field. */
  #message(chunk: JsonObject): boolean {
    const { message } = chunk;
    if (isObject(message) && ("role" in message || "content" in message)) {
      this.#messageDelta(0, message);
      return true;
    }
    if (isLangchainChunk(chunk) || chunk.role === "assistant" || chunk.role === "model") {
      this.#messageDelta(0, chunk);
      return true;
    }
    const text = PLAIN_TEXT_FIELDS.map((field) => chunk[field]).find((field) => typeof field === "string");
    this.#grow([0, CONTENT], text);
    return text !== undefined;
  }
}

const COHERE_EVENTS = new Set<Json>(["content-delta", "tool-call-start", "tool-call-delta"]);
const AI_SDK_EVENTS = new Set(["start", "finish", "error", "abort"]);

function callsOf(holder: Json | undefined): JsonObject[] {
  const calls = isObject(holder) ? holder.tool_calls : undefined;
  return Array.isArray(calls) ? calls.filter(isObject) : [];
}

function number(event: JsonObject, field: string, defaultNumber = 0): number {
  const value = event[field];
  return Number.isInteger(value) ? (value as number) : defaultNumber;
}

function isFilled(value: Json | undefined): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}
