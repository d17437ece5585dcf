/** The user's text and the system prompt of a request. */

import { isObject, type Json, type JsonObject } from "../json.js";
import { conversationOf, lastText } from "./conversations.js";
import { contentParts, isResult, joined } from "./parts.js";

// Fields that hold a prompt: completions, Responses, chains, retrievers, Gemini, one message, Cohere, Bedrock's Titan.
const PROMPT_FIELDS = ["prompt", "input", "question", "query", "contents", "content", "message", "inputText"];
// Fields that hold the system prompt beside the messages: Anthropic and Ollama, Responses, Assistants, Gemini, Cohere.
const SYSTEM_FIELDS = [
  "system",
  "instructions",
  "additional_instructions",
  "system_instruction",
  "systemInstruction",
  "system_prompt",
  "preamble",
];

/**
 * Return the user's text: plain text as it is, a prompt, or the last user messages of a conversation.
 *
 * Empty for a conversation in which the user says nothing. Undefined for a value of no known shape.
 */
export function inputText(value: Json): string | undefined {
  if (typeof value === "string") return value;
  const conversation = conversationOf(value);
  if (conversation) return lastText(conversation, "user") ?? "";
  return isObject(value) ? promptOf(value) : undefined;
}

/** Return the system fields of a call and the system messages of its conversation, joined by line breaks. */
export function systemPrompt(value: Json): string {
  const holders = isObject(value) ? [value, value.config].filter(isObject) : [];
  const texts = holders.flatMap((holder) =>
    SYSTEM_FIELDS.map((field) => joined(contentParts(holder[field]))),
  );
  const messages = (conversationOf(value) ?? []).filter((message) => message.role === "system");
  return [...texts, ...messages.map((message) => message.text)].filter((text) => text).join("\n");
}

function promptOf(value: JsonObject): string | undefined {
  for (const field of PROMPT_FIELDS) {
    const prompt = value[field];
    if (typeof prompt === "string") return prompt;
    const parts = contentParts(prompt);
    // Results of tools alone are nobody's words.
    const isResultOnly = Array.isArray(prompt)
      ? prompt.length > 0 && prompt.every(isResult)
      : isResult(prompt);
    if (parts.length > 0 || isResultOnly) return joined(parts);
  }
  return undefined;
}
