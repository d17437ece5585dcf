/** An answer that is being put together: its parts, and where the next chunk's text or call goes. */

import { isObject, type Json, type JsonObject } from "../json.js";
import { AnswerParts, type Place } from "./answer-parts.js";
import { ARGUMENT_FIELDS, argumentsText, contentParts, type Kind, type Part } from "./parts.js";
import { StreamedPart } from "./streamed-part.js";

// The order within a choice: text, a refusal, a transcript, then calls of tools or whole blocks.
export const [CONTENT, REFUSAL, AUDIO, CALLS] = [0, 1, 2, 3];
export const BLOCKS = CALLS;

/** The parts of one answer. The functions that add the chunks of one API are in `-chunks` and `-events` modules. */
export class Draft {
  readonly parts = new AnswerParts();
  /** The current block of Anthropic's and Bedrock's streams. */
  block = -1;
  // Where the next piece of a call goes, by its choice and index, and of a text, by its id in the AI SDK or Assistants.
  readonly #callNumbers = new Map<string, number>();
  readonly textNumbers = new Map<string, number>();
  // Where a call's pieces without an index go, by its choice and id.
  readonly #placesById = new Map<string, Place>();
  /** The field of the chunks that are text in one field. */
  textField = "";
  /** Whether the text is that of events which a stream helper adds. */
  hasHelperText = false;

  grow(place: Place, text: Json | undefined, kind: Kind = "text"): void {
    if (typeof text === "string" && text) this.parts.at(place, kind).text += text;
  }

  /** Begin a call, or add to its arguments. */
  call(place: Place, name: Json | undefined, args?: Json): void {
    const part = this.parts.at(place, "call");
    if (typeof name === "string" && name !== part.name && !part.text) part.name += name;
    part.text += argumentsText(args);
  }

  /** Add calls of tools: pieces where they have an index, whole ones where they have none. */
  addCalls(choice: number, calls: Json | undefined): void {
    for (const call of Array.isArray(calls) ? calls.filter(isObject) : []) {
      const nested = [call.function, call.custom].find(isObject) ?? call;
      const args = ARGUMENT_FIELDS.map((field) => nested[field]).find((value) => value != null);
      const { name } = nested;
      const begun = call.index == null ? this.#placesById.get(`${choice},${call.id}`) : undefined;
      const last = this.parts.count(choice, CALLS) - (name ? 0 : 1);
      const index = Math.max(number(call, "index", last), 0);
      this.call(
        begun ?? this.#callPlace(choice, index, { ...nested, id: call.id ?? null }, args),
        name,
        args,
      );
    }
  }

  /** Return where a piece of a call goes: several calls may have one index, as in Gemini's OpenAI API. */
  #callPlace(choice: number, index: number, { name, id }: JsonObject, args: Json | undefined): Place {
    const key = `${choice},${index}`;
    let place = [choice, CALLS, this.#callNumbers.get(key) ?? index];
    if (typeof name !== "string" || !name) return place;
    const part = this.parts.get(place);
    if (id && part?.id ? part.id !== id : part?.isFollowedBy(name, argumentsText(args))) {
      const count = this.parts.count(choice, CALLS);
      place = [choice, CALLS, count];
      this.#callNumbers.set(key, count);
    }
    if (typeof id === "string" && id) {
      this.parts.at(place, "call").id = id;
      this.#placesById.set(`${choice},${id}`, place);
    }
    return place;
  }

  /** Add whole parts behind those of the choice. Pieces continue the last one. */
  append(choice: number, parts: readonly Part[]): void {
    for (const { kind, text } of parts) {
      const count = this.parts.count(choice, BLOCKS);
      const last = this.parts.get([choice, BLOCKS, count - 1]);
      if (last?.kind === "piece" && kind === "piece") last.text += text;
      else this.parts.set([choice, BLOCKS, count], new StreamedPart(kind, text));
    }
  }

  addMessageDelta(choice: number, delta: JsonObject): void {
    for (const part of contentParts(delta.content)) {
      if (part.kind !== "call") this.grow([choice, CONTENT], part.text);
    }
    this.grow([choice, REFUSAL], delta.refusal);
    if (isObject(delta.audio)) this.grow([choice, AUDIO], delta.audio.transcript);
    this.addCalls(choice, isFilled(delta.tool_call_chunks) ? delta.tool_call_chunks : delta.tool_calls);
    const call = delta.function_call;
    if (isObject(call)) this.call([choice, CALLS, 0], call.name, call.arguments);
  }

  textPlace(id: Json | undefined): Place {
    if (typeof id !== "string") return [0, CONTENT];
    const number = this.textNumbers.get(id) ?? this.parts.count(0, BLOCKS);
    this.textNumbers.set(id, number);
    return [0, BLOCKS, number];
  }
}

/** Return a whole number of *event*. */
export function number(event: JsonObject, field: string, defaultNumber = 0): number {
  const value = event[field];
  return Number.isInteger(value) ? (value as number) : defaultNumber;
}

/** Return whether a list has items, or a value is there. */
export function isFilled(value: Json | undefined): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}
