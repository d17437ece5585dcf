/** Model and token counts of a response. */

import { isObject, type Json, type JsonObject } from "../json.js";
import { isLangchainChunk, langchainFields, withoutEnvelope } from "./envelopes.js";

/** Tokens, those from a cache included. */
export interface Usage {
  tokensIn?: number | undefined;
  tokensOut?: number | undefined;
  total?: number | undefined;
}

const MAX_COUNT = 2 ** 32 - 1;

const MODEL_FIELDS = ["model", "model_version", "modelVersion", "model_name", "modelId"];
// Fields that hold the counts, and fields that hold the response which has them.
const USAGE_FIELDS = [
  "usage",
  "usage_metadata",
  "usageMetadata",
  "totalUsage",
  "token_usage",
  "tokenUsage",
  "amazon-bedrock-invocationMetrics",
];
// Cohere's counts: those that it bills, then all, which replace them.
const COUNT_FIELDS = ["billed_units", "tokens"];
const HOLDERS = [
  "message",
  "response",
  "metadata",
  "meta",
  "response_metadata",
  "llm_output",
  "chunk",
  "delta",
  "x_groq",
  "interaction",
];

const TOKENS_IN = [
  "prompt_tokens",
  "prompt_token_count",
  "promptTokenCount",
  "promptTokens",
  "prompt_eval_count",
  "inputTextTokenCount",
  "input_token_count",
  "total_input_tokens",
];
// Beside these, Anthropic and Bedrock count the tokens of the cache apart. The other APIs include them.
const TOKENS_IN_WITHOUT_CACHE = ["input_tokens", "inputTokens", "inputTokenCount"];
const CACHE = [
  "cache_creation_input_tokens",
  "cache_read_input_tokens",
  "cacheReadInputTokens",
  "cacheWriteInputTokens",
];
const TOKENS_OUT = [
  "completion_tokens",
  "output_tokens",
  "candidates_token_count",
  "candidatesTokenCount",
  "completionTokens",
  "outputTokens",
  "eval_count",
  "outputTokenCount",
  "generation_token_count",
  "generated_token_count",
  "total_output_tokens",
  "totalOutputTextTokenCount",
  "tokenCount",
];
// Gemini counts thoughts beside the answer and results of its own tools beside the prompt. The other APIs include them.
const THOUGHTS = ["thoughts_token_count", "thoughtsTokenCount", "total_thought_tokens"];
const TOOL_PROMPTS = ["tool_use_prompt_token_count", "toolUsePromptTokenCount", "total_tool_use_tokens"];
// The AI SDK of version 5 passes on what the provider counts: Anthropic and Bedrock count these apart, the others do
// not. Later versions include them and have details.
const CACHED = "cachedInputTokens";
const CACHED_DETAILS = "inputTokenDetails";
const CACHED_APART = "are cachedInputTokens apart";
const PROVIDERS_APART = ["anthropic", "bedrock"];
// Names of such models where no provider is named. Others' names of them have a slash: `anthropic/claude-…`.
const MODELS_APART = /^[^/]*(claude|amazon\.nova)[^/]*$/;
// These are among the tokens out, but not where the total has them besides, as xAI's has.
const REASONING = "reasoning_tokens";
const DETAILS = ["completion_tokens_details", "output_tokens_details"];
const TOTALS = ["total_tokens", "total_token_count", "totalTokenCount", "totalTokens"];
const LANGCHAIN_COUNTS = ["input_tokens", "output_tokens", "total_tokens"];
const COUNTS: ReadonlySet<string> = new Set([
  ...TOKENS_IN,
  ...TOKENS_IN_WITHOUT_CACHE,
  ...CACHE,
  ...TOKENS_OUT,
  ...THOUGHTS,
  ...TOOL_PROMPTS,
  ...TOTALS,
  CACHED,
  REASONING,
]);

/** Return the model that *value* names; of a list of chunks, the first one named. Empty where none is. */
export function modelName(value: Json): string {
  for (const part of Array.isArray(value) ? value : [value]) {
    for (const holder of holders(part)) {
      const name = MODEL_FIELDS.map((field) => holder[field]).find(
        (field) => field && typeof field === "string",
      );
      if (name) return String(name);
    }
  }
  return "";
}

/** Return the usage that a response reports; of a list of chunks, the latest figure of each kind. */
export function usageOf(value: Json): Usage {
  const hasUsage = isObject(value) && USAGE_FIELDS.some((field) => isObject(value[field]));
  const steps = isObject(value) && !hasUsage ? value.steps : undefined;
  if (Array.isArray(steps) && steps.length > 0) return sumOf(steps.map((step) => latest([step])));
  return latest(Array.isArray(value) ? value : [value]);
}

function latest(chunks: readonly Json[]): Usage {
  const counts: JsonObject = {};
  for (const chunk of chunks) mergeCounts(counts, chunk);
  return usageOfCounts(counts);
}

/** Return the figures of the AI SDK's steps together. */
function sumOf(steps: readonly Usage[]): Usage {
  const [tokensIn, tokensOut] = (["tokensIn", "tokensOut"] as const).map((name) =>
    steps.map((step) => step[name]).reduce(plus, undefined),
  );
  const isWhole = tokensIn !== undefined && tokensOut !== undefined;
  return { tokensIn, tokensOut, total: isWhole ? tokensIn + tokensOut : undefined };
}

