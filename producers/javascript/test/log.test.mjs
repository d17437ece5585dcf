// Arguments and results of `log`, by the class and the object.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { ConfigError, Phospho, phospho, RecordingTransport } from "phospho-sdk";
import { until } from "./support/until.mjs";

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const NAMES = ["PHOSPHO_API_KEY", "PHOSPHO_PROJECT_ID", "PHOSPHO_BASE_URL"];

let transport;
const unhandled = [];
process.on("unhandledRejection", (error) => unhandled.push(error));

beforeEach(() => {
  for (const name of NAMES) delete process.env[name];
  transport = new RecordingTransport();
  phospho.init({ transport });
});

afterEach(async () => {
  for (const name of NAMES) delete process.env[name];
  await phospho.shutdown(100);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled.splice(0), []);
});

async function sent() {
  assert.ok((await phospho.flush()).isComplete);
  return transport.logs;
}

test("the content says what is sent, and the ids under both names", async () => {
  const logged = await phospho.log({
    input: "Hello",
    output: "Hi!",
    sessionId: "s",
    userId: "u",
    versionId: "v",
  });

  assert.match(logged.eventId, UUID7);
  assert.equal(logged.eventId, logged.task_id);
  assert.equal(logged.eventId, logged.event_id);
  assert.equal(logged.taskId, logged.task_id);
  assert.equal(logged.sessionId, "s");
  assert.deepEqual([logged.input, logged.output], ["Hello", "Hi!"]);
  assert.deepEqual([logged.raw_input, logged.raw_output], ["Hello", "Hi!"]);
  const [event] = await sent();
  assert.equal(event.task_id, logged.eventId);
  assert.deepEqual([event.session_id, event.user_id, event.version_id], ["s", "u", "v"]);
  assert.deepEqual([phospho.latestTaskId, phospho.latestSessionId], [logged.taskId, "s"]);
});

test("an object inside itself, or with every field, is followed a few steps", async () => {
  const knot = { type: "tool_result" };
  Object.assign(knot, { function: knot, content: [knot, knot] });
  const endless = new Proxy({}, { get: (_, name) => (typeof name === "string" ? endless : undefined) });

  phospho.log({ input: [{ role: "user", content: [knot] }] });
  phospho.log({ input: [{ role: "assistant", tool_calls: [endless] }] });

  const events = await sent();
  assert.equal(events.length, 2);
  assert.equal(events[0].input, "");
});

test("ids sort by the time of their making", async () => {
  const first = phospho.newTask();
  await new Promise((resolve) => setTimeout(resolve, 2));

  assert.ok(first < phospho.newTask());
  assert.match(phospho.newSession(), UUID7);
});

test("ids sort in order, within a millisecond and when the clock steps back", (context) => {
  let nowMs = Date.now() + 1000;
  context.mock.method(Date, "now", () => nowMs);

  const ids = Array.from({ length: 5000 }, () => phospho.newTask());
  nowMs -= 500;
  ids.push(phospho.newTask());

  assert.deepEqual(ids, [...ids].sort());
  assert.equal(new Set(ids).size, ids.length);
  assert.match(ids[4999], UUID7);
});

test("the client's defaults are sent with each log", async () => {
  phospho.init({ transport, projectId: "my-project", versionId: "v1" });

  phospho.log({ input: "Hello" });

  const [event] = await sent();
  assert.deepEqual([event.project_id, event.version_id], ["my-project", "v1"]);
});

test("options have the names of JavaScript, Python and REST", async () => {
  phospho.log({ input: "Hello", session_id: "s", task_id: "t", user_id: 7, raw_input: { a: 1 } });
  phospho.log({ input: "Hello", systemPrompt: "Be brief.", tokensIn: 3, tokensOut: 4, latencyMs: 5 });

  const [first, second] = await sent();
  assert.deepEqual([first.session_id, first.task_id, first.user_id], ["s", "t", "7"]);
  assert.deepEqual(first.raw_input, { a: 1 });
  assert.equal(second.system_prompt, "Be brief.");
  assert.deepEqual([second.tokens_in, second.tokens_out, second.latency_ms], [3, 4, 5]);
});

