// The shapes of LLM clients: the text of a task is the same whole and in chunks, and the same as in Python and REST.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { Phospho, RecordingTransport } from "phospho-sdk";
import { webStream } from "./support/streams.mjs";

const file = new URL("../../../tests/contract/shapes.json", import.meta.url);
const { answers, inputs } = JSON.parse(readFileSync(file, "utf8"));

let client;
let transport;
beforeEach(() => {
  transport = new RecordingTransport();
  client = new Phospho({ transport });
});
afterEach(() => client.shutdown());

async function logged() {
  assert.ok((await client.flush()).isComplete);
  assert.deepEqual(client.stats().errors, {});
  const [log] = transport.logs;
  return log;
}

/** Check the text, and the figures that the example names. */
function check(log, example) {
  assert.equal(log.output ?? "", example.text);
  for (const field of ["model", "tokens_in", "tokens_out"]) {
    if (example[field] !== undefined) assert.equal(log[field], example[field], field);
  }
}

for (const example of answers) {
  if (example.whole !== undefined) {
    test(`${example.name}, whole`, async () => {
      client.log({ input: "Say hello", output: example.whole });
      check(await logged(), example);
    });
  }
  if (example.chunks !== undefined) {
    test(`${example.name}, streamed`, async () => {
      const stream = webStream(example.chunks);
      client.log({ input: "Say hello", output: stream, stream: true });
      for await (const _ of stream);
      check(await logged(), example);
    });
  }
}

for (const example of inputs) {
  test(`input of ${example.name}`, async () => {
    client.log({ input: example.value });
    const log = await logged();
    assert.equal(log.input, example.text);
    assert.equal(log.system_prompt ?? "", example.system_prompt ?? "");
  });
}

const EVENTS = [
  'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"Hé"}}]}\n\n',
  ": keep-alive\n\n",
  'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"lo!"}}]}\n\ndata: [DONE]\n\n',
  "event: message_stop\n",
];

for (const size of [1000, 100, 7]) {
  test(`server-sent events in ${size} bytes a chunk are an answer, and comments and [DONE] add nothing`, async () => {
    const chunks = EVENTS.flatMap((event) => {
      const bytes = new TextEncoder().encode(event);
      const starts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => index * size);
      return starts.map((start) => bytes.slice(start, start + size));
    });
    const stream = webStream(chunks);

    client.log({ input: "Say hello", output: stream, stream: true });
    for await (const _ of stream);

    assert.equal((await logged()).output, "Hélo!");
  });
}

test("lines of events without their ends are an answer", async () => {
  const lines = EVENTS.flatMap((event) => event.split("\n"));
  const stream = webStream(lines.map((line) => new TextEncoder().encode(line)));

  client.log({ input: "Say hello", output: stream, stream: true });
  for await (const _ of stream);

  assert.equal((await logged()).output, "Hélo!");
});

test("plain text in bytes keeps its spaces and characters that are cut", async () => {
  const bytes = new TextEncoder().encode("Hé llo");
  const stream = webStream([bytes.slice(0, 2), bytes.slice(2, 3), bytes.slice(3, 4), bytes.slice(4)]);

  client.log({ input: "Say hello", output: stream, stream: true });
  for await (const _ of stream);

  assert.equal((await logged()).output, "Hé llo");
});

test("a chunk that nobody knows adds nothing to the text, and stays in the raw output", async () => {
  const chunks = ["Hel", { nobody: "knows" }, null, "lo!", 1];
  const stream = webStream(chunks);

  client.log({ input: "Say hello", output: stream, stream: true });
  for await (const _ of stream);

  const log = await logged();
  assert.equal(log.output, "Hello!1");
  assert.deepEqual(log.raw_output, chunks);
});

const COUNT = 16_000;
const numbers = Array.from({ length: COUNT }, (_, number) => number);
const call = { function: { name: "a" } };
const MANY_PARTS = {
  "calls without an index": [{ choices: [{ delta: { tool_calls: numbers.map(() => call) } }] }],
  "calls of the same index": [
    {
      choices: [{ delta: { tool_calls: numbers.map((number) => ({ ...call, id: `${number}`, index: 0 })) } }],
    },
  ],
  "parts of Gemini": [
    { candidates: [{ content: { parts: numbers.map(() => ({ functionCall: { name: "a" } })) } }] },
  ],
  "texts of the AI SDK": numbers.map((number) => ({ type: "text-delta", id: `${number}`, delta: "a()" })),
};

for (const [name, chunks] of Object.entries(MANY_PARTS)) {
  test(`an answer of ${COUNT} ${name} takes linear time`, async () => {
    const start = process.cpuUsage();

    client.log({ input: "Say hello", output: chunks });

    assert.equal((await logged()).output, numbers.map(() => "a()").join("\n"));
    assert.ok(process.cpuUsage(start).user < 3_000_000, "each takes 0.1 to 0.3 s");
  });
}
