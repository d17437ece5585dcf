/** Token counts of a response. */

import { firstItem, read } from "./fields.js";

export type Usage = Record<string, number>;

type Names = readonly [input: string, output: string, total: string];

// The field that holds the counts, then the names of the input's, the output's and the total count.
const SHAPES: readonly (readonly [container: string | null, names: Names])[] = [
  ["usage", ["prompt_tokens", "completion_tokens", "total_tokens"]],
  ["usage", ["input_tokens", "output_tokens", "total_tokens"]],
  ["usage_metadata", ["input_tokens", "output_tokens", "total_tokens"]],
  ["usage_metadata", ["prompt_token_count", "candidates_token_count", "total_token_count"]],
  ["usageMetadata", ["promptTokenCount", "candidatesTokenCount", "totalTokenCount"]],
  [null, ["prompt_eval_count", "eval_count", "total_eval_count"]],
];

/**
 * Return the token counts that *output* holds: `prompt_tokens`, `completion_tokens` and `total_tokens`.
 *
 * `tokens_in` and `tokens_out` repeat the first two under the server's names.
 */
export function usageOf(output: unknown): Usage {
  const generation = firstItem(output, "generations");
  const message = read(Array.isArray(generation) ? generation[0] : generation, "message");
  for (const value of [output, read(output, "response"), read(output, "message"), message]) {
    for (const [container, names] of SHAPES) {
      const counts = container === null ? value : read(value, container);
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