test("an empty id is none: tasks that have none are not merged", async () => {
  phospho.init({ transport, versionId: "v1" });

  const logged = [1, 2].map((n) =>
    phospho.log({ input: String(n), taskId: "", sessionId: "", userId: "", version_id: "" }),
  );

  const ids = (await Promise.all(logged)).flatMap(({ taskId, sessionId }) => [taskId, sessionId]);
  for (const id of ids) assert.match(id, UUID7);
  assert.equal(new Set(ids).size, 4);
  const events = await sent();
  assert.deepEqual(
    events.map(({ input, version_id, user_id }) => [input, version_id, user_id]),
    [
      ["1", "v1", undefined],
      ["2", "v1", undefined],
    ],
  );
});

test("a log may say when it was; what is no time is metadata", async () => {
  phospho.log({ input: "a", client_created_at: new Date(1_600_000_000_500) });
  phospho.log({ input: "b", client_created_at: new Date(Number.NaN) });
  phospho.log({ input: "c", client_created_at: true, metadata: { n: 1 } });

  const [dated, ...undated] = await sent();
  assert.deepEqual([dated.client_created_at, dated.metadata], [1_600_000_000.5, undefined]);
  for (const event of undated) assert.equal(typeof event.client_created_at, "number");
  assert.deepEqual(
    undated.map(({ metadata }) => metadata),
    [{ client_created_at: null }, { client_created_at: true, n: 1 }],
  );
});

test("every other key and all metadata are sent as they are spelt", async () => {
  phospho.log({
    input: "a",
    metadata: { latencyMs: 8, n: null },
    anyThing: 1,
    left_out: undefined,
    nor: null,
  });

  const [event] = await sent();
  assert.deepEqual(event.metadata, { latencyMs: 8, n: null });
  assert.equal(event.anyThing, 1);
  assert.ok(!("left_out" in event) && !("nor" in event));
});

test("the snapshot does not follow later changes", async () => {
  const messages = [{ role: "user", content: "first" }];

  phospho.log({ input: messages });
  messages.push({ role: "user", content: "second" });

  assert.deepEqual((await sent())[0].raw_input, [{ role: "user", content: "first" }]);
});

test("values of JavaScript become plain values", async () => {
  class Point {
    x = 1;
    #hidden = 2;
    method() {
      return this.#hidden;
    }
  }
  const cycle = { name: "cycle" };
  cycle.self = cycle;
  const values = {
    date: new Date(0),
    point: new Point(),
    map: new Map([["a", 1]]),
    set: new Set([1, 2]),
    bytes: new TextEncoder().encode('{"a":1}'),
    floats: new Float32Array([0.5, 1]),
    big: 2n ** 60n,
    huge: 2n ** 70n,
    nan: Number.NaN,
    infinite: -Infinity,
    url: new URL("http://localhost/a"),
    error: new RangeError("too far"),
    regex: /a+/,
    boxed: new String("text"),
    nothing: undefined,
    fn: () => 1,
    symbol: Symbol("s"),
    list: [undefined, () => 1],
    cycle,
    thrower: {
      get field() {
        throw new Error("no");
      },
      kept: 1,
    },
    hostile: {
      toJSON() {
        throw new Error("no");
      },
    },
  };

  phospho.log({ input: "a", values });

  const [event] = await sent();
  assert.deepEqual(event.values, {
    date: "1970-01-01T00:00:00.000Z",
    point: { x: 1 },
    map: { a: 1 },
    set: [1, 2],
    bytes: { a: 1 },
    floats: [0.5, 1],
    big: 2n ** 60n,
    huge: "1180591620717411303424",
    nan: "nan",
    infinite: "-inf",
    url: "http://localhost/a",
    error: "RangeError: too far",
    regex: "/a+/",
    boxed: "text",
    list: [null, "<function >"],
    cycle: { name: "cycle", self: "<cycle>" },
    thrower: { kept: 1 },
    hostile: "<object>",
  });
});

