/** The default transport: batches of JSON by `fetch`. */

import { encode, type Json, type JsonObject } from "../content/json.js";
import { errorText } from "../errors.js";
import { isBrowser, monotonicMs } from "../runtime.js";
import { apiKeyOfEnvironment, type Fetch, type FetchResponse, type Settings } from "../settings.js";
import { VERSION } from "../version.js";
import type { QueuedEvent } from "./event.js";
import { accepted, type Outcome, rejected, retry, type Transport } from "./transport.js";
import type { Warnings } from "./warnings.js";

// Below this a gzip header costs more than it saves.
const GZIP_FROM_BYTES = 1024;
// For a task of 50 MB, whose transport and storage take longer than those of a batch.
const MS_PER_CHARACTER = 1e-3;

// One result of a batch has about 300.
const MAX_ANSWER_CHARACTERS = 4 * 1024 * 1024;

const RETRIED_STATUSES = new Set([408, 425, 429]);
// One bad event may be the reason that a batch was refused, so its halves are sent apart.
const SPLIT_STATUSES = new Set([400, 413, 422]);

// With Kafka an accepted task is stored about a second later, and only then can its events be labelled.
const UNKNOWN_TASK_GRACE_MS = 5_000;
const UNKNOWN_TASK_PAUSE_MS = 500;

const AFTER_ITS_LOG = retry("waiting", "an earlier event of the batch must be sent first");

/** The server's answer, with its body as text. */
interface Answer {
  status: number;
  text: string;
  retryAfterMs: number | undefined;
}

/**
 * Sends logs to `/api/v1/events/batch`, each feedback to its event, and labels to `/api/v1/labels`.
 *
 * All requests carry the API key as bearer token.
 */
export class HttpTransport implements Transport {
  readonly #settings: Settings;
  readonly #warnings: Warnings;
  readonly #inFlight = new Set<AbortController>();
  readonly #unknownSinceMs = new Map<string, number>();

  constructor(settings: Settings, warnings: Warnings) {
    this.#settings = settings;
    this.#warnings = warnings;
  }

  /** Send the logs as one batch, then the rest one by one: a task precedes its feedback and labels. */
  async send(events: readonly QueuedEvent[], mayGoOn: () => boolean): Promise<Outcome[]> {
    const { bodies, outcomes } = encodedBodies(events);
    const logs = events.filter((event) => event.kind === "log" && bodies.has(event));
    const results = await this.#sendLogs(
      logs.map((event) => bodies.get(event) ?? ""),
      mayGoOn,
    );
    logs.forEach((event, index) => {
      outcomes.set(event, results[index] ?? badAnswer(200));
    });
    for (const event of events) {
      if (event.kind === "log") continue;
      const isWaiting = [...outcomes.values()].some((outcome) => outcome.status === "retry");
      outcomes.set(event, isWaiting ? AFTER_ITS_LOG : await this.#sendSingle(event, mayGoOn));
    }
    return events.map((event) => outcomes.get(event) ?? badAnswer(200));
  }

  /** Abort the requests in flight. */
  close(): void {
    for (const controller of this.#inFlight) controller.abort();
  }

  async #sendLogs(bodies: string[], mayGoOn: () => boolean): Promise<Outcome[]> {
    if (bodies.length === 0) return [];
    if (!mayGoOn()) return bodies.map(givenUp);
    const answer = await this.#post("/api/v1/events/batch", `{"events":[${bodies.join(",")}]}`);
    if (!("text" in answer)) return bodies.map(() => answer);
    if (SPLIT_STATUSES.has(answer.status) && bodies.length > 1) {
      const middle = Math.floor(bodies.length / 2);
      const earlier = await this.#sendLogs(bodies.slice(0, middle), mayGoOn);
      return [...earlier, ...(await this.#sendLogs(bodies.slice(middle), mayGoOn))];
    }
    return isSuccess(answer) ? results(answer, bodies.length) : bodies.map(() => refusal(answer));
  }

  async #sendSingle(event: QueuedEvent, mayGoOn: () => boolean): Promise<Outcome> {
    if (!mayGoOn()) return givenUp();
    return event.kind === "label" ? this.#sendLabel(event) : this.#sendFeedback(event);
  }

  async #sendLabel(event: QueuedEvent): Promise<Outcome> {
    const answer = await this.#post("/api/v1/labels", `{"labels":[${event.encoded()}]}`);
    if (!("text" in answer)) return answer;
    if (answer.status === 404 && this.#mayBeStoredSoon(event, answer)) {
      return retry("unknown_task", reason(answer), UNKNOWN_TASK_PAUSE_MS);
    }
    this.#unknownSinceMs.delete(event.id);
    return isSuccess(answer) ? accepted() : refusal(answer);
  }

