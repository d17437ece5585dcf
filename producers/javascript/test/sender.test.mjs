// The sender against a server on loopback: its requests, and the effect of each answer.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Phospho, RecordingTransport, VERSION } from "phospho-sdk";
import { PhosphoServer, refusal } from "./support/server.mjs";
import { until } from "./support/until.mjs";

const FAST = { initialMs: 10, maxMs: 50 };

let server;
const clients = [];
const unhandled = [];
process.on("unhandledRejection", (error) => unhandled.push(error));

beforeEach(async () => {
  server = await PhosphoServer.start();
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.shutdown(0);
  await server.close();
  assert.deepEqual(unhandled.splice(0), []);
});

function make(options = {}) {
  clients.push(new Phospho({ apiKey: "ph_test", baseUrl: server.url, tick: 10, retry: FAST, ...options }));
  return clients.at(-1);
}

test("logs go to the batch endpoint with the key as bearer, within a tick", async () => {
  const client = make();

  const { eventId } = await client.log({ input: "Hello", output: "Hi", other: 1 });
  await until(() => server.logs.length === 1, "one log");

  const [{ path, headers }] = server.requests;
  assert.equal(path, "/api/v1/events/batch");
  assert.equal(headers.authorization, "Bearer ph_test");
  assert.equal(headers["user-agent"], `phospho-javascript/${VERSION}`);
  assert.equal(headers["content-type"], "application/json");
  assert.deepEqual([server.logs[0].task_id, server.logs[0].other], [eventId, 1]);
  await until(() => client.stats().sent === 1, "the receipt");
  assert.deepEqual(client.stats(), {
    logged: 1,
    sent: 1,
    dropped: {},
    queued: 0,
    truncated: 0,
    retried: {},
    errors: {},
  });
});

test("logs that a frozen process has held up are sent, and warned of", async (context) => {
  const warnings = [];
  const client = make({ onWarning: (message) => warnings.push(message) });

  const now = performance.now.bind(performance);
  client.log({ input: "Hello" });
  context.mock.method(performance, "now", () => now() + 5_200); // what the clock says after a freeze
  await until(() => server.logs.length === 1, "the log");

  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /held up for 5 s.*await phospho\.flush\(\)/);
});

test("large bodies are compressed", async () => {
  const client = make();

  client.log({ input: "x".repeat(5000) });
  await client.flush();

  assert.equal(server.requests[0].headers["content-encoding"], "gzip");
  assert.ok(server.requests[0].bytes < 1000);
  assert.equal(server.logs[0].input.length, 5000);
});

test("feedback follows the log it is about", async () => {
  const client = make({ tick: 5000 });

  const { eventId, taskId } = await client.log({ input: "Hello", output: "Hi" });
  await client.feedback({ eventId, score: 1, comment: "Great" });
  await client.userFeedback({ taskId, flag: "failure", source: "reviewer", notes: "Wrong" });
  await client.flush();

  const path = `/api/v1/events/${eventId}/feedback`;
  assert.deepEqual(
    server.requests.map((request) => request.path),
    ["/api/v1/events/batch", path, path],
  );
  assert.deepEqual(
    server.feedback.map(([, body]) => body),
    [
      { score: 1, comment: "Great" },
      { flag: "failure", notes: "Wrong", source: "reviewer" },
    ],
  );
});

test("a label is sent after its log, and retried until its task is stored", async () => {
  let refused = 0;
  server.script = ({ path }) => {
    if (!path.endsWith("/labels") || refused === 2) return undefined;
    refused += 1;
    return refusal(404, {}, "unknown_task");
  };
  const client = make({ tick: 5000 });

  const { taskId } = await client.log({ input: "Hello" });
  await client.confirmEvent({ taskId, name: "greeting", comment: "Clearly" });
  await client.rejectEvent({ taskId, name: "refund" });
  await client.clearEvent({ taskId, name: "refund" });
  assert.ok((await client.flush()).isComplete);

  const [batch, ...labels] = server.requests;
  assert.equal(batch.path, "/api/v1/events/batch");
  assert.deepEqual(
    labels.map(({ path, document }) => [path, document]),
    [
      { event: "greeting", task_id: taskId, label: "confirmed", comment: "Clearly" },
      { event: "refund", task_id: taskId, label: "rejected" },
      { event: "refund", task_id: taskId, label: "" },
    ].map((label) => ["/api/v1/labels", { labels: [label] }]),
  );
  assert.equal(client.stats().retried.unknown_task, 2);
});