test("a graph whose nodes know each other is cut", async () => {
  const nodes = Array.from({ length: 40 }, () => ({ others: [] }));
  for (const node of nodes) node.others = [...nodes];

  phospho.log({ input: "a", graph: nodes });

  assert.match(JSON.stringify((await sent())[0].graph), /<cut>/);
});

test("functions of the app return the texts; one that throws is counted", async () => {
  const thrower = () => {
    throw new Error("mine");
  };
  await phospho.log({
    input: { q: "why?" },
    output: { a: 42 },
    inputToStrFunction: (x) => x.q,
    outputToStrFunction: (x) => x.a,
  });
  await phospho.log({
    input: { question: "why?" },
    inputToStrFunction: thrower,
    inputOutputToUsageFunction: thrower,
  });
  await phospho.log({
    input: "a",
    output: "b",
    inputOutputToUsageFunction: (i, o) => ({ total_tokens: i.length + o.length }),
  });

  const [first, second, third] = await sent();
  assert.deepEqual([first.input, first.output], ["why?", "42"]);
  assert.equal(second.input, "why?");
  assert.equal(third.total_tokens, 2);
  assert.deepEqual(phospho.stats().errors, { inputToStrFunction: 1, inputOutputToUsageFunction: 1 });
});

test("a waiting task that is logged again is one task with the last text", async () => {
  await phospho.log({ taskId: "again", input: "a", output: "Hello!", metadata: { plan: "pro" } });
  await phospho.log({ taskId: "again", input: "a", output: "Hello!" });
  await phospho.log({ taskId: "corrected", input: "a", output: "Hel" });
  await phospho.log({ taskId: "corrected", input: "a", output: "Hello" });

  const outputs = (await sent()).map((event) => [event.task_id, event.output, event.metadata]);
  assert.deepEqual(outputs, [
    ["again", "Hello!", { plan: "pro" }],
    ["corrected", "Hello", undefined],
  ]);
});

test("promises of input and output are waited for, also by flush", async () => {
  const response = { choices: [{ message: { role: "assistant", content: "Hello!" } }], model: "gpt" };
  const later = new Promise((resolve) => setTimeout(() => resolve(response), 30));

  const logging = phospho.log({
    input: Promise.resolve({ messages: [{ role: "user", content: "Hi" }] }),
    output: later,
  });

  const [event] = await sent();
  assert.deepEqual([event.input, event.output, event.model], ["Hi", "Hello!", "gpt"]);
  assert.equal((await logging).output, "Hello!");
  assert.equal((await logging).eventId, event.task_id);
});

test("a thenable that is no promise is waited for too", async () => {
  // biome-ignore lint/suspicious/noThenProperty: it is what is tested
  phospho.log({ input: "a", output: { then: (resolve) => resolve("from a thenable") } });

  assert.equal((await sent())[0].output, "from a thenable");
});

test("a rejected output is logged as an error, and the app handles it", async () => {
  const output = Promise.reject(new TypeError("no answer"));

  const logging = phospho.log({ input: "Hello", output });

  await assert.rejects(output, /no answer/);
  assert.equal((await logging).output, null);
  const [event] = await sent();
  assert.deepEqual([event.input, event.output, event.error], ["Hello", null, "TypeError: no answer"]);
});

test("flush waits for a pending promise; shutdown sends its input", async () => {
  await Promise.race([phospho.log({ input: "Hello", output: new Promise(() => {}) }), null]);

  const flushed = await phospho.flush(30);
  assert.equal(flushed.pending.length, 1);
  await phospho.shutdown();
  assert.deepEqual([transport.logs[0].input, transport.logs[0].output], ["Hello", null]);
});

