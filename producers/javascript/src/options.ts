/** Options of `phospho.init` and `new Phospho`, and the settings that they make. */

import { type Mask, type MaskRule, maskOf } from "./content/masking.js";
import type { Transport } from "./delivery/transport.js";
import { ConfigError } from "./errors.js";
import type { WaitUntil } from "./request-context.js";
import { environmentVariable, LONGEST_DELAY_MS } from "./runtime.js";
import {
  apiKeyOfEnvironment,
  DEFAULT_LIMITS,
  DEFAULT_RETRY,
  type Fetch,
  type Limits,
  type RetryPolicy,
  type Settings,
} from "./settings.js";

/** Address of a local `phospho up`. */
const BASE_URL = "http://127.0.0.1:8420";

// Suffixes of base URLs that other clients of the same server use.
const KNOWN_SUFFIXES = ["/api/v1", "/v2", "/v3"];

/** Options of `phospho.init` and `new Phospho`. The environment is read when they are used, never at import. */
export interface PhosphoOptions {
  /** Identifies the project. Default: PHOSPHO_API_KEY. */
  apiKey?: string | null | undefined;
  /** Default: PHOSPHO_PROJECT_ID, else the project of the key. */
  projectId?: string | null | undefined;
  /** The server. Default: PHOSPHO_BASE_URL, else a local `phospho up`. */
  baseUrl?: string | null | undefined;
  /** Milliseconds that a log waits for its batch to fill. */
  tick?: number;
  /** Default version of all logs. */
  versionId?: string | null | undefined;
  /** Timeout of one request. */
  requestTimeoutMs?: number;
  /** Timeout of the flush when Node has nothing left to do. */
  exitTimeoutMs?: number;
  limits?: Partial<Limits>;
  retry?: Partial<RetryPolicy>;
  /** What is replaced in every text before it leaves the app: rules by name, regular expressions, functions. */
  mask?: MaskRule | readonly MaskRule[] | undefined;
  /** Called with each warning, one line, at most every 30 s for the same cause. Default: `console.warn`, once a cause. */
  onWarning?: ((message: string) => void) | undefined;
  /** Print no warnings. */
  silent?: boolean | undefined;
  /**
   * `waitUntil` of the current request, or Next.js' `after`: called with a promise that ends when the logs are sent.
   * Default: that of Vercel and Next.js, where there is one.
   */
  waitUntil?: WaitUntil | undefined;
  /** Replaces HTTP, as `RecordingTransport` does in tests. */
  transport?: Transport;
  /** Replaces the global `fetch`. */
  fetch?: Fetch;
}

/** Return the settings of *options*, completed from the environment. Throws ConfigError. */
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
    mask: maskOfOption(options.mask),
    fetch: options.fetch,
    waitUntil: options.waitUntil,
  });
}

function maskOfOption(option: PhosphoOptions["mask"]): Mask | undefined {
  if (option === undefined || option === null) return undefined;
  const mask = maskOf(Array.isArray(option) ? option : [option]);
  if (!mask) throw new ConfigError("mask has a rule that is no known name, regular expression or function");
  return mask;
}

/** Return a key without white space around it. Errors never show the key. */
function checkedKey(text: string): string | undefined {
  const key = text.trim();
  if (key && !/^[\x21-\x7e]+$/.test(key)) {
    throw new ConfigError("the API key has characters that no key has. Copy it again");
  }
  return key || undefined;
}

/** Return the server's root: without a trailing slash, `/v2`, `/v3` or `/api/v1`. */
function normalizedBaseUrl(baseUrl: string): string {
  const root = withoutSlashes(baseUrl.trim());
  if (!/^https?:\/\/./.test(root)) {
    throw new ConfigError(`baseUrl must begin with http:// or https://, not ${JSON.stringify(baseUrl)}`);
  }
  const suffix = KNOWN_SUFFIXES.find((ending) => root.endsWith(ending));
  return suffix ? withoutSlashes(root.slice(0, -suffix.length)) : root;
}

function withoutSlashes(text: string): string {
  let end = text.length;
  while (text[end - 1] === "/") end -= 1;
  return text.slice(0, end);
}

function duration(name: string, value: number | undefined, defaultMs: number): number {
  return Math.min(checkedNumber(name, value ?? defaultMs), LONGEST_DELAY_MS);
}

/** Return *defaults*, with the fields of *overrides* in their place. */
function numbers<T extends object>(
  name: string,
  defaults: T,
  overrides: Partial<T> | undefined,
): Readonly<T> {
  const fields = Object.entries(defaults).map(([field, defaultValue]) => {
    const value = (overrides as Record<string, unknown> | undefined)?.[field];
    return [field, checkedNumber(`${name}.${field}`, value ?? defaultValue)];
  });
  return Object.freeze(Object.fromEntries(fields)) as T;
}

function checkedNumber(name: string, value: unknown): number {
  if (typeof value === "number" && value >= 0) return value;
  throw new ConfigError(`${name} must be a number that is not negative, not ${String(value)}`);
}