test("a label that the server refuses is let go, and says why", async () => {
  server.script = ({ path }) => (path.endsWith("/labels") ? refusal(404) : undefined);
  const client = make();

  await client.confirmEvent({ taskId: "t", name: "nobody defined this" });

  const [{ reason }] = (await client.flush()).rejected;
  assert.match(reason, /what happened/);
  assert.deepEqual(client.stats().dropped, { "rejected:http_404": 1 });
});

test("feedback waits for its log, and keeps its idempotency key", async () => {
  const seen = [];
  server.script = ({ path, headers }) => {
    seen.push([path.split("/").at(-1), headers["idempotency-key"]]);
    return seen.length === 1 || seen.length === 3 ? refusal(503) : undefined;
  };
  const client = make();

  const { eventId } = await client.log({ input: "Hello" });
  await client.feedback({ eventId, score: 0 });
  assert.ok((await client.flush()).isComplete);

  const key = seen[2][1];
  assert.ok(key);
  assert.deepEqual(seen, [
    ["batch", undefined],
    ["batch", undefined],
    ["feedback", key],
    ["feedback", key],
  ]);
});

for (const status of [408, 425, 429, 500, 502, 503, 504]) {
  test(`a ${status} is sent again under the same id`, async () => {
    const seen = [];
    server.script = ({ document }) => {
      seen.push(document.events.map(({ task_id }) => task_id));
      return seen.length <= 2 ? refusal(status) : undefined;
    };
    const client = make();

    const { taskId } = await client.log({ input: "Hello" });
    const { sent } = await client.flush();

    assert.deepEqual(sent, [taskId]);
    assert.deepEqual(seen, [[taskId], [taskId], [taskId]]);
    assert.deepEqual(client.stats().retried, { [`http_${status}`]: 2 });
  });
}

for (const retryAfter of ["300", new Date(Date.now() + 300_000).toUTCString()]) {
  test(`Retry-After is kept during flush: ${retryAfter.length} characters`, async () => {
    server.script = () => refusal(429, { "Retry-After": retryAfter });
    const client = make();

    const { taskId } = await client.log({ input: "Hello" });
    void client.flush(100);
    await until(() => client.stats().retried.http_429 === 1, "the first attempt");
    const second = await client.flush(100);

    assert.deepEqual(second.pending, [taskId]);
    assert.deepEqual(client.stats().retried, { http_429: 1 });
  });
}

test("a backoff that nobody asked for ends with a flush", async () => {
  server.script = () => refusal(503);
  const client = make({ retry: { initialMs: 60_000, maxMs: 60_000 } });
  client.log({ input: "Hello" });
  await until(() => client.stats().retried.http_503 === 1, "the first attempt");

  server.script = () => undefined;
  assert.ok((await client.flush()).isComplete);
});

for (const status of [302, 401, 403, 404, 410]) {
  test(`a ${status} is final for the event, and later logs arrive`, async () => {
    server.script = () => refusal(status);
    const client = make();

    const { taskId } = await client.log({ input: "refused" });
    const first = await client.flush();
    server.script = () => undefined;
    const later = await client.log({ input: "later" });
    const second = await client.flush();

    const reason = `http_${status}: some_code: what happened. What to do`;
    assert.deepEqual(first, { sent: [], rejected: [{ id: taskId, reason }], pending: [], isComplete: false });
    assert.deepEqual(second.sent, [later.taskId]);
    assert.deepEqual(client.stats().dropped, { [`rejected:http_${status}`]: 1 });
  });
}

for (const status of [400, 413, 422]) {
  test(`one bad event does not take its batch with it: ${status}`, async () => {
    server.script = ({ document }) =>
      document.events.some(({ input }) => input === "bad") ? refusal(status) : undefined;
    const client = make({ tick: 5000 });

    const logs = [];
    for (let n = 0; n < 8; n++) logs.push(await client.log({ input: n === 3 ? "bad" : `good ${n}` }));
    const { rejected, sent } = await client.flush();

    assert.deepEqual(
      rejected.map(({ id }) => id),
      [logs[3].taskId],
    );
    assert.equal(sent.length, 7);
    assert.equal(server.logs.length, 7);
  });
}

test("rejected events are reported with their reason", async () => {
  const error = { code: "invalid_input", message: "empty", hint: "say something" };
  server.script = () => ({ body: { results: [{ status: "accepted" }, { status: "rejected", error }] } });
  const client = make({ tick: 5000 });

  const [good, bad] = [await client.log({ input: "good" }), await client.log({ input: "" })];
  const { sent, rejected } = await client.flush();

  assert.deepEqual(sent, [good.taskId]);
  assert.deepEqual(rejected, [{ id: bad.taskId, reason: "invalid_input: empty. Say something" }]);
});

