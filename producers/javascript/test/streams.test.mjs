// Streams: the app gets them unchanged, and the chunks that it reads are logged once.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { afterEach, beforeEach, test } from "node:test";
import { phospho, RecordingTransport } from "phospho-sdk";
import { webStream } from "./support/streams.mjs";
import { until } from "./support/until.mjs";

let transport;
const unhandled = [];
process.on("unhandledRejection", (error) => unhandled.push(error));

beforeEach(() => {
  transport = new RecordingTransport();
  phospho.init({ transport, limits: { eventBytes: 20_000 } });
});

afterEach(async () => {
  await phospho.shutdown(100);
  assert.deepEqual(unhandled.splice(0), []);
});

async function logs() {
  assert.ok((await phospho.flush()).isComplete);
  return transport.logs;
}

async function* words(...given) {
  for (const word of given.length > 0 ? given : ["Hel", "lo", "!"]) yield word;
}

/** An iterable of a client library: a class, whose iterator is made by a method. */
class LibraryStream {
  controller = new AbortController();
  constructor(make) {
    this.make = make;
  }
  [Symbol.asyncIterator]() {
    return this.make();
  }
}

async function taken(stream) {
  const values = [];
  for await (const value of stream) values.push(value);
  return values;
}

const KINDS = {
  "an async generator": () => words(),
  "a generator": () => ["Hel", "lo", "!"].values(),
  "a library's async iterable": () => new LibraryStream(words),
  "a web stream": () => webStream(["Hel", "lo", "!"]),
  "a Node stream": () => Readable.from(["Hel", "lo", "!"]),
  "an iterable that is read by its own reader": () => {
    const stream = webStream(["Hel", "lo", "!"]);
    const iterate = function () {
      const reader = this.getReader();
      return { next: () => reader.read() };
    };
    return Object.defineProperty(stream, Symbol.asyncIterator, { value: iterate, configurable: true });
  },
};

for (const [kind, make] of Object.entries(KINDS)) {
  test(`${kind} is logged as the app iterates, and stays what it is`, async () => {
    const stream = make();
    const prototype = Object.getPrototypeOf(stream);

    const logged = await phospho.log({ input: "Say hello", output: stream, stream: true });
    assert.equal(logged.output, null);
    assert.deepEqual(await taken(stream), ["Hel", "lo", "!"]);

    assert.equal(Object.getPrototypeOf(stream), prototype);
    const [event, ...others] = await logs();
    assert.deepEqual(
      [event.task_id, event.output, event.raw_output],
      [logged.taskId, "Hello!", ["Hel", "lo", "!"]],
    );
    assert.equal(others.length, 0);
  });
}

test("the reader of a web stream is watched", async () => {
  const stream = webStream(["Hel", "lo"]);
  phospho.log({ input: "Say hello", output: stream, stream: true });

  const reader = stream.getReader();
  while (!(await reader.read()).done);

  assert.equal((await logs())[0].output, "Hello");
});

test("values() of a web stream is watched", async () => {
  const stream = webStream(["Hel", "lo"]);
  phospho.log({ input: "Say hello", output: stream, stream: true });
  assert.deepEqual(await taken(stream.values({ preventCancel: true })), ["Hel", "lo"]);

  assert.equal((await logs())[0].output, "Hello");
});

test("arrays, Sets and text are logged at once", async () => {
  await phospho.log({ input: "a", output: ["Hel", "lo"], stream: true });
  await phospho.log({ input: "a", output: new Set(["Hel", "lo"]), stream: true });
  await phospho.log({ input: "a", output: "Hello", stream: true });

  const outputs = (await logs()).map(({ output }) => output);
  assert.deepEqual(outputs.sort(), ["Hello", "Hello", "Hello"]);
});

test("a promise of a stream is watched before the app iterates", async () => {
  const promise = new Promise((resolve) => setTimeout(() => resolve(words()), 5));

  phospho.log({ input: Promise.resolve("Say hello"), output: promise, stream: true });
  assert.deepEqual(await taken(await promise), ["Hel", "lo", "!"]);

  const [event] = await logs();
  assert.deepEqual([event.input, event.output], ["Say hello", "Hello!"]);
});

test("a rejected promise of a stream is an error, one of text is text", async () => {
  await phospho.log({ input: "a", output: Promise.reject(new Error("no stream")), stream: true });
  await phospho.log({ input: "b", output: Promise.resolve("text"), stream: true });

  const told = (await logs()).map(({ input, output, error }) => [input, output, error]);
  assert.deepEqual(told, [
    ["a", null, "Error: no stream"],
    ["b", "text", undefined],
  ]);
});

test("a promised input is awaited if the promised output is no stream", async () => {
  const input = new Promise((resolve) => setTimeout(() => resolve("late"), 20));

  phospho.log({ input, output: Promise.resolve("text"), stream: true });
  await new Promise((resolve) => setTimeout(resolve, 5));

  const [event] = await logs();
  assert.deepEqual([event.input, event.output], ["late", "text"]);
});

test("a stream that began before init stays with its client", async () => {
  const stream = words();
  phospho.log({ input: "Say hello", output: stream, stream: true });
  await stream.next();

  phospho.init({ transport: new RecordingTransport() });
  await taken(stream);

  await until(() => transport.logs.length > 0, "the log");
  assert.equal(transport.logs[0].output, "Hello!");
});

test("an app that breaks off has received an answer all the same", async () => {
  const stream = words();
  phospho.log({ input: "Say hello", output: stream, stream: true });

  for await (const _ of stream) break;

  assert.equal((await logs())[0].output, "Hel");
});

