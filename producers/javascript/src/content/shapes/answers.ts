/** Text of a model's answer: a whole response, a conversation, or a list of chunks. */

import { encode, isObject, type Json, type JsonObject } from "../json.js";
import { conversationOf, lastText } from "./conversations.js";
import { isLangchainChunk, langchainFields, listedAnswers } from "./envelopes.js";
import { contentParts, itemParts, joined, messageParts, type Part, PLAIN_TEXT_FIELDS } from "./parts.js";
import { Assembly } from "./streams.js";

type Reader = (value: JsonObject) => Part[] | undefined;

// Parts of a content list, as the AI SDK and LangChain have them.
const CONTENT_TYPES = new Set<Json>(["text", "output_text", "tool-call", "tool_use"]);

/**
 * Return the text of an answer: plain text as it is, the answer of a response, or the last assistant messages.
 *
 * Undefined for a value of no known shape, and for a conversation without an answer.
 */
export function outputText(answer: Json): string | undefined {
  if (typeof answer === "string") return answer;
  if (Array.isArray(answer)) return ofList(answer);
  if (!isObject(answer)) return undefined;
  const value = langchainFields(answer);
  for (const reader of READERS) {
    const parts = reader(value);
    if (parts) return joined(parts);
  }
  const conversation = conversationOf(value);
  if (conversation) return lastText(conversation, "assistant");
  const chunk = new Assembly();
  return chunk.add(value) ? chunk.text() : undefined;
}

function ofList(values: Json[]): string | undefined {
  const isChunked = values.length > 0 && values.every(isLangchainChunk);
  const conversation = isChunked ? undefined : conversationOf(values);
  if (conversation) return lastText(conversation, "assistant");
  if (
    values.length > 0 &&
    values.every(
      (value) => isObject(value) && CONTENT_TYPES.has(value.type ?? null) && !("snapshot" in value),
    )
  ) {
    return joined(contentParts(values));
  }
  if (!values.some(isObject)) return undefined;
  const assembly = new Assembly();
  const known = values.map((value) => assembly.add(value));
  return known.includes(true) ? assembly.text() : undefined;
}

/** Read Chat Completions, LiteLLM and legacy completions: the first choice that has text. */
function choices(value: JsonObject): Part[] | undefined {
  if (!Array.isArray(value.choices)) return undefined;
  return firstWithText(value.choices.filter(isObject).map(choice));
}

function choice(value: JsonObject): Part[] {
  if (typeof value.text === "string") return [{ text: value.text, kind: "text" }];
  const message = value.message || value.delta;
  return isObject(message) ? messageParts(message) : [];
}

/** Read `output` of Responses: messages and calls, in order. */
function responseItems(value: JsonObject): Part[] | undefined {
  const { output } = value;
  if (!Array.isArray(output) || !output.every((item) => isObject(item) && "type" in item)) return undefined;
  if (output.length === 0 && value.object !== "response") return undefined;
  return (output as JsonObject[]).flatMap(itemParts);
}

function candidates(value: JsonObject): Part[] | undefined {
  if (!Array.isArray(value.candidates)) return undefined;
  const contents = value.candidates.filter(isObject).map((candidate) => candidate.content);
  return firstWithText(contents.filter(isObject).map(messageParts));
}

/** Read `generations[0][0]` of LangChain's LLMResult, or `generations[0]` of its ChatResult. */
function generations(value: JsonObject): Part[] | undefined {
  const first = Array.isArray(value.generations) ? value.generations[0] : value.generations;
  const sent = Array.isArray(first) ? first[0] : first;
  if (!isObject(sent)) return undefined;
  const generation = langchainFields(sent);
  const parts = isObject(generation.message) ? messageParts(langchainFields(generation.message)) : [];
  if (parts.length > 0) return parts;
  return typeof generation.text === "string" ? [{ text: generation.text, kind: "text" }] : undefined;
}

/** Read `message` of Ollama and Cohere, or `output.message` of Bedrock. */
function message(value: JsonObject): Part[] | undefined {
  const nested = isObject(value.output) ? value.output.message : value.message;
  return isObject(nested) && ("role" in nested || "content" in nested) ? messageParts(nested) : undefined;
}

/** Read the answers of Bedrock's Titan and Mistral, and of watsonx. */
function answerList(value: JsonObject): Part[] | undefined {
  const answers = listedAnswers(value);
  return answers.length > 0 ? firstWithText(answers.map((answer) => textField(answer) ?? [])) : undefined;
}

function textField(value: JsonObject): Part[] | undefined {
  const field = PLAIN_TEXT_FIELDS.map((name) => value[name]).find((name) => typeof name === "string");
  const text = field ?? replicateText(value);
  if (text === undefined) return undefined;
  const calls = { tool_calls: value.tool_calls ?? null, toolCalls: value.toolCalls ?? null };
  return [{ text, kind: "text" }, ...messageParts(calls)];
}

/** Return the joined pieces of a prediction of Replicate. Undefined for the lists of texts of others. */
function replicateText(value: JsonObject): string | undefined {
  if (!("urls" in value || "version" in value || ("model" in value && "status" in value))) return undefined;
  const pieces = value.output;
  const isText =
    Array.isArray(pieces) && pieces.length > 0 && pieces.every((piece) => typeof piece === "string");
  return isText ? pieces.join("") : undefined;
}

/** Read the result of the AI SDK: the last of its steps is the answer. */
function lastStep({ steps }: JsonObject): Part[] | undefined {
  const last = Array.isArray(steps) ? steps.at(-1) : undefined;
  const isStep = isObject(last) && Array.isArray(last.content) && "finishReason" in last;
  return isStep ? contentParts(last.content) : undefined;
}

/** Read the steps of Gemini's interactions: outputs of the model and calls, in order. */
function interactionSteps({ object: kind, steps }: JsonObject): Part[] | undefined {
  if (kind !== "interaction" || !Array.isArray(steps)) return undefined;
  return steps
    .filter((step) => isObject(step) && step.type !== "user_input")
    .flatMap((step) => itemParts(step as JsonObject));
}

/** Read the object of the AI SDK's `generateObject`. */
function object({ object: answer, finishReason }: JsonObject): Part[] | undefined {
  const isResult = (isObject(answer) || Array.isArray(answer)) && finishReason !== undefined;
  return isResult ? [{ text: encode(answer), kind: "text" }] : undefined;
}

/** Read a message that has no role. */
function content(value: JsonObject): Part[] | undefined {
  return "content" in value && value.role == null && !("type" in value) ? messageParts(value) : undefined;
}

function firstWithText(answers: Part[][]): Part[] {
  return answers.find((parts) => joined(parts)) ?? [];
}

const READERS: readonly Reader[] = [
  choices,
  responseItems,
  candidates,
  generations,
  message,
  interactionSteps,
  answerList,
  textField,
  lastStep,
  object,
  content,
];
