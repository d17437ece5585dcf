/** Objects that lie in an envelope: LangChain's serialised ones, Assistants' events, Bedrock's chunks in bytes. */

import { isObject, type Json, type JsonObject } from "../json.js";

// Lists of answers of Bedrock's Titan and Mistral and of watsonx, and the field that tells them from other lists.
const ANSWER_LISTS = [
  ["results", "outputText"],
  ["outputs", "stop_reason"],
  ["results", "generated_text"],
] as const;

/** Return the fields of an object that LangChain has serialised; any other object as it is. */
export function langchainFields(value: JsonObject): JsonObject {
  if (value.type !== "constructor" || !isObject(value.kwargs)) return value;
  return { type: className(value.id), ...value.kwargs };
}

/** Return whether *value* is a chunk of LangChain's streams. */
export function isLangchainChunk(value: Json): boolean {
  return isObject(value) && langchainFields(value).type === "AIMessageChunk";
}

/** Return the object in an envelope; any other object as it is. */
export function withoutEnvelope(value: JsonObject): JsonObject {
  const { event, data, chunk } = value;
  if (typeof event === "string" && event.startsWith("thread.") && isObject(data)) return data;
  if (isObject(chunk) && "bytes" in chunk) return documentOf(chunk.bytes);
  return langchainFields(value);
}

/** Return the answers in a response, or a chunk, of Bedrock's Titan and Mistral and of watsonx. */
export function listedAnswers(value: JsonObject): JsonObject[] {
  for (const [field, sign] of ANSWER_LISTS) {
    const answers = value[field];
    const isListed = Array.isArray(answers) && answers.every((answer) => isObject(answer) && sign in answer);
    if (isListed && answers.length > 0) return answers as JsonObject[];
  }
  return [];
}

/** Return the name of a LangChain class as the type of its messages: "Human" for a HumanMessage. */
function className(path: Json | undefined): string {
  const name = Array.isArray(path) ? path.at(-1) : undefined;
  return typeof name === "string" ? name.replace(/Message$/, "") : "";
}

function documentOf(content: Json | undefined): JsonObject {
  try {
    const document: Json | undefined = typeof content === "string" ? JSON.parse(content) : content;
    if (isObject(document)) return document;
  } catch {}
  // The chunks of Bedrock's agents are plain text.
  return { completion: content ?? null };
}
