/*
 * One input or output of the app: its text, JSON, system prompt, model and token counts.
 *
 * Values are read as the JSON that is sent, by the rules of shapes/, which are those of the Python SDK and of the server.
 */

import { bytesOf, type Json, type JsonObject, textOf, toJson } from "./json.js";
import { outputText } from "./shapes/answers.js";
import { conversationOf } from "./shapes/conversations.js";
import { modelName, type Usage, usageOf } from "./shapes/figures.js";
import { described } from "./shapes/media.js";
import { inputText, systemPrompt } from "./shapes/requests.js";
import { sentEvents } from "./sse.js";

/** A value of the app. It is copied at most once, when first asked for. */
export class LoggedValue {
  #json: { value: Json } | undefined;
  #read: { value: Json } | undefined;

  constructor(readonly original: unknown) {}

  /** Return the whole value as JSON, with media described. */
  json(): Json {
    this.#json ??= { value: described(toJson(this.original)) };
    return this.#json.value;
  }

  /** Return the user's text. Of a conversation, that is the last user messages joined by line breaks. */
  inputText(): string {
    if (this.original == null) return "";
    return inputText(this.#value()) ?? this.#unknownText();
  }

  /** Return the user's text in a call or conversation. Undefined if the value is neither. */
  callText(): string | undefined {
    return typeof this.original === "string" ? undefined : inputText(this.#value());
  }

  /** Return the assistant's text: of a response, a list of chunks, or a conversation. Null if there is none. */
  outputText(): string | null {
    if (this.original == null) return null;
    const value = this.#value();
    const text = outputText(value);
    if (text !== undefined) return text;
    return conversationOf(value) ? null : this.#unknownText();
  }

  /** Return the system prompt that the value carries. */
  systemPrompt(): string | undefined {
    return systemPrompt(this.#value()) || undefined;
  }

  /** Return the name of the model that the value carries. */
  model(): string | undefined {
    return modelName(this.#value()) || undefined;
  }

  /** Return the token counts that the value carries, by their names. */
  usage(): JsonObject {
    return usageFields(usageOf(this.#value()));
  }

  #unknownText(): string {
    const value = this.#value();
    return typeof value === "string" ? value : textOf(this.original, () => value);
  }

  /** Return the value that is read: of server-sent events in bytes, the events. */
  #value(): Json {
    const bytes = bytesOf(this.original);
    this.#read ??= { value: (bytes && sentEvents(bytes)) ?? this.json() };
    return this.#read.value;
  }
}

/**
 * Return token counts by the names that are sent: `prompt_tokens`, `completion_tokens` and `total_tokens`.
 *
 * `tokens_in` and `tokens_out` repeat the first two under the server's names.
 */
export function usageFields({ tokensIn, tokensOut, total }: Usage): JsonObject {
  const counts = {
    prompt_tokens: tokensIn,
    completion_tokens: tokensOut,
    total_tokens: total,
    tokens_in: tokensIn,
    tokens_out: tokensOut,
  };
  return Object.fromEntries(
    Object.entries(counts).filter((field): field is [string, number] => field[1] !== undefined),
  );
}
