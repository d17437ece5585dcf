// A phospho server on loopback: answers as the gateway does, or as a script says, and keeps what was accepted.
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";

export class PhosphoServer {
  requests = [];
  /** Returns `{ status, body?, headers? }` to answer in the server's stead, or a promise of it; undefined for the usual. */
  script = () => undefined;
  #http = createServer((request, response) => void this.#respond(request, response));

  static async start() {
    const server = new PhosphoServer();
    await new Promise((resolve) => server.#http.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.#http.address().port}`;
  }

  /** Every event of every batch that was answered in the usual way, in order of arrival. */
  get logs() {
    return this.requests
      .filter(({ path }) => path.endsWith("/batch"))
      .flatMap(({ document }) => document.events);
  }

  /** The path and body of every feedback. */
  get feedback() {
    const isFeedback = ({ path }) => path.endsWith("/feedback");
    return this.requests.filter(isFeedback).map(({ path, document }) => [path, document]);
  }

  close() {
    this.#http.closeAllConnections();
    return new Promise((resolve) => this.#http.close(resolve));
  }

  async #respond(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    const bytes = Buffer.concat(parts);
    const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes;
    const seen = {
      path: request.url,
      headers: request.headers,
      document: JSON.parse(body),
      bytes: bytes.length,
    };
    const reply = await this.script(seen);
    if (!reply) this.requests.push(seen);
    const { status = 200, body: answer = usual(seen), headers = {} } = reply ?? {};
    response.writeHead(status, headers).end(typeof answer === "string" ? answer : JSON.stringify(answer));
  }
}

function usual({ path, document }) {
  if (!path.endsWith("/batch"))
    return { event_id: "e", feedback_id: "f", created_at: "2026-01-01T00:00:00Z" };
  const results = document.events.map(({ task_id }) => ({ status: "accepted", event_id: task_id, task_id }));
  return { results, accepted: results.length, rejected: 0 };
}

/** An answer in the server's one error shape. */
export function refusal(status, headers = {}, code = "some_code") {
  const error = { code, message: "what happened", hint: "what to do" };
  return { status, headers, body: { error } };
}
