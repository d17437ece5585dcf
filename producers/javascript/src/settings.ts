/** Settings of a client: frozen, made by `settingsOf`. */

import type { Mask } from "./content/masking.js";
import type { WaitUntil } from "./request-context.js";
import { environmentVariable } from "./runtime.js";

/** Limits of a client. An event that does not fit is refused when it is logged, and counted by reason. */
export interface Limits {
  /** Events held, in flight included. At the limit new events are refused. */
  queueEvents: number;
  /** Estimated bytes held, in flight included. At the limit new events are refused. */
  queueBytes: number;
  /** Estimated bytes of one event. Over it the raw fields are left out, then the event is refused. */
  eventBytes: number;
  /** Events of one request. */
  batchEvents: number;
  /** Estimated bytes of one request. */
  batchBytes: number;
}

/**
 * Exponential backoff with full jitter. Events are retried for as long as they are queued.
 *
 * The n-th wait is drawn from [0, min(`maxMs`, `initialMs` * 2**n)]
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). The server's Retry-After replaces it, up
 * to `maxRetryAfterMs`.
 */
export interface RetryPolicy {
  initialMs: number;
  maxMs: number;
  maxRetryAfterMs: number;
}

/** The part of `fetch` that the SDK uses. */
export type Fetch = (
  url: string,
  request: {
    method: string;
    headers: Record<string, string>;
    body: Uint8Array;
    signal: AbortSignalLike;
    redirect: "manual";
  },
) => Promise<FetchResponse>;

/** The signal of an AbortController, or any where the types of the web are missing. */
// biome-ignore lint/suspicious/noExplicitAny: AbortSignal where its type is known, else anything
export type AbortSignalLike = typeof globalThis extends { AbortSignal: { prototype: infer T } } ? T : any;

export interface FetchResponse {
  status: number;
  headers: { get(name: string): string | null };
  body?: unknown;
  text(): Promise<string>;
}

/** Settings of one client: its options, completed from the environment and the defaults. */
export interface Settings {
  readonly apiKey: string | undefined;
  readonly projectId: string | undefined;
  readonly baseUrl: string;
  readonly tickMs: number;
  readonly versionId: string | undefined;
  readonly requestTimeoutMs: number;
  readonly exitTimeoutMs: number;
  readonly limits: Readonly<Limits>;
  readonly retry: Readonly<RetryPolicy>;
  readonly mask: Mask | undefined;
  readonly fetch: Fetch | undefined;
  readonly waitUntil: WaitUntil | undefined;
}

export const DEFAULT_LIMITS: Readonly<Limits> = Object.freeze({
  queueEvents: 10_000,
  queueBytes: 128 * 1024 * 1024,
  eventBytes: 60 * 1024 * 1024,
  batchEvents: 500,
  batchBytes: 2 * 1024 * 1024,
});

export const DEFAULT_RETRY: Readonly<RetryPolicy> = Object.freeze({
  initialMs: 500,
  maxMs: 30_000,
  maxRetryAfterMs: 600_000,
});

/** Return the current key of the environment: many apps load their .env file after `phospho.init`. */
export function apiKeyOfEnvironment(): string | undefined {
  return environmentVariable("PHOSPHO_API_KEY");
}

/** Return the random wait before the next attempt. *attemptsBefore* counts from 0. */
export function retryDelayMs(policy: RetryPolicy, attemptsBefore: number, retryAfterMs?: number): number {
  const ceilingMs = Math.min(policy.maxMs, policy.initialMs * 2 ** Math.min(attemptsBefore, 30));
  const backoffMs = Math.random() * ceilingMs;
  if (retryAfterMs === undefined) return backoffMs;
  // The jitter spreads a thousand clients that got the same Retry-After. A Retry-After of 0 does not switch the backoff
  // off.
  const waitMs = Math.min(retryAfterMs, policy.maxRetryAfterMs) + Math.random() * policy.initialMs;
  return Math.max(waitMs, backoffMs);
}
