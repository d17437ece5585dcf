/** Conversations of any client library: lists of messages with a role. */

import { listField, read } from "./fields.js";
import { callsText, contentText, joined } from "./message-parts.js";

type Role = "user" | "assistant" | "system" | "tool";

export interface Message {
  role: Role;
  text: string | undefined;
}

// Roles of OpenAI, Anthropic, Gemini and LangChain.
const ROLES: ReadonlyMap<unknown, Role> = new Map<unknown, Role>([
  ["user", "user"],
  ["human", "user"],
  ["HumanMessageChunk", "user"],
  ["assistant", "assistant"],
  ["ai", "assistant"],
  ["AIMessageChunk", "assistant"],
  ["model", "assistant"],
  ["system", "system"],
  ["developer", "system"],
  ["tool", "tool"],
  ["function", "tool"],
]);

// Fields that hold the list of messages in a call: OpenAI and Anthropic, Responses, Gemini.
const LIST_FIELDS = ["messages", "input", "contents"];

// Fields that hold the system prompt beside the messages: Anthropic and Ollama, Responses, Gemini.
const SYSTEM_FIELDS = ["system", "instructions", "system_instruction", "systemInstruction", "system_prompt"];

/** Return the messages of a list, a call's arguments or one message. Undefined if *value* is no conversation. */
export function conversationOf(value: unknown): Message[] | undefined {
  if (Array.isArray(value)) return messagesOf(value);
  for (const field of LIST_FIELDS) {
    const messages = messagesOf(listField(value, field));
    if (messages) return messages;
  }
  const contents = read(value, "contents");
  if (typeof contents === "string") return [{ role: "user", text: contents }];
  const message = messageOf(value);
  return message && [message];
}

/** Return the last consecutive messages of *role*, joined by newlines. Undefined if there are none. */
export function lastText(conversation: Message[], role: Role): string | undefined {
  const run: string[] = [];
  for (const message of [...conversation].reverse()) {
    if (message.role === role) run.unshift(message.text ?? "");
    else if (run.length > 0) break;
  }
  return run.length > 0 ? run.join("\n") : undefined;
}

/** Return the system fields of a call and the system messages of its conversation, joined by newlines. */
export function systemText(value: unknown, conversation: readonly Message[]): string | undefined {
  const texts = [value, read(value, "config")].flatMap((part) =>
    SYSTEM_FIELDS.map((field) => fieldText(part, field)),
  );
  const messages = conversation.filter((message) => message.role === "system");
  return joined([...texts, ...messages.map((message) => message.text)], "\n");
}

function fieldText(value: unknown, field: string): string | undefined {
  const content = read(value, field);
  return contentText(read(content, "parts") ?? content);
}

/** Return *values* as messages if one of them has a role. Those without (calls, results) get the role "tool". */
function messagesOf(values: unknown[]): Message[] | undefined {
  const messages = values.map(messageOf);
  return messages.some((message) => message)
    ? messages.map((message) => message ?? { role: "tool", text: undefined })
    : undefined;
}

function messageOf(value: unknown): Message | undefined {
  if (Array.isArray(value)) {
    const role = value.length === 2 ? ROLES.get(value[0]) : undefined;
    return role && { role, text: contentText(value[1]) };
  }
  const role = ROLES.get(read(value, "role") ?? read(value, "type"));
  return role && { role, text: messageText(value) };
}

function messageText(message: unknown): string | undefined {
  const parts = read(message, "parts");
  const text = contentText(Array.isArray(parts) ? parts : read(message, "content"));
  if (text) return text;
  const refusal = read(message, "refusal");
  if (typeof refusal === "string") return refusal;
  return callsText(listField(message, "tool_calls")) || text;
}
