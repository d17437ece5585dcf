/** The tokens that a response says it used. */

import { first, parsed, read } from "./shapes.js";

export type Usage = Record<string, number>;

type Names = readonly [input: string, output: string, total: string];

// Where the counts are, then their names for the input, the output and the whole.
const SHAPES: readonly (readonly [place: string | null, names: Names])[] = [
  ["usage", ["prompt_tokens", "completion_tokens", "total_tokens"]],
  ["usage", ["input_tokens", "output_tokens", "total_tokens"]],
  ["usage_metadata", ["input_tokens", "output_tokens", "total_tokens"]],
  ["usage_metadata", ["prompt_token_count", "candidates_token_count", "total_token_count"]],
  ["usageMetadata", ["promptTokenCount", "candidatesTokenCount", "totalTokenCount"]],
  [null, ["prompt_eval_count", "eval_count", "total_eval_count"]],
];

/**
 * Return `prompt_tokens`, `completion_tokens` and `total_tokens`, as far as *output* says them.
 *
 * `tokens_in` and `tokens_out` repeat the first two under the names that the server knows.
 */
export function usageOf(given: unknown): Usage {
  const output = parsed(given);
  const generation = first(output, "generations");
  const message = read(Array.isArray(generation) ? generation[0] : generation, "message");
  for (const value of [output, read(output, "response"), read(output, "message"), message]) {
    for (const [place, names] of SHAPES) {
      const counts = place === null ? value : read(value, place);
      const [input, completion, total] = names.map((name) => count(read(counts, name)));
      if (input !== undefined || completion !== undefined) return named(input, completion, total);
    }
  }
  return {};
}

function named(prompt?: number, completion?: number, total?: number): Usage {
  const whole = total ?? (prompt !== undefined && completion !== undefined ? prompt + completion : undefined);
  const counts: [string, number | undefined][] = [
    ["prompt_tokens", prompt],
    ["completion_tokens", completion],
    ["total_tokens", whole],
    ["tokens_in", prompt],
    ["tokens_out", completion],
  ];
  return Object.fromEntries(counts.filter((pair): pair is [string, number] => pair[1] !== undefined));
}

function count(value: unknown): number | undefined {
  return Number.isInteger(value) ? (value as number) : undefined;
}
