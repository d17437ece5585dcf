/*
 * Options of a client: frozen, made once by `phospho.init` or `new Phospho`.
 *
 * The environment is read when they are made, never at import.
 */

import { ConfigError } from "./errors.js";
import { environmentVariable, LONGEST_DELAY_MS } from "./runtime.js";
import type { Transport } from "./transport.js";

/** Where a local `phospho up` listens. */
export const BASE_URL = "http://127.0.0.1:8420";

// A base URL that people carry over from another client of the same server.
const KNOWN_SUFFIXES = ["/api/v1", "/v2", "/v3"];

/** The bounds of a client. What does not fit is refused when it is logged, and counted by reason. */
export interface Limits {
  /** Events held, those in flight included; when it is reached new events are refused. */
  queueEvents: number;
  /** Estimated bytes held, those in flight included; when it is reached new events are refused. */
  queueBytes: number;
  /** Estimated bytes of one event; beyond it raw fields are left out, then the event is refused. */
  eventBytes: number;
  /** Events of one request; then the next request begins. */
  batchEvents: number;
  /** Estimated bytes of one request; then the next request begins. */
  batchBytes: number;
}

/**
 * Exponential backoff with full jitter; retried for as long as the event is held.
 *
 * The n-th wait is drawn from [0, min(`maxMs`, `initialMs` * 2**n)]
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). A Retry-After of the server
 * replaces it, up to `maxRetryAfterMs`.
 */
export interface RetryPolicy {
  initialMs: number;
  maxMs: number;
  maxRetryAfterMs: number;
}

/** The part of `fetch` that is used. */
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

/** The signal of an AbortController, also where the types of the web are not known. */
// biome-ignore lint/suspicious/noExplicitAny: AbortSignal where its type is known, else anything
export type AbortSignalLike = typeof globalThis extends { AbortSignal: { prototype: infer T } } ? T : any;

export interface FetchResponse {
  status: number;
  headers: { get(name: string): string | null };
  body?: unknown;
  text(): Promise<string>;
}

/** What `phospho.init` and `new Phospho` take. All of it is optional. */
export interface PhosphoOptions {
  /** Names its project. Default: the environment's PHOSPHO_API_KEY. */
  apiKey?: string | null | undefined;
  /** Default: PHOSPHO_PROJECT_ID, else the project that the key names. */
  projectId?: string | null | undefined;
  /** The server. Default: PHOSPHO_BASE_URL, else that of a local `phospho up`. */
  baseUrl?: string | null | undefined;
  /** The longest time, in milliseconds, that a log waits for others to be sent with it. */
  tick?: number;
  /** The version of every log that does not name its own. */
  versionId?: string | null | undefined;
  /** The bound of each wait for the server. */
  requestTimeoutMs?: number;
  /** The bound of the flush when Node has nothing left to do. */
  exitTimeoutMs?: number;
  limits?: Partial<Limits>;
  retry?: Partial<RetryPolicy>;
  /** Told of trouble in one line, at most every 30 s for the same trouble. Default: nobody. */
  onWarning?: (message: string) => void;
  /** Replaces HTTP, as `RecordingTransport` does in tests. */
  transport?: Transport;
  /** Replaces the global `fetch`. */
  fetch?: Fetch;
}

/** Everything a client was told, with what the environment and the defaults say. */
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
  readonly fetch: Fetch | undefined;
}

export const DEFAULT_LIMITS: Readonly<Limits> = Object.freeze({
  queueEvents: 10_000,
  queueBytes: 64 * 1024 * 1024,
  eventBytes: 2 * 1024 * 1024,
  batchEvents: 500,
  batchBytes: 2 * 1024 * 1024,
});

export const DEFAULT_RETRY: Readonly<RetryPolicy> = Object.freeze({
  initialMs: 500,
  maxMs: 30_000,
  maxRetryAfterMs: 600_000,
});

/** Return the settings of *options*, completed by the environment. Throws ConfigError. */
export function settingsOf(options: PhosphoOptions): Settings {
  return Object.freeze({
    apiKey: checkedKey(options.apiKey || apiKeyOfEnvironment() || ""),
    projectId: options.projectId || environmentVariable("PHOSPHO_PROJECT_ID"),
    baseUrl: normalizedBaseUrl(options.baseUrl || environmentVariable("PHOSPHO_BASE_URL") || BASE_URL),
    tickMs: duration("tick", options.tick, 500),
    versionId: options.versionId || undefined,
    requestTimeoutMs: duration("requestTimeoutMs", options.requestTimeoutMs, 10_000),
    exitTimeoutMs: duration("exitTimeoutMs", options.exitTimeoutMs, 5_000),
    limits: numbers("limits", DEFAULT_LIMITS, options.limits),
    retry: numbers("retry", DEFAULT_RETRY, options.retry),
    fetch: options.fetch,
  });
}

/** Return the key of the environment as it is now: many apps load their .env file after `phospho.init`. */
export function apiKeyOfEnvironment(): string | undefined {
  return environmentVariable("PHOSPHO_API_KEY");
}

/** Return the wait before the next attempt, drawn at random; *attemptsBefore* counts from 0. */
export function retryDelayMs(policy: RetryPolicy, attemptsBefore: number, retryAfterMs?: number): number {
  const ceilingMs = Math.min(policy.maxMs, policy.initialMs * 2 ** Math.min(attemptsBefore, 30));
  const drawnMs = Math.random() * ceilingMs;
  if (retryAfterMs === undefined) return drawnMs;
  // The jitter keeps a thousand clients that were told one second from coming in the same one; and a server
  // that says 0 again and again does not switch the backoff off.
  const toldMs = Math.min(retryAfterMs, policy.maxRetryAfterMs) + Math.random() * policy.initialMs;
  return Math.max(toldMs, drawnMs);
}

/** Return a key without white space around it. An error about one that fits no header never shows it. */
function checkedKey(given: string): string | undefined {
  const key = given.trim();
  if (key && !/^[\x21-\x7e]+$/.test(key)) {
    throw new ConfigError("the API key holds characters that no key has: copy it again");
  }
  return key || undefined;
}

/** Return the server's root: without a trailing slash, `/v2`, `/v3` or `/api/v1`. */
function normalizedBaseUrl(baseUrl: string): string {
  const root = withoutSlashes(baseUrl.trim());
  if (!/^https?:\/\/./.test(root)) {
    throw new ConfigError(`baseUrl must begin with http:// or https://, not ${JSON.stringify(baseUrl)}`);
  }
  const suffix = KNOWN_SUFFIXES.find((known) => root.endsWith(known));
  return suffix ? withoutSlashes(root.slice(0, -suffix.length)) : root;
}

function withoutSlashes(text: string): string {
  let end = text.length;
  while (text[end - 1] === "/") end -= 1;
  return text.slice(0, end);
}

function duration(name: string, given: number | undefined, otherwise: number): number {
  return Math.min(checkedNumber(name, given ?? otherwise), LONGEST_DELAY_MS);
}

function numbers<T extends object>(name: string, defaults: T, given: Partial<T> | undefined): Readonly<T> {
  const chosen = Object.entries(defaults).map(([field, otherwise]) => {
    const value = (given as Record<string, unknown> | undefined)?.[field];
    return [field, checkedNumber(`${name}.${field}`, value ?? otherwise)];
  });
  return Object.freeze(Object.fromEntries(chosen)) as T;
}

function checkedNumber(name: string, given: unknown): number {
  if (typeof given === "number" && given >= 0) return given;
  throw new ConfigError(`${name} must be a number that is not negative, not ${String(given)}`);
}