test("nothing that is passed to log makes it throw or reject", async () => {
  const hostile = new Proxy(
    {},
    {
      get: () => {
        throw new Error("no");
      },
      ownKeys: () => {
        throw new Error("no");
      },
    },
  );
  const notEntries = [undefined, null, 3, "text", {}, { output: "a" }, hostile];
  const entries = [
    { input: Symbol("s") },
    { input: hostile },
    { input: 1n, output: hostile, metadata: hostile },
  ];

  for (const entry of [...notEntries, ...entries]) assert.match((await phospho.log(entry)).eventId, UUID7);
  for (const junk of [
    undefined,
    null,
    {},
    { eventId: 1 },
    { eventId: "e", score: 2 },
    { eventId: "e", score: null },
  ]) {
    await phospho.feedback(junk);
    await phospho.userFeedback(junk);
    await phospho.confirmEvent(junk);
    await phospho.rejectEvent(junk);
    await phospho.clearEvent(junk);
  }

  await phospho.flush();
  const { sent, dropped } = phospho.stats();
  assert.deepEqual([sent, dropped.invalid], [entries.length, notEntries.length + 30]);
  assert.equal(transport.feedback.length, 0);
});

test("a getter that throws does not reject feedback", async () => {
  const hostile = {
    get eventId() {
      throw new Error("mine");
    },
    get taskId() {
      throw new Error("mine");
    },
  };

  await phospho.feedback(hostile);
  await phospho.userFeedback(hostile);

  assert.deepEqual(phospho.stats().errors, { feedback: 1, userFeedback: 1 });
});

test("a base URL of any number of slashes is read", async () => {
  const urls = [];
  const fetch = async (url) => {
    urls.push(url);
    return Response.json({ results: [{ status: "accepted" }] });
  };
  const slashes = "/".repeat(100_000);
  const client = new Phospho({ fetch, baseUrl: `http://127.0.0.1:1/v2${slashes}` });

  client.log({ input: "Hello" });

  assert.ok((await client.flush()).isComplete);
  assert.deepEqual(urls, ["http://127.0.0.1:1/api/v1/events/batch"]);
});

test("confirmEvent, rejectEvent and clearEvent", async () => {
  await phospho.confirmEvent({ taskId: "t1", name: "refund", comment: "Clearly" });
  await phospho.rejectEvent({ taskId: "t1", name: "greeting" });
  await phospho.clearEvent({ taskId: "t1", name: "greeting" });

  assert.ok((await phospho.flush()).isComplete);
  assert.deepEqual(transport.labels, [
    { event: "refund", task_id: "t1", label: "confirmed", comment: "Clearly" },
    { event: "greeting", task_id: "t1", label: "rejected" },
    { event: "greeting", task_id: "t1", label: "" },
  ]);
});

test("feedback and userFeedback", async () => {
  await phospho.feedback({ eventId: "t1", score: 1, comment: "Great" });
  await phospho.feedback({ eventId: "t2", score: false });
  await phospho.userFeedback({ taskId: "t3", flag: "failure", notes: "Wrong", source: "reviewer" });
  await phospho.userFeedback({ taskId: "t4", rawFlag: "👍" });
  await phospho.userFeedback({
    taskId: "t5",
    rawFlag: 3,
    rawFlagToFlag: (stars) => (stars > 3 ? "success" : "failure"),
  });
  await phospho.userFeedback({
    taskId: "t6",
    rawFlag: 3,
    rawFlagToFlag: () => {
      throw new Error("mine");
    },
  });

  await phospho.flush();
  const told = transport.feedback.map(({ task_id, score, flag, comment, source }) => [
    task_id,
    score ?? flag,
    comment,
    source,
  ]);
  assert.deepEqual(told, [
    ["t1", 1, "Great", undefined],
    ["t2", 0, undefined, undefined],
    ["t3", "failure", "Wrong", "reviewer"],
    ["t4", "success", undefined, "user"],
    ["t5", "failure", undefined, "user"],
  ]);
  assert.deepEqual(phospho.stats().errors, { rawFlagToFlag: 1 });
});

test("the functions of class and object work when detached", async () => {
  const mine = new RecordingTransport();
  const client = new Phospho({ apiKey: "ph_your_api_key", transport: mine });

  const result = await client.log({ input: "a", output: "b", sessionId: "sess_123" });
  await client.feedback({ eventId: result.eventId, score: 1 });
  assert.ok((await client.flush()).isComplete);

  assert.deepEqual([mine.logs.length, mine.feedback.length, transport.logs.length], [1, 1, 0]);
  const { log, newSession, flush, wrap, stats } = phospho;
  await log({ input: "a", sessionId: newSession() });
  assert.equal(wrap(() => 1)(), 1);
  await flush();
  assert.equal(stats().sent, 2);
});

