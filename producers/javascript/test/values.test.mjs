// Values that JSON lacks, and those that are too large: each is sent in a form of its own, and harms nothing beside it.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { phospho, RecordingTransport } from "phospho-sdk";

let transport;
beforeEach(() => {
  transport = new RecordingTransport();
  phospho.init({ transport });
});
afterEach(() => phospho.shutdown(100));

async function logged(entry) {
  phospho.log(entry);
  await phospho.flush();
  assert.deepEqual(phospho.stats().errors, {});
  return transport.logs.pop();
}

class Order {
  #secret = 1;
  id = 7;
  get total() {
    return this.#secret;
  }
}
const circular = { name: "a" };
circular.self = circular;
const revoked = Proxy.revocable({}, {});
revoked.revoke();
const failed = Object.assign(new TypeError("no"), {
  config: { headers: { Authorization: "secret" } },
  toJSON: () => "secret",
});

const VALUES = {
  "an integer beyond 2^53": [2n ** 53n + 1n, 9007199254740993n],
  "the largest integer of 64 bits": [2n ** 63n - 1n, 9223372036854775807n],
  "a larger one": [2n ** 63n, "9223372036854775808"],
  NaN: [Number.NaN, "nan"],
  Infinity: [
    [Infinity, -Infinity],
    ["inf", "-inf"],
  ],
  "a Date": [new Date(0), "1970-01-01T00:00:00.000Z"],
  "no Date": [new Date(Number.NaN), null],
  "a Map with many keys of one text": [
    new Map([
      ["1", "a"],
      [1, "b"],
      [{ toString: () => "1" }, "c"],
      [{ toString: () => "1" }, "d"],
      [{ toString: () => "1" }, "e"],
    ]),
    { 1: "a", "1 (number)": "b", "1 (object)": "c", "1 (object) 4": "d", "1 (object) 5": "e" },
  ],
  "a Map whose keys have one text": [
    new Map([
      [1, "a"],
      ["1", "b"],
    ]),
    { 1: "a", "1 (string)": "b" },
  ],
  "a Map": [
    new Map([
      ["a", 1],
      [2, new Set([3])],
    ]),
    { a: 1, 2: [3] },
  ],
  "a Buffer of text": [Buffer.from("Grüße"), "Grüße"],
  "a Buffer of JSON": [Buffer.from('{"a":1}'), { a: 1 }],
  "a Buffer of a picture": [Buffer.from([0x89, 0x50, 0xff, 0xfe]), "<4 bytes>"],
  "an ArrayBuffer": [new Uint8Array([0xff]).buffer, "<1 bytes>"],
  "a DataView": [new DataView(new Uint8Array([0xff, 0xfe]).buffer, 1), "<1 bytes>"],
  "a Blob": [new Blob(["abc"]), "<3 bytes>"],
  "an embedding": [new Float32Array([0.5, 1]), [0.5, 1]],
  "a large array": [new Float64Array(10_001), "<Float64Array, 10001 items>"],
  "a circle": [circular, { name: "a", self: "<cycle>" }],
  "a getter that throws": [
    Object.defineProperty({ a: 1 }, "b", {
      enumerable: true,
      get: () => {
        throw new Error("mine");
      },
    }),
    { a: 1 },
  ],
  "a revoked proxy": [revoked.proxy, "<object>"],
  "a symbol, a function and undefined": [
    { [Symbol("key")]: 1, symbol: Symbol("s"), fn: () => 1, none: undefined, a: 1 },
    { a: 1 },
  ],
  "a class": [new Order(), { id: 7 }],
  "the environment": [process.env, "<env>"],
  "an error": [failed, "TypeError: no"],
  "an object without a prototype": [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  "a regular expression, a URL": [
    [/a+/g, new URL("http://a/b")],
    ["/a+/g", "http://a/b"],
  ],
};

for (const [kind, [value, expected]] of Object.entries(VALUES)) {
  test(`${kind} is the same in metadata, messages and outputs`, async () => {
    const messages = [{ role: "user", content: "Hi", extra: value }];
    const log = await logged({
      input: { messages },
      output: { text: "Hello!", value },
      metadata: { value, beside: 1 },
    });

    assert.deepEqual([log.input, log.output], ["Hi", "Hello!"]);
    const sent = [log.metadata.value, log.raw_input.messages[0].extra, log.raw_output.value];
    const isLeftOut = expected === undefined;
    assert.deepEqual(sent, isLeftOut ? [undefined, undefined, undefined] : [expected, expected, expected]);
    assert.equal(log.metadata.beside, 1);
  });
}

test("large pictures are described in messages, outputs, metadata and fields of the app", async () => {
  const base64 = Buffer.alloc(300_000, 7).toString("base64");
  const url = `data:image/png;base64,${base64}`;
  const content = [
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url: { url } },
    { type: "image", source: { type: "base64", media_type: "image/png", data: base64 } },
  ];
  const log = await logged({
    input: { messages: [{ role: "user", content }] },
    output: { text: "A cat", image: { b64_json: base64 } },
    metadata: {
      picture: url,
      nested: [{ inlineData: { data: base64 } }],
      short: "data:image/png;base64,AAAA",
    },
    screenshot: url,
    steps: [{ kind: "tool", output: { image: url } }],
  });

  assert.ok(JSON.stringify(log).length < 3_000, `${JSON.stringify(log).length} characters`);
  assert.equal(log.screenshot, "data:image/png;base64,<base64, 300000 bytes>");
  assert.deepEqual(log.metadata, {
    picture: "data:image/png;base64,<base64, 300000 bytes>",
    nested: [{ inlineData: { data: "<base64, 300000 bytes>" } }],
    short: "data:image/png;base64,AAAA",
  });
});

test("steps are taken in camelCase, with times of any form", async () => {
  const { steps } = await logged({
    input: "q",
    steps: [
      {
        kind: "llm",
        name: "ask",
        startTime: new Date(1e12),
        endTime: 1e12 + 1500,
        inputTokens: 3,
        outputTokens: 4,
        spanId: "a",
      },
      {
        kind: "tool",
        startedAt: 1e9,
        latencyMs: 2,
        error: new RangeError("no"),
        parentSpanId: "a",
        own: true,
      },
      {
        started_at: "2001-09-09T01:46:40Z",
        tokens_in: 5,
        tokensIn: 6,
        parent_span_id: "b",
        startTime: "never",
      },
      { startTime: 1e300 },
      "a text",
    ],
  });

  const started_at = "2001-09-09T01:46:40.000Z";
  assert.deepEqual(steps, [
    { kind: "llm", name: "ask", started_at, latency_ms: 1500, tokens_in: 3, tokens_out: 4, span_id: "a" },
    { kind: "tool", started_at, latency_ms: 2, error: "RangeError: no", parent_span_id: "a", own: true },
    { started_at, tokens_in: 5, parent_span_id: "b" },
    { started_at: 1e300 },
    "a text",
  ]);
});