  /** Return whether the task of a label is unknown, but not for longer than the grace period. */
  #mayBeStoredSoon(event: QueuedEvent, answer: Answer): boolean {
    const nowMs = monotonicMs();
    const firstMs = this.#unknownSinceMs.get(event.id) ?? nowMs;
    this.#unknownSinceMs.set(event.id, firstMs);
    return errorOf(documentOf(answer))?.code === "unknown_task" && nowMs - firstMs < UNKNOWN_TASK_GRACE_MS;
  }

  async #sendFeedback(event: QueuedEvent): Promise<Outcome> {
    const path = `/api/v1/events/${quoted(String(event.content.task_id))}/feedback`;
    const answer = await this.#post(path, encode(feedbackBody(event.content)), {
      "Idempotency-Key": event.id,
    });
    if (!("text" in answer)) return answer;
    return isSuccess(answer) ? accepted() : refusal(answer);
  }

  /** Return the answer, or an outcome if there was none or the request must be repeated. */
  async #post(
    path: string,
    body: string,
    extraHeaders: Record<string, string> = {},
  ): Promise<Answer | Outcome> {
    const { baseUrl } = this.#settings;
    const timeoutMs = this.#settings.requestTimeoutMs + body.length * MS_PER_CHARACTER;
    const controller = new AbortController();
    this.#inFlight.add(controller);
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    try {
      const request = {
        ...(await compressed(body, { ...this.#headers(), ...extraHeaders })),
        method: "POST",
        signal: controller.signal,
        redirect: "manual",
      } as const;
      const answer = await read(await this.#fetch()(baseUrl + path, request));
      this.#warnOfKey(answer);
      return isRetried(answer.status)
        ? retry(`http_${answer.status}`, reason(answer), answer.retryAfterMs)
        : answer;
    } catch (error) {
      return retry(
        "no_answer",
        `${controller.signal.aborted ? `no answer in ${Math.round(timeoutMs)} ms` : causeText(error)} at ${baseUrl}. ` +
          "Start phospho there, or set PHOSPHO_BASE_URL",
      );
    } finally {
      clearTimeout(timer);
      this.#inFlight.delete(controller);
    }
  }

  /** Say what to do about a key that is missing or that the server refuses. */
  #warnOfKey({ status }: Answer): void {
    if (status !== 401 && status !== 403) return;
    const { apiKey = apiKeyOfEnvironment(), baseUrl } = this.#settings;
    const text = apiKey
      ? `phospho: ${baseUrl} refuses the API key (${status}), and the logs are lost. Check PHOSPHO_API_KEY, or apiKey of phospho.init`
      : `phospho: there is no API key, and the logs are lost. Set PHOSPHO_API_KEY, or pass apiKey to phospho.init`;
    this.#warnings.warn(`rejected:http_${status}`, text);
  }

  /** Return the app's `fetch`, or the current global one: instrumentation may replace it late. */
  #fetch(): Fetch {
    return this.#settings.fetch ?? ((url, request) => fetch(url, request as RequestInit));
  }

  #headers(): Record<string, string> {
    const apiKey = this.#settings.apiKey ?? apiKeyOfEnvironment();
    return {
      ...(isBrowser() ? {} : { "User-Agent": `phospho-javascript/${VERSION}` }),
      ...(apiKey ? { Authorization: `Bearer ${apiKey}` } : {}),
      "Content-Type": "application/json",
    };
  }
}

/** Return an error of `fetch` with its cause, which alone says what went wrong. */
function causeText(error: unknown): string {
  const { cause } = (error ?? {}) as { cause?: unknown };
  return cause ? `${errorText(error)} (${errorText(cause)})` : errorText(error);
}

function isRetried(status: number): boolean {
  return RETRIED_STATUSES.has(status) || status >= 500;
}

