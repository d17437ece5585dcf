// The AI SDK of Vercel, wrapped: its results and streams are logged with their text, calls and figures.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { generateText, simulateReadableStream, streamObject, streamText, tool } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { phospho, RecordingTransport } from "phospho-sdk";
import { z } from "zod";

const usage = { inputTokens: { total: 11 }, outputTokens: { total: 7 } };
const stop = { unified: "stop", raw: "stop" };
const CALL = { type: "tool-call", toolCallId: "t1", toolName: "weather", input: '{"city":"Paris"}' };
const PARTS = [
  { type: "stream-start", warnings: [] },
  { type: "text-start", id: "1" },
  { type: "text-delta", id: "1", delta: "Hel" },
  { type: "text-delta", id: "1", delta: "lo!" },
  { type: "text-end", id: "1" },
  { type: "finish", finishReason: stop, usage },
];
const tools = { weather: tool({ description: "w", inputSchema: z.object({ city: z.string() }) }) };

const ask = (content, chunks = PARTS) => ({
  model: new MockLanguageModelV4({
    modelId: "mock-1",
    doGenerate: async () => ({ content, finishReason: stop, usage, warnings: [] }),
    doStream: async () => ({ stream: simulateReadableStream({ chunks }) }),
  }),
  prompt: "Say hello",
  tools,
});

let transport;
beforeEach(() => {
  transport = new RecordingTransport();
  phospho.init({ transport });
});
afterEach(() => phospho.shutdown(100));

async function logged() {
  assert.ok((await phospho.flush()).isComplete);
  assert.deepEqual(phospho.stats().errors, {});
  return transport.logs.map((log) => [log.input, log.output, log.tokens_in, log.tokens_out, log.model]);
}

test("generateText is logged with its text or its calls", async () => {
  await phospho.wrap(generateText)(ask([{ type: "text", text: "Hello!" }]));
  await phospho.wrap(generateText)(ask([CALL]));

  assert.deepEqual(await logged(), [
    ["Say hello", "Hello!", 11, 7, "mock-1"],
    ["Say hello", 'weather({"city": "Paris"})', 11, 7, "mock-1"],
  ]);
});

for (const [name, read] of Object.entries({
  textStream: (result) => taken(result.textStream),
  fullStream: (result) => taken(result.fullStream),
  "a response": (result) => result.toTextStreamResponse().text(),
  text: (result) => result.text,
})) {
  test(`streamText is logged once the app has read ${name}`, async () => {
    await read(phospho.wrap(streamText)(ask([])));
    // The SDK's promises are settled before the end of its stream.
    await new Promise((resolve) => setTimeout(resolve, 20));

    assert.deepEqual(await logged(), [["Say hello", "Hello!", 11, 7, "mock-1"]]);
  });
}

for (const name of ["partialObjectStream", "textStream", "fullStream"]) {
  test(`streamObject is logged once the app has read ${name}`, async () => {
    const deltas = ['{"na', 'me":"Ann"}'].map((delta) => ({ type: "text-delta", id: "1", delta }));
    const { tools: _, ...query } = ask([], [...PARTS.slice(0, 2), ...deltas, ...PARTS.slice(-2)]);
    const result = phospho.wrap(streamObject)({ ...query, schema: z.object({ name: z.string() }) });
    await taken(result[name]);

    assert.deepEqual(await result.object, { name: "Ann" });
    assert.deepEqual(await logged(), [["Say hello", '{"name":"Ann"}', 11, 7, "mock-1"]]);
  });
}

test("a stream that fails is logged with the error that the SDK does not throw", async () => {
  const doStream = async () => {
    throw new RangeError("overloaded");
  };
  for (const [fn, name] of [
    [streamText, "textStream"],
    [streamObject, "partialObjectStream"],
  ]) {
    const query = { model: new MockLanguageModelV4({ doStream }), prompt: "Say hello", schema: z.object({}) };
    await taken(phospho.wrap(fn)({ ...query, maxRetries: 0, onError() {} })[name]);
  }
  await logged();

  assert.deepEqual(
    transport.logs.map(({ error }) => error),
    ["RangeError: overloaded", "RangeError: overloaded"],
  );
});

async function taken(stream) {
  for await (const _ of stream);
}
