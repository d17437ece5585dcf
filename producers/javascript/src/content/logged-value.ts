/*
 * One input or output of the app: its text, JSON, system prompt, model and token counts.
 *
 * Values are recognised by shape, so no client library is imported. The readers are those of the Python SDK, in the
 * same order.
 */

import { chunkText } from "./chunks.js";
import { conversationOf, lastText, type Message, systemText } from "./conversations.js";
import { parsed, read } from "./fields.js";
import { type Json, textOf, toJson } from "./json.js";
import { responseText } from "./responses.js";
import { type Usage, usageOf } from "./usage.js";

// Fields of known calls that hold a prompt as plain text.
const PROMPT_FIELDS = ["prompt", "input", "question", "query"];
const MODEL_FIELDS = ["model", "model_version", "modelVersion"];

/** A value of the app. It is parsed, copied and read as a conversation at most once, when first asked for. */
export class LoggedValue {
  #parsed: { value: unknown } | undefined;
  #json: { value: Json } | undefined;
  #conversation: { messages: Message[] | undefined } | undefined;

  constructor(readonly original: unknown) {}

  /** Return the whole value as JSON values. */
  json(): Json {
    this.#json ??= { value: toJson(this.original) };
    return this.#json.value;
  }

  /** Return the user's text. Of a conversation, that is the last user messages joined by newlines. */
  inputText(): string {
    const value = this.#value();
    if (value == null) return "";
    return typeof value === "string" ? value : (this.callText() ?? this.#unknownText());
  }

  /** Return the user's text in a call or conversation. Undefined if the value is neither. */
  callText(): string | undefined {
    const messages = this.#messages();
    if (messages) return lastText(messages, "user") ?? "";
    const prompts = PROMPT_FIELDS.map((field) => read(this.#value(), field));
    return prompts.find((prompt) => typeof prompt === "string") as string | undefined;
  }

  /**
   * Return the assistant's text, null if there is none, and "" for a chunk without text.
   *
   * The value may be a whole response, one chunk of a stream, or a conversation, of which the last assistant messages
   * are taken.
   */
  outputText(): string | null {
    const value = this.#value();
    if (value == null) return null;
    if (typeof value === "string") return value;
    const text = chunkText(value) ?? responseText(value);
    if (text !== undefined) return text;
    const messages = this.#messages();
    return messages ? (lastText(messages, "assistant") ?? null) : this.#unknownText();
  }

  /** Return the system prompt that the value carries. */
  systemPrompt(): string | undefined {
    return systemText(this.#value(), this.#messages() ?? []);
  }

  /** Return the name of the model that the value carries. */
  model(): string | undefined {
    const names = MODEL_FIELDS.map((field) => read(this.#value(), field));
    return names.find((name) => typeof name === "string" && name) as string | undefined;
  }

  /** Return the token counts that the value carries. */
  usage(): Usage {
    return usageOf(this.#value());
  }

  #unknownText(): string {
    const value = this.#value();
    return textOf(value, () => (value === this.original ? this.json() : toJson(value)));
  }

  /** Return the value, parsed if it is bytes. */
  #value(): unknown {
    this.#parsed ??= { value: parsed(this.original) };
    return this.#parsed.value;
  }

  #messages(): Message[] | undefined {
    this.#conversation ??= { messages: conversationOf(this.#value()) };
    return this.#conversation.messages;
  }
}