test("init throws for what cannot work, and never shows the key", () => {
  for (const options of [
    { baseUrl: "localhost" },
    { apiKey: "ph key\n1" },
    { tick: -1 },
    { requestTimeoutMs: Number.NaN },
    { limits: { queueEvents: "10" } },
    { retry: { initialMs: -1 } },
  ]) {
    assert.throws(
      () => phospho.init(options),
      (error) => error instanceof ConfigError && !error.message.includes("ph key"),
    );
  }
});

test("init takes the environment for what it is not told", async () => {
  const urls = [];
  const fetch = async (url, { headers }) => {
    urls.push([url, headers.Authorization]);
    return Response.json({ results: [{ status: "accepted" }] });
  };
  process.env.PHOSPHO_BASE_URL = "http://127.0.0.1:9/v2/";
  process.env.PHOSPHO_PROJECT_ID = "from-environment";
  phospho.init({ fetch });
  process.env.PHOSPHO_API_KEY = "ph_loaded_late";

  const logged = await phospho.log({ input: "a" });
  await phospho.flush();

  assert.equal(logged.project_id, "from-environment");
  assert.deepEqual(urls, [["http://127.0.0.1:9/api/v1/events/batch", "Bearer ph_loaded_late"]]);
});

test("the default address is that of a local server", async () => {
  let address;
  const fetch = async (url) => {
    address = url;
    return Response.json({ results: [{ status: "accepted" }] });
  };
  const client = new Phospho({ apiKey: "ph_key", fetch });

  client.log({ input: "a" });
  await client.flush();

  assert.equal(address, "http://127.0.0.1:8420/api/v1/events/batch");
});

test("init again sends what the client before still holds", async () => {
  const later = new RecordingTransport();
  phospho.log({ input: "to the first" });

  phospho.init({ transport: later });
  phospho.log({ input: "to the second" });
  await phospho.flush();

  assert.deepEqual(
    later.logs.map(({ input }) => input),
    ["to the second"],
  );
  await until(() => transport.logs.length > 0, "the log");
  assert.deepEqual(
    transport.logs.map(({ input }) => input),
    ["to the first"],
  );
});

test("times in any unit are the time of the task", async () => {
  const time = new Date("2026-03-01T12:00:00.500Z");
  const ms = time.getTime();
  const times = [time, ms, ms / 1000, ms * 1000, BigInt(ms) * 1_000_000n, String(ms), time.toISOString()];
  times.push("2026-03-01 12:00:00.5", "2026-03-01T13:00:00.5+01:00");
  for (const client_created_at of times) phospho.log({ input: "x", client_created_at });
  phospho.log({ input: "x", createdAt: ms });

  const events = await sent();

  assert.deepEqual(
    events.map((event) => event.client_created_at),
    Array(times.length + 1).fill(ms / 1000),
  );
  assert.deepEqual(phospho.stats().errors, {});
});

test("a time that is none is metadata, and warned of", async () => {
  const warnings = [];
  phospho.init({ transport, onWarning: (text) => warnings.push(text) });
  phospho.log({ input: "x", createdAt: "soon", client_created_at: new Date(Number.NaN) });

  const [event] = await sent();

  assert.equal(event.metadata.created_at, "soon");
  assert.ok(event.client_created_at > 1e9);
  assert.deepEqual(
    warnings.map((text) => text.split(",")[0]),
    ["phospho: created_at is no time", "phospho: client_created_at is no time"],
  );
});

test("media are described, and their bytes left out", async () => {
  const data = "iVBORw0KGgo".repeat(1000);
  const image_url = { url: `data:image/png;base64,${data}` };
  const content = [
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url },
  ];

  phospho.log({ input: [{ role: "user", content }], output: "A map." });

  const [event] = await sent();
  assert.equal(event.input, "What is this?\n[image_url]");
  assert.equal(
    event.raw_input[0].content[1].image_url.url,
    `data:image/png;base64,<base64, ${(data.length * 3) / 4} bytes>`,
  );
});
