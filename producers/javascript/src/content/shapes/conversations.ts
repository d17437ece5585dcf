/** Conversations of any client library: lists of messages with a role. */

import { isObject, type Json, type JsonObject } from "../json.js";
import { langchainFields } from "./envelopes.js";
import { contentParts, isResult, joined, messageParts } from "./parts.js";

type Role = "user" | "assistant" | "system" | "tool";

// Levels of lists and `messages` in one another: a batch of one in LangChain's prompt has two.
const MAX_DEPTH = 4;

export interface Message {
  role: Role;
  text: string;
}

// Roles of OpenAI, Anthropic, Gemini, Cohere and LangChain.
const ROLES: ReadonlyMap<string, Role> = new Map<string, Role>([
  ["user", "user"],
  ["human", "user"],
  ["humanmessagechunk", "user"],
  ["assistant", "assistant"],
  ["ai", "assistant"],
  ["aimessagechunk", "assistant"],
  ["model", "assistant"],
  ["chatbot", "assistant"],
  ["user_input", "user"],
  ["model_output", "assistant"],
  ["system", "system"],
  ["developer", "system"],
  ["tool", "tool"],
  ["function", "tool"],
]);

// Fields that hold the list of messages in a call: OpenAI and Anthropic, Responses, Gemini, Assistants.
const LIST_FIELDS = ["messages", "input", "contents", "thread", "additional_messages"];

/** Return the messages of a list, a call's arguments or one message. Undefined if *sent* is no conversation. */
export function conversationOf(sent: Json | undefined): Message[] | undefined {
  if (Array.isArray(sent)) return messagesOf(sent);
  if (!isObject(sent)) return undefined;
  const value = langchainFields(sent);
  const lists = LIST_FIELDS.map((field) => value[field]);
  if (value.object === "list") lists.push(value.data); // a page of messages of an Assistants thread
  for (const list of lists) {
    const messages = messagesOf(list);
    if (messages) return messages;
  }
  const message = messageOf(value);
  return message && [message];
}

/** Return the last consecutive messages of *role*, joined by line breaks. Undefined if there are none. */
export function lastText(conversation: readonly Message[], role: Role): string | undefined {
  const run: string[] = [];
  for (const message of [...conversation].reverse()) {
    if (message.role === role) run.unshift(message.text);
    else if (run.length > 0) break;
  }
  return run.length > 0 ? run.filter(Boolean).join("\n") : undefined;
}

/** Return *values* as messages if one of them has a role or is the result of a tool. */
function messagesOf(values: Json | undefined, depth = MAX_DEPTH): Message[] | undefined {
  if (depth < 0) return undefined;
  if (isObject(values)) {
    const message = messageOf(values);
    return message ? [message] : messagesOf(values.messages, depth - 1);
  }
  if (!Array.isArray(values)) return undefined;
  const messages = inOrder(values).map(messageOf);
  // A batch of one.
  if (values.length === 1 && Array.isArray(values[0]) && !messages[0])
    return messagesOf(values[0], depth - 1);
  return messages.some((message) => message)
    ? messages.map((message) => message ?? { role: "tool", text: "" })
    : undefined;
}

/** Return messages in the order in which they were said: the Assistants API lists the latest first. */
function inOrder(values: Json[]): Json[] {
  const messages = values.filter(
    (value) => isObject(value) && value.object === "thread.message",
  ) as JsonObject[];
  if (values.length < 2 || messages.length < values.length) return values;
  const [first, last] = [messages[0]?.created_at, messages.at(-1)?.created_at];
  const isAscending = typeof first === "number" && typeof last === "number" && first < last;
  return isAscending ? values : [...values].reverse();
}

function messageOf(sent: Json): Message | undefined {
  if (Array.isArray(sent)) {
    const role = sent.length === 2 ? roleNamed(sent[0]) : undefined;
    return role && { role, text: joined(contentParts(sent[1])) };
  }
  if (!isObject(sent)) return undefined;
  const isAgents = isObject(sent.message) && (sent.type === "user" || sent.type === "assistant");
  const value = isAgents ? (sent.message as JsonObject) : langchainFields(sent); // Claude's Agent SDK
  const role = roleNamed(value.role) ?? roleNamed(value.type);
  // An item of Responses. Results of other APIs are parts of messages.
  if (!role) return String(value.type).endsWith("_call_output") ? { role: "tool", text: "" } : undefined;
  if (role === "user" && holdsResultsOnly(value)) return { role: "tool", text: "" };
  return { role, text: joined(messageParts(value)) };
}

function roleNamed(name: Json | undefined): Role | undefined {
  return typeof name === "string" ? ROLES.get(name.toLowerCase()) : undefined;
}

/** Return whether a message holds results of tools alone, which Anthropic and Gemini send in the user's role. */
function holdsResultsOnly(message: JsonObject): boolean {
  const isEmpty = Array.isArray(message.content) && message.content.length === 0;
  const parts = message.content && !isEmpty ? message.content : message.parts;
  return Array.isArray(parts) && parts.length > 0 && parts.every(isResult);
}
