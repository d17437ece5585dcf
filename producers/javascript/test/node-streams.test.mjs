// Node's streams: whichever way the app reads one, it is logged, and behaves as without the SDK.
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer, get } from "node:http";
import { Duplex, PassThrough, Readable, Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterEach, beforeEach, test } from "node:test";
import { phospho, RecordingTransport } from "phospho-sdk";

let transport;
beforeEach(() => {
  transport = new RecordingTransport();
  phospho.init({ transport });
});
afterEach(() => phospho.shutdown(100));

const later = () => new Promise((resolve) => setImmediate(resolve));

/** Log *stream*, and return it. */
function logged(stream) {
  phospho.log({ input: "Say hello", output: stream, stream: true });
  return stream;
}

async function tasks() {
  await later();
  assert.ok((await phospho.flush()).isComplete);
  assert.deepEqual(phospho.stats().errors, {});
  return transport.logs.map(({ output, error }) => (error ? [output ?? null, error] : (output ?? null)));
}

const bytes = () => Readable.from([Buffer.from("Grü"), Buffer.from("ße "), Buffer.from("👋")]);

/** A sink that takes one chunk at a time. */
function slowSink(seen = []) {
  const write = (chunk, _, done) => {
    seen.push(String(chunk));
    setImmediate(done);
  };
  return new Writable({ highWaterMark: 1, write });
}

const WAYS = {
  'on("data")': async (stream) => {
    let text = "";
    stream.on("data", (chunk) => {
      text += chunk;
    });
    await once(stream, "end");
    return text;
  },
  'on("readable")': async (stream) => {
    let text = "";
    stream.on("readable", () => {
      for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) text += chunk;
    });
    await once(stream, "end");
    return text;
  },
  "for await": async (stream) => {
    let text = "";
    for await (const chunk of stream) text += chunk;
    return text;
  },
  pipe: async (stream) => {
    const seen = [];
    await once(stream.pipe(slowSink(seen)), "finish");
    return seen.join("");
  },
  "pipe to two": async (stream) => {
    const [one, two] = [[], []];
    const sinks = [stream.pipe(slowSink(one)), stream.pipe(slowSink(two))];
    await Promise.all(sinks.map((sink) => once(sink, "finish")));
    assert.deepEqual(one, two);
    return one.join("");
  },
  pipeline: async (stream) => {
    const seen = [];
    const upper = new Transform({ transform: (chunk, _, done) => done(null, chunk) });
    await pipeline(stream, upper, slowSink(seen));
    return seen.join("");
  },
  "setEncoding and pause": async (stream) => {
    let text = "";
    stream.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
      stream.pause();
      setImmediate(() => stream.resume());
    });
    await once(stream, "end");
    return text;
  },
  toWeb: (stream) => new Response(Readable.toWeb(stream)).text(),
  toArray: async (stream) => (await stream.toArray()).join(""),
  "a transform that the app iterates": async (stream) => {
    let text = "";
    for await (const chunk of stream.pipe(new PassThrough())) text += chunk;
    return text;
  },
};

for (const [way, read] of Object.entries(WAYS)) {
  test(`a Node stream is logged once, read by ${way}`, async () => {
    assert.equal(await read(logged(bytes())), "Grüße 👋");
    assert.deepEqual(await tasks(), ["Grüße 👋"]);
  });
}

test("chunks cut within a character are joined", async () => {
  const [head, tail] = [Buffer.from("👋").subarray(0, 2), Buffer.from("👋").subarray(2)];
  await WAYS.pipe(logged(Readable.from([head, tail])));
  assert.deepEqual(await tasks(), ["👋"]);
});

/** Return what an app sees of a stream and its sink: the listeners, modes and buffers after each of its steps. */
async function seen(watch) {
  const chunks = Array.from({ length: 20 }, (_, index) => "x".repeat(100 + index));
  let reads = 0;
  const source = new Readable({
    highWaterMark: 250,
    read() {
      reads += 1;
      this.push(chunks.shift() ?? null);
    },
  });
  const states = [];
  const note = (step) => {
    const { readableFlowing, readableLength, readableEnded, destroyed } = source;
    const listeners = source.eventNames().map((name) => [String(name), source.listenerCount(name)]);
    states.push([step, reads, readableFlowing, readableLength, readableEnded, destroyed, listeners]);
  };
  watch(source);
  await later();
  note("unread");
  const sink = slowSink();
  source.pipe(sink);
  await later();
  note("piped");
  source.unpipe(sink);
  await later();
  note("unpiped");
  source.on("data", () => {});
  source.pause();
  await later();
  note("paused");
  source.resume();
  await once(source, "close");
  note("closed");
  return [states, Object.keys(source), source instanceof Readable];
}

test("a watched Node stream keeps its mode, back-pressure, listeners and keys", async () => {
  assert.deepEqual(await seen(logged), await seen(() => {}));
  assert.equal((await tasks())[0].length, 2190);
});

test("an unread Node stream stays unread, and its task has the input", async () => {
  const stream = logged(bytes());
  await later();
  assert.deepEqual([stream.readableFlowing, stream.listenerCount("data")], [null, 0]);
  stream.destroy();
  assert.deepEqual(await tasks(), [null]);
});

test("an error, a destroyed stream and one that breaks off are logged as far as they came", async () => {
  const broken = (error) =>
    new Readable({
      read() {
        if (this.isHalf) this.destroy(error);
        else this.push("Hel");
        this.isHalf = true;
      },
    });
  await assert.rejects(pipeline(logged(broken(new RangeError("cut"))), slowSink()), /cut/);
  await assert.rejects(WAYS['on("data")'](logged(broken(new RangeError("cut")))), /cut/);
  const closed = logged(broken());
  closed.resume();
  await once(closed, "close");
  for await (const _ of logged(Readable.from(["Hel", "lo"]))) break;

  assert.deepEqual(await tasks(), [["Hel", "RangeError: cut"], ["Hel", "RangeError: cut"], "Hel", "Hel"]);
});

test("an error without a listener is thrown as without the SDK", () => {
  const stream = logged(new PassThrough());
  assert.throws(() => stream.emit("error", new RangeError("mine")), /mine/);
});

test("a response of HTTP, a duplex, objects and an old stream are logged", async () => {
  const server = createServer((_, response) => response.end("over HTTP")).listen(0, "127.0.0.1");
  await once(server, "listening");
  const [response] = await once(get({ port: server.address().port }), "response");
  await WAYS.pipe(logged(response));
  server.close();
  const duplex = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  duplex.push("from a duplex");
  duplex.push(null);
  await WAYS["for await"](logged(duplex));
  const chunk = { choices: [{ delta: { content: "from objects" } }] };
  await logged(Readable.from([chunk])).toArray();
  const old = Object.assign(new EventEmitter(), { readable: true, pipe() {} });
  logged(old);
  old.emit("data", "from an old stream");
  old.emit("end");

  assert.deepEqual(await tasks(), ["over HTTP", "from a duplex", "from objects", "from an old stream"]);
});

test("a wrapped function may return a Node stream", async () => {
  const stream = await phospho.wrap(async () => bytes())("Say hello");
  await WAYS.pipe(stream);
  assert.deepEqual(await tasks(), ["Grüße 👋"]);
});
