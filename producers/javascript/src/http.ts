/** The default transport: batches of JSON by `fetch`. */

import { errorText } from "./errors.js";
import { encode, type Json, type JsonObject } from "./json.js";
import type { QueuedEvent } from "./queue.js";
import { isBrowser, monotonicMs } from "./runtime.js";
import { apiKeyOfEnvironment, type Fetch, type FetchResponse, type Settings } from "./settings.js";
import { accepted, type Outcome, rejected, retry, type Transport } from "./transport.js";
import { VERSION } from "./version.js";

// Below this a gzip header costs more than it saves.
const GZIP_FROM_BYTES = 1024;

// One result of a batch takes some 300.
const MAX_ANSWER_CHARACTERS = 4 * 1024 * 1024;

const RETRIED_STATUSES = new Set([408, 425, 429]);
// One event may be the reason that a whole batch was refused: these are tried again in halves.
const SPLIT_STATUSES = new Set([400, 413, 422]);

// On Kafka a task that was accepted is stored about a second later, and only then can its events be judged.
const UNKNOWN_TASK_GRACE_MS = 5_000;
const UNKNOWN_TASK_PAUSE_MS = 500;

/** What came back: the whole of a body, as text. */
interface Answer {
  status: number;
  text: string;
  retryAfterMs: number | undefined;
}

/**
 * Sends logs to `/api/v1/events/batch`, each feedback to its event, and labels to `/api/v1/labels`.
 *
 * The API key goes with all of them, as bearer.
 */
export class HttpTransport implements Transport {
  readonly #settings: Settings;
  readonly #inFlight = new Set<AbortController>();
  readonly #unknownSinceMs = new Map<string, number>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Send the logs as one batch, then the rest one by one: a task precedes what is said of it. */
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
      outcomes.set(event, isWaiting ? afterItsLog() : await this.#sendVerdict(event, mayGoOn));
    }
    return events.map((event) => outcomes.get(event) ?? badAnswer(200));
  }

  /** Break off the requests in flight. */
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

  async #sendVerdict(event: QueuedEvent, mayGoOn: () => boolean): Promise<Outcome> {
    if (!mayGoOn()) return givenUp();
    return event.kind === "label" ? this.#sendLabel(event) : this.#sendFeedback(event);
  }

  async #sendLabel(event: QueuedEvent): Promise<Outcome> {
    const answer = await this.#post("/api/v1/labels", `{"labels":[${event.encoded()}]}`);
    if (!("text" in answer)) return answer;
    if (answer.status === 404 && this.#mayBeStoredYet(event, answer)) {
      return retry("unknown_task", reason(answer), UNKNOWN_TASK_PAUSE_MS);
    }
    this.#unknownSinceMs.delete(event.id);
    return isSuccess(answer) ? accepted() : refusal(answer);
  }

  /** Whether the task of a label is unknown, and was not for long. */
  #mayBeStoredYet(event: QueuedEvent, answer: Answer): boolean {
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

  /** Return the answer, or the outcome of a request that had none or is to be made again. */
  async #post(
    path: string,
    body: string,
    extraHeaders: Record<string, string> = {},
  ): Promise<Answer | Outcome> {
    const { baseUrl, requestTimeoutMs } = this.#settings;
    const controller = new AbortController();
    this.#inFlight.add(controller);
    const timer = setTimeout(() => controller.abort(), requestTimeoutMs);
    try {
      const request = {
        ...(await compressed(body, { ...this.#headers(), ...extraHeaders })),
        method: "POST",
        signal: controller.signal,
        redirect: "manual",
      } as const;
      const answer = await read(await this.#fetch()(baseUrl + path, request));
      return isRetried(answer.status)
        ? retry(`http_${answer.status}`, reason(answer), answer.retryAfterMs)
        : answer;
    } catch (error) {
      return retry(
        "no_answer",
        controller.signal.aborted ? `no answer in ${requestTimeoutMs} ms` : errorText(error),
      );
    } finally {
      clearTimeout(timer);
      this.#inFlight.delete(controller);
    }
  }

  /** Return the app's `fetch`, or the global one of this moment: instrumentation may replace it late. */
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

function isRetried(status: number): boolean {
  return RETRIED_STATUSES.has(status) || status >= 500;
}

/** Return the bodies of the events, and the refusals of those that can't be JSON. */
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

/** Return a body with its headers: compressed where that is worth it and the runtime can. */
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

/** Return a body, of which no more is read than an answer of the server can be long. */
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

/** Return a Retry-After, a number of seconds or a date, in milliseconds; undefined if it is neither. */
function milliseconds(retryAfter: string | null): number | undefined {
  if (retryAfter === null || retryAfter.trim() === "") return undefined;
  const seconds = Number(retryAfter);
  const waitMs = Number.isNaN(seconds) ? Date.parse(retryAfter) - Date.now() : seconds * 1000;
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}

/** Return a score with its comment, or a flag with its notes and source: the two forms of a feedback. */
function feedbackBody({ score, flag, comment, source }: JsonObject): JsonObject {
  const body = score === undefined ? { flag, notes: comment, source } : { score, comment };
  return Object.fromEntries(
    Object.entries(body).filter((field): field is [string, Json] => field[1] != null),
  );
}

/** Return *text* as one part of a path: all but letters, digits and `_.-~` escaped. */
function quoted(text: string): string {
  // An URL can't hold lone surrogates: they become U+FFFD on the way through UTF-8.
  const wellFormed = new TextDecoder().decode(new TextEncoder().encode(text));
  return encodeURIComponent(wellFormed).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function isSuccess(answer: Answer): boolean {
  return answer.status >= 200 && answer.status < 300;
}

function afterItsLog(): Outcome {
  return retry("waiting", "an earlier event of the batch is to be sent first");
}

function givenUp(): Outcome {
  return retry("given_up", "the attempt was given up");
}

function badAnswer(status: number): Outcome {
  return retry("bad_answer", `HTTP ${status} without one result per event`);
}

/** Return one outcome per event; an answer that is not the server's (a proxy's page) is no receipt. */
function results(answer: Answer, expected: number): Outcome[] {
  const found = (documentOf(answer) as { results?: unknown } | null)?.results;
  if (!Array.isArray(found) || found.length !== expected) {
    return Array.from({ length: expected }, () => badAnswer(answer.status));
  }
  return found.map((result) => (result?.status === "accepted" ? accepted() : rejectedBy(result)));
}

function refusal(answer: Answer): Outcome {
  return rejected(`http_${answer.status}`, reason(answer));
}

/** Return the refusal of one event, in the server's one error shape. */
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
  const parts = [error.message, error.hint].filter((part) => part).map(String);
  return { code: String(error.code || "rejected"), message: parts.join(". ") };
}

function documentOf(answer: Answer): unknown {
  try {
    return JSON.parse(answer.text);
  } catch {
    return null;
  }
}