test("a page of a proxy is no receipt", async () => {
  const answers = ["<html>Please log in to the hotel network</html>", "{}", "null"];
  server.script = () => (answers.length > 0 ? { body: answers.pop() } : undefined);
  const client = make();

  client.log({ input: "Hello" });

  assert.ok((await client.flush()).isComplete);
  assert.deepEqual(client.stats().retried, { bad_answer: 3 });
});

test("an event that causes 500 holds up no other", async () => {
  server.script = ({ document }) =>
    document.events.some(({ input }) => input === "bad") ? refusal(500) : undefined;
  const client = make({ tick: 5 });

  for (let n = 0; n < 6; n++) client.log({ input: n === 2 ? "bad" : `good ${n}` });
  const flushing = client.flush(30_000);
  await until(() => server.logs.length === 5, "the good ones");
  client.log({ input: "later" });
  await until(() => server.logs.length === 6, "the one that came later");

  await until(() => client.stats().queued === 1, "all receipts but one");
  server.script = () => undefined;
  assert.ok((await flushing).isComplete);
});

test("an answer without end is read to a bound", async () => {
  let read = 0;
  const body = () =>
    new ReadableStream({
      pull(controller) {
        read += 1024 * 1024;
        controller.enqueue(new Uint8Array(1024 * 1024).fill(32));
      },
    });
  const answers = [() => new Response(body()), () => Response.json({ results: [{ status: "accepted" }] })];
  const client = make({ fetch: async () => answers.shift()() });

  client.log({ input: "Hello" });

  assert.ok((await client.flush()).isComplete);
  assert.deepEqual(client.stats().retried, { bad_answer: 1 });
  assert.ok(read < 10 * 1024 * 1024);
});

test("a tick of any length is none too long", async () => {
  const client = make({ tick: Infinity });

  client.log({ input: "Hello" });
  await new Promise((resolve) => setTimeout(resolve, 50));

  assert.equal(client.stats().queued, 1);
});

test("a server that is away is tried until it is back", async () => {
  const client = make({ baseUrl: "http://127.0.0.1:1" });

  const { taskId } = await client.log({ input: "Hello" });
  await until(() => client.stats().retried.no_answer >= 2, "two attempts");

  assert.deepEqual((await client.flush(0)).pending, [taskId]);
});

test("a server that hangs is waited for within the bound", async () => {
  let release;
  server.script = () =>
    new Promise((resolve) => {
      release = resolve;
    });
  const client = make({ requestTimeoutMs: 50 });

  const { taskId } = await client.log({ input: "Hello" });
  await until(() => client.stats().retried.no_answer >= 1, "the timeout");
  server.script = () => undefined;
  release();

  assert.deepEqual((await client.flush()).sent, [taskId]);
});

test("batches are bounded by count, and keep their order", async () => {
  const client = make({ tick: 5000, limits: { batchEvents: 10 } });

  for (let n = 0; n < 35; n++) client.log({ input: String(n) });
  await client.flush();

  assert.deepEqual(
    server.requests.map(({ document }) => document.events.length),
    [10, 10, 10, 5],
  );
  assert.deepEqual(
    server.logs.map(({ input }) => Number(input)),
    Array.from({ length: 35 }, (_, n) => n),
  );
});

test("batches are bounded by bytes", async () => {
  const client = make({ tick: 5000, limits: { batchBytes: 25_000 } });

  for (let n = 0; n < 6; n++) client.log({ input: "x".repeat(5000) });
  await client.flush();

  assert.deepEqual(
    server.requests.map(({ document }) => document.events.length),
    [2, 2, 2],
  );
});

test("a full batch does not wait for the tick", async () => {
  const client = make({ tick: 60_000, limits: { batchEvents: 3 } });

  for (let n = 0; n < 4; n++) client.log({ input: String(n) });

  await until(() => server.logs.length === 3, "the full batch");
  await until(() => client.stats().queued === 1, "its receipt");
});

test("a full queue refuses the new event and keeps the others", async () => {
  const client = make({ tick: 60_000, limits: { queueEvents: 3 } });

  for (let n = 0; n < 5; n++) client.log({ input: String(n) });
  client.log({ input: "promised", output: Promise.resolve("too late") });
  await client.flush();

  assert.deepEqual(
    server.logs.map(({ input }) => input),
    ["0", "1", "2"],
  );
  assert.deepEqual(client.stats().dropped, { queue_full: 3 });
  client.log({ input: "again" });
  assert.ok((await client.flush()).isComplete);
});

