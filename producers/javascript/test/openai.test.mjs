// OpenAI's own client, wrapped: the app keeps every method of its promises and streams, and each answer is logged.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import OpenAI from "openai";
import { phospho, RecordingTransport } from "phospho-sdk";
import { until } from "./support/until.mjs";

const CHUNK = { id: "c", object: "chat.completion.chunk", created: 1, model: "gpt-4o" };
const delta = (content, finish_reason = null) => ({
  ...CHUNK,
  choices: [{ index: 0, delta: { role: "assistant", content }, finish_reason }],
});
const CHUNKS = [delta("Hel"), delta("lo!"), delta(undefined, "stop")];
const CALL = { index: 0, id: "t1", type: "function", function: { name: "weather", arguments: "{}" } };
const COMPLETED = {
  id: "r",
  object: "response",
  model: "gpt-4o",
  output: [{ type: "message", role: "assistant", content: [{ type: "output_text", text: "Hello!" }] }],
};
const EVENTS = [
  { type: "response.created", sequence_number: 0, response: { ...COMPLETED, output: [] } },
  { type: "response.completed", sequence_number: 1, response: COMPLETED },
];
const WHOLE = {
  id: "c",
  object: "chat.completion",
  created: 1,
  model: "gpt-4o",
  choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "Hello!" } }],
};

let transport;
let chunks;
const unhandled = [];
process.on("unhandledRejection", (error) => unhandled.push(error));

beforeEach(() => {
  transport = new RecordingTransport();
  phospho.init({ transport });
  chunks = CHUNKS;
});

afterEach(async () => {
  await phospho.shutdown(100);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled.splice(0), []);
});

async function fetch(_, { body }) {
  if (!JSON.parse(body).stream) return Response.json(WHOLE, { headers: { "x-request-id": "req_1" } });
  const lines = [...chunks.map((chunk) => JSON.stringify(chunk)), "[DONE]"];
  const text = lines.map((line) => `data: ${line}\n\n`).join("");
  return new Response(text, { headers: { "content-type": "text/event-stream" } });
}

const client = new OpenAI({ apiKey: "k", baseURL: "http://provider/v1", maxRetries: 0, fetch });
const create = phospho.wrap(client.chat.completions.create.bind(client.chat.completions));
const helper = phospho.wrap((body) => client.chat.completions.stream(body));
const responses = phospho.wrap((body) => client.responses.stream(body));
const ask = (more = {}) => ({ model: "gpt-4o", messages: [{ role: "user", content: "Say hello" }], ...more });

async function outputs() {
  assert.ok((await phospho.flush()).isComplete);
  return transport.logs.map(({ output }) => output);
}

async function read(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  return text;
}