/** Take the counts of a response or chunk over into *counts*. Those that it lacks stay. */
export function mergeCounts(counts: JsonObject, value: Json): void {
  const added =
    isObject(value) && isLangchainChunk(value) ? langchainFields(value).usage_metadata : undefined;
  if (isObject(added)) {
    // LangChain adds up the counts of its chunks.
    for (const name of LANGCHAIN_COUNTS)
      counts[name] = (count(counts[name]) ?? 0) + (count(added[name]) ?? 0);
    return;
  }
  for (const holder of holders(value)) {
    const found = USAGE_FIELDS.map((field) => holder[field]).filter(isObject);
    const counted = [holder, ...found].flatMap((source) => COUNT_FIELDS.map((field) => source[field]));
    counted.push(...found.flatMap((source) => DETAILS.map((field) => source[field])));
    for (const source of [holder, ...found, ...counted.filter(isObject)]) {
      for (const [name, figure] of Object.entries(source)) {
        // The AI SDK's providers say {"total": …}.
        const number = isObject(figure) ? figure.total : figure;
        // watsonx counts the prompt in its first chunk alone.
        if (COUNTS.has(name) && number != null && (number !== 0 || !(name in counts))) counts[name] = number;
      }
      if (CACHED in source && (CACHED_DETAILS in source || countsCacheApart(value)))
        counts[CACHED_APART] = !(CACHED_DETAILS in source);
    }
  }
}

/** Return whether an object of the AI SDK names a provider that counts its cache apart. */
function countsCacheApart(value: Json): boolean {
  const metadata = isObject(value) ? value.providerMetadata : undefined;
  if (isObject(metadata) && Object.keys(metadata).length > 0)
    return PROVIDERS_APART.some((provider) => provider in metadata);
  return MODELS_APART.test(modelName(value));
}

/** Return the figures of counts under the names of any API. */
export function usageOfCounts(counts: JsonObject): Usage {
  const uncached = first(counts, TOKENS_IN_WITHOUT_CACHE);
  const prompt =
    first(counts, TOKENS_IN) ??
    (uncached === undefined ? undefined : uncached + cachedBesides(counts, uncached));
  const tokensIn = plus(prompt, first(counts, TOOL_PROMPTS));
  const counted = plus(first(counts, TOKENS_OUT), first(counts, THOUGHTS));
  const total = first(counts, TOTALS);
  const reasoning = count(counts[REASONING]) ?? 0;
  const isBesides = reasoning > 0 && total === (tokensIn ?? 0) + (counted ?? 0) + reasoning;
  const tokensOut = isBesides ? plus(counted, reasoning) : counted;
  const isWhole = tokensIn !== undefined && tokensOut !== undefined;
  return { tokensIn, tokensOut, total: isWhole ? Math.max(total ?? 0, tokensIn + tokensOut) : total };
}

/** Return the tokens of the cache that are not among *uncached*. */
function cachedBesides(counts: JsonObject, uncached: number): number {
  const cached = count(counts[CACHED]) ?? 0;
  const apart = CACHE.reduce((sum, name) => sum + (count(counts[name]) ?? 0), 0);
  // More than all tokens can't be among them.
  return apart + (cached > uncached || counts[CACHED_APART] === true ? cached : 0);
}

/** Return *sent* and the responses in it: Anthropic's first event, Responses' events, LangChain's generations, the AI SDK's last step. */
function holders(sent: Json): JsonObject[] {
  if (!isObject(sent)) return [];
  const value = withoutEnvelope(sent);
  const first = Array.isArray(value.generations) ? value.generations[0] : value.generations;
  const generation = Array.isArray(first) ? first[0] : first;
  const held = isObject(generation) ? langchainFields(generation).message : undefined;
  const message = isObject(held) ? langchainFields(held) : undefined;
  const result = Array.isArray(value.results) ? value.results[0] : undefined;
  const final = isObject(value.response) ? value.response.meta : undefined;
  const lastStep = Array.isArray(value.steps) ? value.steps.at(-1) : undefined;
  const response = isObject(lastStep) ? lastStep.response : undefined;
  const inner = HOLDERS.map((field) => value[field]);
  return [value, ...inner, message, response, result, message?.response_metadata, final].filter(isObject);
}

function first(counts: JsonObject, names: readonly string[]): number | undefined {
  return names.map((name) => count(counts[name])).find((tokens) => tokens !== undefined);
}

function plus(tokens: number | undefined, more: number | undefined): number | undefined {
  return more === undefined ? tokens : (tokens ?? 0) + more;
}

/** Return a number of tokens, which may be in digits. Undefined for any other value. */
function count(value: Json | undefined): number | undefined {
  const isDigits = typeof value === "string" && /^[0-9]{1,10}(\.0{1,15})?$/.test(value);
  const number = isDigits || typeof value === "bigint" ? Number(value) : value;
  if (typeof number !== "number" || !(number >= 0 && number <= MAX_COUNT)) return undefined;
  return Math.trunc(number);
}