test("the queue is bounded by bytes; what is in flight counts", async () => {
  const client = make({ tick: 60_000, limits: { queueBytes: 10_000 } });

  for (let n = 0; n < 5; n++) client.log({ input: "x".repeat(2000) });

  assert.deepEqual(client.stats().dropped, { queue_full: 3 });
});

test("a large event is sent without its raw fields, or refused", async () => {
  const client = make({ limits: { eventBytes: 2000 } });

  client.log({ input: { prompt: "short", rest: "x".repeat(3000) } });
  client.log({ input: "x".repeat(3000) });
  client.log({ input: "promised", output: Promise.resolve({ response: "short", rest: "x".repeat(3000) }) });
  client.log({ input: "promised", output: Promise.resolve("x".repeat(3000)) });
  const result = await client.flush();

  assert.deepEqual(
    server.logs.map(({ input, output, raw_input }) => [input, output, raw_input]),
    [
      ["short", null, null],
      ["promised", "short", null],
    ],
  );
  const { dropped, truncated, queued } = client.stats();
  assert.deepEqual([dropped, truncated, queued], [{ too_large: 2 }, 4, 0]);
  assert.equal(result.rejected.length, 1);
});

for (const suffix of ["", "/", "/v2", "/v3/", "/api/v1"]) {
  test(`the base URL suffix of another client is removed: "${suffix}"`, async () => {
    const client = make({ baseUrl: server.url + suffix });

    client.log({ input: "Hello" });

    assert.ok((await client.flush()).isComplete);
    assert.equal(server.requests[0].path, "/api/v1/events/batch");
  });
}

test("a transport that throws, or answers nonsense, is tried again", async () => {
  const answers = [
    () => {
      throw new Error("mine");
    },
    () => [],
    () => [undefined],
    () => [{ status: "accepted" }],
  ];
  const client = make({ transport: { send: async () => answers.shift()() } });

  client.log({ input: "Hello" });

  assert.ok((await client.flush()).isComplete);
  assert.deepEqual(client.stats().errors, { transport: 3 });
});

test("onWarning gets each warning once; its errors are counted", async () => {
  const warnings = [];
  server.script = () => refusal(401);
  const client = make({ onWarning: (text) => warnings.push(text) });
  const hostile = make({
    onWarning: () => {
      throw new Error("mine");
    },
  });

  for (const each of [client, client, hostile]) {
    each.log({ input: "Hello" });
    await each.flush();
  }

  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /^phospho: \S+ refuses the API key \(401\)/);
  assert.equal(hostile.stats().errors.onWarning, 1);
});

test("the recording transport rehearses refusals", async () => {
  const transport = new RecordingTransport(({ content }) =>
    content.input === "bad"
      ? { status: "rejected", code: "mine", message: "no" }
      : { status: "accepted", code: "", message: "" },
  );
  const client = make({ transport });

  client.log({ input: "bad" });
  client.log({ input: "good" });
  const { rejected } = await client.flush();

  assert.deepEqual([rejected[0].reason, transport.logs.length, transport.attempts], ["mine: no", 1, 1]);
  transport.clear();
  assert.deepEqual([transport.logs.length, transport.attempts], [0, 0]);
});

test("after shutdown nothing is taken, and nothing throws", async () => {
  const client = make();
  client.log({ input: "before" });

  assert.ok((await client.shutdown()).isComplete);
  await client.log({ input: "after" });
  await client.feedback({ eventId: "e", score: 1 });

  assert.deepEqual(client.stats().dropped, { closed: 2 });
  assert.ok((await client.shutdown()).isComplete);
  assert.equal(server.logs.length, 1);
});

test("shutdown aborts a hanging request and returns the pending ids", async () => {
  server.script = () => new Promise(() => {});
  const client = make();
  client.log({ input: "Hello" });
  const began = performance.now();

  const { pending } = await client.shutdown(100);

  assert.equal(pending.length, 1);
  assert.ok(performance.now() - began < 2000);
});