test("asResponse leaves the body to the app, and logs what the app reads of it", async () => {
  const whole = await create(ask()).asResponse();
  const streamed = await create(ask({ stream: true })).asResponse();
  const unread = await create(ask()).asResponse();

  assert.deepEqual(await whole.json(), WHOLE);
  assert.match(await streamed.text(), /^data: \{.*\[DONE\]\n\n$/s);
  assert.deepEqual(await outputs(), ["Hello!", "Hello!"]);
  assert.equal(unread.bodyUsed, false);
});

for (const [name, read] of Object.entries({
  body: async ({ body }) => {
    for await (const _ of body);
  },
  "a response that passes it on": ({ body }) => new Response(body).text(),
  clone: (response) =>
    response
      .clone()
      .json()
      .catch(() => {}),
  arrayBuffer: (response) => response.arrayBuffer(),
  "a pipe that decodes it": async ({ body }) => {
    for await (const _ of body.pipeThrough(new TextDecoderStream()));
  },
})) {
  test(`asResponse logs a body that the app reads by ${name}`, async () => {
    await read(await create(ask()).asResponse());
    await read(await create(ask({ stream: true })).asResponse());

    assert.deepEqual(await outputs(), ["Hello!", "Hello!"]);
  });
}

test("a body of asResponse that breaks in the middle is logged with its error", async () => {
  const half = `data: ${JSON.stringify(delta("Hel"))}\n\n`;
  const broken = () =>
    new ReadableStream({
      pull(controller) {
        if (this.isHalf) controller.error(new TypeError("terminated"));
        else controller.enqueue(new TextEncoder().encode(half));
        this.isHalf = true;
      },
    });
  const client = new OpenAI({
    apiKey: "k",
    baseURL: "http://p/v1",
    fetch: async () => new Response(broken()),
  });
  const create = phospho.wrap(client.chat.completions.create.bind(client.chat.completions));
  const reads = [
    async ({ body }) => {
      for await (const _ of body);
    },
    (response) => response.text(),
    (response) => response.json(),
    (response) => response.arrayBuffer(),
  ];
  for (const readBody of reads) {
    const response = await create(ask({ stream: true })).asResponse();
    await assert.rejects(async () => readBody(response), /terminated/);
  }
  await until(() => transport.logs.length + phospho.stats().queued === reads.length, "the tasks");
  await phospho.flush();

  assert.equal(transport.logs[0].output, "Hel");
  assert.deepEqual(
    transport.logs.map(({ error }) => error),
    Array(reads.length).fill("TypeError: terminated"),
  );
});

test("a document that the app doesn't read to its end is no answer", async () => {
  const whole = JSON.stringify({ choices: [{ message: { content: "Hello!" } }] });
  const client = new OpenAI({
    apiKey: "k",
    baseURL: "http://p/v1",
    fetch: async () =>
      new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new TextEncoder().encode(whole.slice(0, 20))),
        }),
        { headers: { "content-type": "application/json; charset=utf-8" } },
      ),
  });
  const create = phospho.wrap(client.chat.completions.create.bind(client.chat.completions));

  const reader = (await create(ask()).asResponse()).body.getReader();
  await reader.read();
  await reader.cancel();

  assert.deepEqual(await outputs(), [null]);
});

for (const [type, isCancelled] of [
  ["text/plain", false],
  ["text/plain", true],
  ["application/json", false],
]) {
  const end = isCancelled ? "cancels" : "reads to its end";
  test(`a ${type} body that begins as a list and that the app ${end} is its text`, async () => {
    const fetch = async () => new Response("[Music] Hello there", { headers: { "content-type": type } });
    const client = new OpenAI({ apiKey: "k", baseURL: "http://p/v1", fetch });
    const create = phospho.wrap(client.chat.completions.create.bind(client.chat.completions));

    const reader = (await create(ask()).asResponse()).body.getReader();
    await reader.read();
    if (isCancelled) await reader.cancel();
    else await reader.read();

    assert.deepEqual(await outputs(), ["[Music] Hello there"]);
  });
}

test("runTools is logged with its last answer", async () => {
  const tools = phospho.wrap((body) => client.chat.completions.runTools(body));
  await tools(ask({ tools: [] })).finalContent();
  await tools(ask({ tools: [], stream: true })).finalContent();

  assert.deepEqual(await outputs(), ["Hello!", "Hello!"]);
});

test("withResponse logs its answer once, and a promise that is awaited twice too", async () => {
  const { data, response } = await create(ask()).withResponse();
  const promise = create(ask());
  await promise;
  await promise;

  assert.equal(data.choices[0].message.content, "Hello!");
  assert.equal(response.headers.get("x-request-id"), "req_1");
  assert.deepEqual(await outputs(), ["Hello!", "Hello!"]);
});

test("a stream with withResponse is logged as the app reads it", async () => {
  const { data } = await create(ask({ stream: true })).withResponse();

  assert.equal(await read(data), "Hello!");
  assert.deepEqual(await outputs(), ["Hello!"]);
});

test("tee gives the app two streams and logs one answer, even after garbage collection", async () => {
  const branches = (await create(ask({ stream: true }))).tee();
  await new Promise((resolve) => setTimeout(resolve, 10));
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 10));

  assert.deepEqual(await Promise.all(branches.map(read)), ["Hello!", "Hello!"]);
  assert.deepEqual(await outputs(), ["Hello!"]);
});

