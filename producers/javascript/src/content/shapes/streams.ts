/** Answers that come in chunks, put together so that their text is that of the whole answer. */

import { isObject, type Json, type JsonObject } from "../json.js";
import { mergeCounts, modelName, type Usage, usageOfCounts } from "./figures.js";
import {
  argumentsText,
  callText,
  contentParts,
  isResult,
  itemParts,
  joined,
  type Kind,
  type Part,
} from "./parts.js";

/** A part's place in its answer: the choice, then the order in it. */
type Place = readonly number[];

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
const TEXT_FIELDS = ["response", "output_text", "text", "output", "generated_text", "completion"];

/** One part of an answer, to which chunks add. */
class Growing {
  name = "";
  id = "";
  /** Whether the arguments of a call are written as those of a whole answer, in which they are an object. */
  isObject = false;

  constructor(
    public kind: Kind,
    public text = "",
  ) {}

  part(): Part {
    if (this.kind !== "call" || !this.name) return { text: this.text, kind: this.kind };
    const args = this.isObject ? argumentsText(objectOf(this.text || "{}")) : this.text;
    return { text: `${this.name}(${args})`, kind: "call" };
  }
}

/** The parts of an answer by their places. */
class Parts {
  readonly #parts = new Map<string, { place: Place; part: Growing }>();

  get(place: Place): Growing | undefined {
    return this.#parts.get(place.join())?.part;
  }

  /** Return the part at *place*, a new one of *kind* if there is none. */
  at(place: Place, kind: Kind): Growing {
    const held = this.get(place);
    return held ?? this.set(place, new Growing(kind));
  }

  set(place: Place, part: Growing): Growing {
    this.#parts.set(place.join(), { place, part });
    return part;
  }

  /** Return the number of places that begin with *start*. */
  count(...start: number[]): number {
    return this.#below(start).length;
  }

  /** Replace what *place* holds by whole parts. */
  placeWhole(place: Place, parts: readonly Part[]): void {
    for (const key of this.#below(place)) this.#parts.delete(key);
    for (const [number, { kind, text }] of parts.entries()) {
      this.set([...place, number], new Growing(kind, text));
    }
  }

  clear(): void {
    this.#parts.clear();
  }

  /** Return the parts of each choice, in order. */
  choices(): Part[][] {
    const choices = new Map<number, Part[]>();
    for (const { place, part } of [...this.#parts.values()].sort((a, b) => compare(a.place, b.place))) {
      const [choice = 0] = place;
      choices.set(choice, [...(choices.get(choice) ?? []), part.part()]);
    }
    return [...choices.values()];
  }

  #below(start: Place): string[] {
    const entries = [...this.#parts].filter(([, { place }]) =>
      start.every((number, index) => place[index] === number),
    );
    return entries.map(([key]) => key);
  }
}

/**
 * One answer of which chunks are added: OpenAI, Azure, LiteLLM, Anthropic, Gemini, Bedrock, Ollama, Cohere, LangChain,
 * the AI SDK, and the events that the libraries' stream helpers add. An unknown chunk adds nothing.
 */
export class Assembly {
  readonly #parts = new Parts();
  readonly #counts: JsonObject = {};
  #model = "";
  #block = -1;
  // Where the next piece of a call goes, by its choice and index, and of a text, by the AI SDK's id.
  readonly #callNumbers = new Map<string, number>();
  readonly #textNumbers = new Map<string, number>();

  /** Add one chunk, as JSON. Return whether its shape is known. */
  add(chunk: Json): boolean {
    if (typeof chunk === "string") {
      this.#grow([0, CONTENT], chunk);
      return true;
    }
    if (!isObject(chunk)) return false;
    if (chunk.type === "chunk" && isObject(chunk.chunk)) return this.add(chunk.chunk); // of OpenAI's stream helper
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
      const args = [nested.arguments, nested.input, nested.args].find((value) => value != null);
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
      this.#append(number(candidate, "index", position), contentParts(candidate.content.parts, "piece"));
    }
    return true;
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

  #cohere(event: JsonObject): boolean {
    const message = isObject(event.delta) ? event.delta.message : undefined;
    if (!COHERE_EVENTS.has(event.type ?? null) || !isObject(message)) return false;
    const { content, tool_calls: call } = message;
    if (isObject(content)) this.#grow([0, CONTENT], content.text);
    if (isObject(call)) this.#addCalls(0, [{ ...call, index: event.index ?? null }]);
    return true;
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
    const text = TEXT_FIELDS.map((field) => chunk[field]).find((field) => typeof field === "string");
    this.#grow([0, CONTENT], text);
    return text !== undefined;
  }
}

const COHERE_EVENTS = new Set<Json>(["content-delta", "tool-call-start", "tool-call-delta"]);
const AI_SDK_EVENTS = new Set(["start", "finish", "error", "abort"]);

/** Return whether *value* is a chunk of LangChain's streams. */
export function isLangchainChunk(value: Json): boolean {
  return isObject(value) && value.type === "AIMessageChunk";
}

function number(event: JsonObject, field: string, defaultNumber = 0): number {
  const value = event[field];
  return Number.isInteger(value) ? (value as number) : defaultNumber;
}

/** Return the object in a call's arguments, or the text as long as it isn't whole. */
function objectOf(text: string): Json {
  if (!text.endsWith("}")) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function isFilled(value: Json | undefined): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function compare(a: Place, b: Place): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? -1) - (b[index] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