test("a later flush repeats an attempt lost with its edge request", async () => {
  let calls = 0;
  const transport = {
    // The first promise never settles, as those of a request that has ended.
    send: (events) => {
      calls += 1;
      return calls === 1
        ? new Promise(() => {})
        : Promise.resolve(events.map(() => ({ status: "accepted" })));
    },
  };
  const client = make({ transport, requestTimeoutMs: 20 });
  const { taskId } = await client.log({ input: "Hello" });

  assert.deepEqual((await client.flush(30)).pending, [taskId]);
  await new Promise((resolve) => setTimeout(resolve, 20));

  assert.deepEqual((await client.flush(1000)).sent, [taskId]);
  assert.equal(calls, 2);
});

test("a late answer of a lost attempt disturbs nothing", async () => {
  const answers = [];
  const send = (events) =>
    new Promise((resolve) => answers.push((status) => resolve(events.map(() => ({ status })))));
  const client = make({ transport: { send }, requestTimeoutMs: 500 });
  client.log({ input: "Hello" });
  await until(() => answers.length === 1, "the first attempt");
  const flushing = client.flush(20_000);
  await until(() => answers.length === 2, "the attempt that takes its place");

  answers[0]("retry");
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(client.stats().sent, 0);
  for (const answer of answers.slice(1)) answer("accepted");

  assert.equal((await flushing).sent.length, 1);
  assert.deepEqual([client.stats().sent, client.stats().queued], [1, 0]);
  assert.equal(answers.length, 2);
});

test("each request of an attempt restarts its timeout", async () => {
  server.script = () => new Promise((resolve) => setTimeout(resolve, 30));
  const client = make({ requestTimeoutMs: 400 });

  for (let n = 0; n < 60; n++) await client.feedback({ eventId: String(n), score: 1 });
  const flushing = client.flush(20_000);
  await until(() => server.requests.length >= 5, "the attempt has begun");
  const { taskId } = await client.log({ input: "later" });

  assert.ok((await client.flush(20_000)).sent.includes(taskId));
  assert.ok((await flushing).isComplete);
  assert.deepEqual([server.feedback.length, new Set(server.feedback.map(([path]) => path)).size], [60, 60]);
  assert.deepEqual(client.stats().retried, {});
});

test("events settled before an attempt was lost are not sent again", async () => {
  const sent = [];
  const transport = {
    // Three failures split the batch in halves; of these the first arrives, and the second is lost at first.
    send: async (events) => {
      sent.push(events.map(({ content }) => content.input));
      if (sent.length <= 3) throw new Error("mine");
      return sent.length === 5 ? new Promise(() => {}) : events.map(() => ({ status: "accepted" }));
    },
  };
  const client = make({ transport, requestTimeoutMs: 50 });
  for (const input of ["a", "b"]) client.log({ input });
  await until(() => sent.length === 5, "the attempt that is lost");

  assert.ok((await client.flush(20_000)).isComplete);

  assert.deepEqual(sent, [["a", "b"], ["a", "b"], ["a", "b"], ["a"], ["b"], ["b"]]);
  assert.equal(client.stats().sent, 2);
});

test("a lost attempt that continues makes no more requests", async () => {
  const attempts = [];
  const send = (events, mayGoOn) =>
    new Promise((resolve) => {
      const answer = (status) => resolve(events.map(() => ({ status })));
      attempts.push({ answer, mayGoOn });
    });
  const client = make({ transport: { send }, requestTimeoutMs: 500 });
  client.log({ input: "Hello" });
  await until(() => attempts.length === 1, "the first attempt");
  assert.ok(attempts[0].mayGoOn());
  const flushing = client.flush(20_000);
  await until(() => attempts.length === 2, "the attempt that takes its place");

  assert.deepEqual(
    attempts.map(({ mayGoOn }) => mayGoOn()),
    [false, true],
  );
  for (const { answer } of attempts) answer("accepted");
  assert.ok((await flushing).isComplete);
});

test("two clients do not meet", async () => {
  const [first, second] = [make({ projectId: "one" }), make({ projectId: "two" })];

  first.log({ input: "a" });
  second.log({ input: "b" });
  await Promise.all([first.flush(), second.flush()]);

  assert.deepEqual(server.logs.map(({ input, project_id }) => [input, project_id]).sort(), [
    ["a", "one"],
    ["b", "two"],
  ]);
});

test("10,000 logs at once arrive once each", async () => {
  const client = make();

  for (let n = 0; n < 10_000; n++) client.log({ input: String(n), output: "ok" });
  assert.ok((await client.flush(20_000)).isComplete);

  assert.equal(new Set(server.logs.map(({ task_id }) => task_id)).size, 10_000);
  assert.equal(server.logs.length, 10_000);
});