test("a stream that breaks is logged with its error, which the app gets", async () => {
  async function* breaking() {
    yield "Hel";
    throw new RangeError("cut");
  }
  const stream = new LibraryStream(breaking);
  phospho.log({ input: "Say hello", output: stream, stream: true });

  await assert.rejects(taken(stream), /cut/);

  const [event] = await logs();
  assert.deepEqual([event.output, event.error], ["Hel", "RangeError: cut"]);
});

test("flush skips an unfinished stream; shutdown sends it", async () => {
  const stream = words();
  phospho.log({ input: "Say hello", output: stream, stream: true });
  await stream.next();

  assert.deepEqual((await phospho.flush()).pending, []);
  assert.equal(transport.logs.length, 0);
  const { sent } = await phospho.shutdown();

  assert.equal(sent.length, 1);
  assert.equal(transport.logs[0].output, "Hel");
});

test("a stream that nobody iterates is sent when it is let go of", async () => {
  (() => phospho.log({ input: "Say hello", output: words(), stream: true }))();

  for (let tries = 0; transport.logs.length === 0 && tries < 100; tries++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await phospho.flush();
  }
  assert.deepEqual([transport.logs[0].input, transport.logs[0].output], ["Say hello", null]);
});

test("a stream is cut at the event limit, and the app gets all of it", async () => {
  const chunks = Array.from({ length: 100 }, () => "x".repeat(1000));
  const stream = words(...chunks);
  phospho.log({ input: "Say much", output: stream, stream: true });

  assert.equal((await taken(stream)).length, 100);

  const [event] = await logs();
  assert.ok(event.is_truncated && event.output.length < 20_000);
  assert.equal(phospho.stats().truncated, 1);
});

test("a stream that can't be watched is counted and untouched", async () => {
  const frozen = Object.freeze(words());
  const plain = words();
  await phospho.log({ input: "frozen", output: frozen, stream: true });
  await phospho.log({ input: "plain", output: plain });
  await phospho.log({ input: "promised", output: Promise.resolve(words()) });

  assert.deepEqual([await taken(frozen), await taken(plain)].flat().length, 6);
  assert.deepEqual(
    (await logs()).map(({ output }) => output),
    [null, null, null],
  );
  assert.deepEqual(phospho.stats().errors, { stream: 3 });
});

test("tokens of the last chunk, and the app's own text of a chunk", async () => {
  const chunks = [{ t: "Hel" }, { t: "lo" }, { usage: { prompt_tokens: 3, completion_tokens: 2 } }];
  const stream = words(...chunks);
  phospho.log({ input: "a", output: stream, stream: true, outputToStrFunction: (chunk) => chunk.t });

  await taken(stream);

  const [event] = await logs();
  assert.deepEqual([event.output, event.tokens_in, event.tokens_out], ["Hello", 3, 2]);
});

test("an error that the app throws into a generator is the task's error", async () => {
  const generator = phospho.wrap(async (_question) => words("Hel", "lo!"))("Say hello");
  const stream = await generator;
  await stream.next();
  await assert.rejects(stream.throw(new Error("no")));

  const [event] = await logs();
  assert.deepEqual([event.output, event.error], ["Hel", "Error: no"]);
});

test("pipes of a watched web stream keep their errors, and pass the chunks on", async () => {
  const stream = webStream(["Hel", "lo!"]);
  phospho.log({ input: "q", output: stream, stream: true });
  const reader = stream.getReader();
  await assert.rejects(stream.pipeTo(new WritableStream()), TypeError);
  reader.releaseLock();

  assert.deepEqual(await taken(stream.pipeThrough(new TransformStream())), ["Hel", "lo!"]);
});

test("what comes out of pipeThrough is logged, as far as it is read", async () => {
  const bytes = (...texts) => webStream(texts.map((text) => new TextEncoder().encode(text)));
  const first = bytes("Hel", "lo!");
  phospho.log({ input: "q", output: first, stream: true });
  assert.deepEqual(await taken(first.pipeThrough(new TextDecoderStream())), ["Hel", "lo!"]);
  const second = bytes("Hel", "lo!");
  phospho.log({ input: "q", output: second, stream: true });
  for await (const _ of second.pipeThrough(new TextDecoderStream()).pipeThrough(new TransformStream())) break;

  assert.deepEqual(
    (await logs()).map(({ output }) => output),
    ["Hello!", "Hel"],
  );
  assert.deepEqual(phospho.stats().errors, {});
});

test("pipeTo is the app's alone: a warning says once that only the input is logged", async () => {
  const warnings = [];
  phospho.init({ transport, onWarning: (text) => warnings.push(text) });
  for (let n = 0; n < 2; n++) {
    const stream = webStream(["Hel", "lo!"]);
    phospho.log({ input: "q", output: stream, stream: true });
    const seen = [];
    let isClosed = false;
    const sink = new WritableStream({
      write: (chunk) => seen.push(chunk),
      close: () => {
        isClosed = true;
      },
    });
    await stream.pipeTo(sink, { preventClose: true });
    assert.deepEqual([seen, isClosed, sink.locked], [["Hel", "lo!"], false, false]);
  }
  await phospho.shutdown();

  assert.deepEqual([warnings.length, phospho.stats().errors.stream], [1, 2]);
  assert.match(warnings[0], /pipeTo.*tee\(\)/);
  assert.deepEqual(
    transport.logs.map(({ input, output }) => [input, output]),
    Array(2).fill(["q", null]),
  );
});

test("a stream that is never read is sent with its input, as it was when it was logged", async () => {
  const messages = [{ role: "user", content: "Say hello" }];
  const stream = words();
  phospho.log({ input: { messages }, output: stream, stream: true });
  messages[0].content = "changed";
  assert.equal(phospho.stats().queued, 1);
  await phospho.shutdown();

  assert.deepEqual(
    transport.logs.map(({ input, output }) => [input, output]),
    [["Say hello", null]],
  );
});