test("a stream that the app iterates outlives garbage collection", async () => {
  const iterator = (await create(ask({ stream: true })))[Symbol.asyncIterator]();
  await iterator.next();
  await new Promise((resolve) => setTimeout(resolve, 10));
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 10));
  while (!(await iterator.next()).done);

  assert.deepEqual(await outputs(), ["Hello!"]);
});

test("toReadableStream is logged", async () => {
  const stream = (await create(ask({ stream: true }))).toReadableStream();

  assert.equal((await new Response(stream).text()).trim().split("\n").length, CHUNKS.length);
  assert.deepEqual(await outputs(), ["Hello!"]);
});

for (const [name, use] of Object.entries({
  "for await": read,
  finalContent: (stream) => stream.finalContent(),
  done: (stream) => stream.done().then(() => "Hello!"),
  on: async (stream) => {
    let text = "";
    stream.on("content", (content) => {
      text += content;
    });
    await stream.done();
    return text;
  },
})) {
  test(`the stream helper of chat completions is logged with ${name}`, async () => {
    assert.equal(await use(helper(ask())), "Hello!");
    assert.deepEqual(await outputs(), ["Hello!"]);
  });
}

test("the stream helper of Responses is logged without iterating", async () => {
  chunks = EVENTS;
  const stream = responses({ model: "gpt-4o", input: "Say hello" });
  await stream.done();

  assert.deepEqual(await outputs(), ["Hello!"]);
  assert.deepEqual(transport.logs[0].input, "Say hello");
});

test("a helper that fails rejects as without wrap, and is logged with an error", async () => {
  chunks = [delta("Hel"), { error: { message: "overloaded" } }];
  const stream = helper(ask());

  await assert.rejects(stream.finalContent());
  await until(() => transport.logs.length + phospho.stats().queued > 0, "the task");
  assert.deepEqual(await outputs(), ["Hel"]);
  assert.match(transport.logs[0].error, /^APIError: .*overloaded/);
});

test("an aborted stream ends, and is logged as far as it came", async () => {
  const stream = await create(ask({ stream: true }));
  for await (const _ of stream) stream.controller.abort();

  const [output] = await outputs();
  assert.ok("Hello!".startsWith(output) && output);
});

test("a streamed call of a tool is logged as a whole one", async () => {
  const message = { role: "assistant", content: null, tool_calls: [CALL] };
  const pieces = [
    { ...CALL, function: { name: "weather", arguments: "" } },
    { index: 0, function: { arguments: "{}" } },
  ];
  chunks = pieces.map((tool) => ({ ...CHUNK, choices: [{ index: 0, delta: { tool_calls: [tool] } }] }));

  await read(await create(ask({ stream: true })));
  phospho.log({ input: "x", output: { ...WHOLE, choices: [{ index: 0, message }] } });

  assert.deepEqual(await outputs(), ["weather({})", "weather({})"]);
});

test("Azure's first and last chunks add no text", async () => {
  const filters = { id: "", object: "", created: 0, model: "", choices: [], prompt_filter_results: [{}] };
  const last = { ...filters, choices: [{ index: 0, finish_reason: null, content_filter_offsets: {} }] };
  chunks = [filters, ...CHUNKS, last];

  await read(await create(ask({ stream: true })));

  assert.deepEqual(await outputs(), ["Hello!"]);
});

test("an error reaches the app once", async () => {
  const failing = new OpenAI({
    apiKey: "k",
    baseURL: "http://provider/v1",
    maxRetries: 0,
    fetch: async () => Response.json({ error: { message: "bad" } }, { status: 400 }),
  });
  const wrapped = phospho.wrap(failing.chat.completions.create.bind(failing.chat.completions));

  await assert.rejects(wrapped(ask()), { status: 400 });
  await assert.rejects(wrapped(ask()).withResponse(), { status: 400 });
  await assert.rejects(wrapped(ask()).asResponse(), { status: 400 });
  assert.deepEqual(await outputs(), [null, null, null]);
  assert.deepEqual(
    transport.logs.map(({ error }) => error),
    Array(3).fill("BadRequestError: 400 bad"),
  );
});