/** Return the bodies of the events, and the rejections of those that can't be JSON. */
function encodedBodies(events: readonly QueuedEvent[]) {
  const bodies = new Map<QueuedEvent, string>();
  const outcomes = new Map<QueuedEvent, Outcome>();
  for (const event of events) {
    try {
      bodies.set(event, event.encoded());
    } catch (error) {
      outcomes.set(event, rejected("not_encodable", errorText(error)));
    }
  }
  return { bodies, outcomes };
}

/** Return a body with its headers, compressed if it is long and the runtime has gzip. */
async function compressed(text: string, headers: Record<string, string>) {
  const body = new TextEncoder().encode(text);
  if (body.length < GZIP_FROM_BYTES || typeof CompressionStream === "undefined") return { body, headers };
  const stream = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
  const gzip = new Uint8Array(await new Response(stream).arrayBuffer());
  return { body: gzip, headers: { ...headers, "Content-Encoding": "gzip" } };
}

async function read(response: FetchResponse): Promise<Answer> {
  const retryAfterMs = milliseconds(response.headers.get("Retry-After"));
  return { status: response.status, text: await boundedText(response), retryAfterMs };
}

/** Return a body, of which at most MAX_ANSWER_CHARACTERS are read. */
async function boundedText(response: FetchResponse): Promise<string> {
  const body = response.body as ReadableStream<Uint8Array> | null | undefined;
  if (!body?.getReader) return response.text();
  const [reader, decoder] = [body.getReader(), new TextDecoder()];
  let text = "";
  while (text.length < MAX_ANSWER_CHARACTERS) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return text;
}

/** Return a Retry-After, seconds or a date, in milliseconds. Undefined if it is neither. */
function milliseconds(retryAfter: string | null): number | undefined {
  if (retryAfter === null || retryAfter.trim() === "") return undefined;
  const seconds = Number(retryAfter);
  const waitMs = Number.isNaN(seconds) ? Date.parse(retryAfter) - Date.now() : seconds * 1000;
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}

/** Return one of the two forms of feedback: score and comment, or flag, notes and source. */
function feedbackBody({ score, flag, comment, source }: JsonObject): JsonObject {
  const body = score === undefined ? { flag, notes: comment, source } : { score, comment };
  return Object.fromEntries(
    Object.entries(body).filter((field): field is [string, Json] => field[1] != null),
  );
}

/** Return *text* as one segment of a path: all but letters, digits and `_.-~` escaped. */
function quoted(text: string): string {
  // A URL can't hold lone surrogates: in UTF-8 they become U+FFFD.
  const wellFormed = new TextDecoder().decode(new TextEncoder().encode(text));
  return encodeURIComponent(wellFormed).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function isSuccess(answer: Answer): boolean {
  return answer.status >= 200 && answer.status < 300;
}

function givenUp(): Outcome {
  return retry("given_up", "the attempt was given up");
}

function badAnswer(status: number): Outcome {
  return retry("bad_answer", `HTTP ${status} without one result per event`);
}

/** Return one outcome per event. An answer without one result each (a proxy's page) means retry. */
function results(answer: Answer, expected: number): Outcome[] {
  const list = (documentOf(answer) as { results?: unknown } | null)?.results;
  if (!Array.isArray(list) || list.length !== expected) {
    return Array.from({ length: expected }, () => badAnswer(answer.status));
  }
  return list.map((result) => (result?.status === "accepted" ? accepted() : rejectedBy(result)));
}

function refusal(answer: Answer): Outcome {
  return rejected(`http_${answer.status}`, reason(answer));
}

/** Return the rejection of one event, in the server's one error shape. */
function rejectedBy(result: unknown): Outcome {
  const error = errorOf(result);
  return error ? rejected(error.code, error.message) : rejected("rejected", "the server gave no reason");
}

function reason(answer: Answer): string {
  const error = errorOf(documentOf(answer));
  return error ? `${error.code}: ${error.message}` : answer.text.slice(0, 200);
}

function errorOf(document: unknown): { code: string; message: string } | undefined {
  const error = (document as { error?: Record<string, unknown> } | null)?.error;
  if (typeof error !== "object" || error === null) return undefined;
  // The server's hint is the rest of a sentence elsewhere; here it is one.
  const hint = String(error.hint || "");
  const parts = [String(error.message || ""), hint.charAt(0).toUpperCase() + hint.slice(1)];
  return { code: String(error.code || "rejected"), message: parts.filter((part) => part).join(". ") };
}

function documentOf(answer: Answer): unknown {
  try {
    return JSON.parse(answer.text);
  } catch {
    return null;
  }
}
