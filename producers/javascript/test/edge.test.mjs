// An edge runtime simulated in Node: a context with the globals of the web and none of Node's.
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import vm from "node:vm";
import { Phospho } from "phospho-sdk";
import { PACKAGE } from "./support/run.mjs";
import { PhosphoServer } from "./support/server.mjs";
import { until } from "./support/until.mjs";

const DIST = join(PACKAGE, "dist", "esm");

let server;
beforeEach(async () => {
  server = await PhosphoServer.start();
});
afterEach(() => server.close());

/** The globals of the Minimum Common Web API that are used; timers are numbers, as on the web. */
function webContext({ without = [] } = {}) {
  const timers = new Map();
  let lastTimer = 0;
  const globals = {
    fetch,
    Response,
    Blob,
    TextEncoder,
    TextDecoder,
    CompressionStream,
    ReadableStream,
    AbortController,
    crypto: webcrypto,
    performance,
    setTimeout: (callback, delay) => {
      lastTimer += 1;
      timers.set(lastTimer, setTimeout(callback, delay));
      return lastTimer;
    },
    clearTimeout: (timer) => clearTimeout(timers.get(timer)),
  };
  for (const name of without) delete globals[name];
  return vm.createContext(globals);
}

async function load(context) {
  const modules = new Map();
  const link = (specifier, { identifier }) => moduleAt(resolve(dirname(identifier), specifier));
  function moduleAt(path) {
    if (!modules.has(path)) {
      modules.set(path, new vm.SourceTextModule(readFileSync(path, "utf8"), { identifier: path, context }));
    }
    return modules.get(path);
  }
  const entry = moduleAt(join(DIST, "index.js"));
  await entry.link(link);
  await entry.evaluate();
  return entry.namespace;
}

test("the ESM build logs where there is nothing of Node", async () => {
  const { phospho } = await load(webContext());
  phospho.init({ apiKey: "ph_test", baseUrl: server.url });
  async function* words() {
    yield* ["Hel", "lo"];
  }
  const stream = words();

  await phospho.log({
    input: "x".repeat(3000),
    output: { choices: [{ message: { role: "assistant", content: "Hi" } }] },
  });
  phospho.log({ input: "stream", output: stream, stream: true });
  for await (const _ of stream);
  const { isComplete } = await phospho.flush();

  assert.ok(isComplete);
  assert.deepEqual(
    server.logs.map(({ output }) => output),
    ["Hi", "Hello"],
  );
  assert.equal(server.requests[0].headers["content-encoding"], "gzip");
  assert.deepEqual({ ...phospho.stats().errors }, {});
  await phospho.shutdown();
});

test("it does without compression, crypto and a monotonic clock", async () => {
  const context = webContext({ without: ["CompressionStream", "crypto", "performance", "Blob"] });
  const { Phospho } = await load(context);
  const client = new Phospho({ apiKey: "ph_test", baseUrl: server.url });

  const { eventId } = await client.log({ input: "x".repeat(3000) });

  assert.ok((await client.shutdown()).isComplete);
  assert.match(eventId, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  assert.equal(server.requests[0].headers["content-encoding"], undefined);
});

test("a timer lost with its request is set again by a later log", async () => {
  const context = webContext();
  const { setTimeout: setTimer } = context;
  let now = 0;
  context.performance = { now: () => now };
  context.setTimeout = () => 0;
  const { Phospho } = await load(context);
  const client = new Phospho({ apiKey: "ph_test", baseUrl: server.url, tick: 10 });
  client.log({ input: "of a request that ended" });

  context.setTimeout = setTimer;
  now += 60_000;
  client.log({ input: "of the next" });

  await until(() => server.logs.length === 2, "both logs");
  await client.shutdown();
});

test("waitUntil holds a request until its logs are sent, streams too", async () => {
  const waiting = [];
  const client = new Phospho({
    apiKey: "ph_test",
    baseUrl: server.url,
    tick: 5,
    waitUntil: (promise) => waiting.push(promise),
  });
  async function* words() {
    yield* ["Hel", "lo"];
  }
  const stream = words();

  client.log({ input: "whole" });
  client.log({ input: "stream", output: stream, stream: true });
  await Promise.all(waiting.splice(0));
  for await (const _ of stream);
  await Promise.all(waiting);

  assert.deepEqual(
    server.logs.map(({ output }) => output),
    [null, "Hello"],
  );
  await client.shutdown();
});

test("the request of Vercel or Next.js is held without an option", async () => {
  const waiting = [];
  const name = Symbol.for("@next/request-context");
  globalThis[name] = { get: () => ({ waitUntil: (promise) => waiting.push(promise) }) };
  const client = new Phospho({ apiKey: "ph_test", baseUrl: server.url, tick: 5 });

  client.log({ input: "Hello" });
  delete globalThis[name];
  await Promise.all(waiting);

  assert.equal(server.logs.length, 1);
  await client.shutdown();
});

test("a page may not name its User-Agent", async () => {
  const context = webContext();
  context.document = {};
  const seen = [];
  context.fetch = async (_url, { headers }) => {
    seen.push(Object.keys(headers));
    return Response.json({ results: [{ status: "accepted" }] });
  };
  const { Phospho } = await load(context);
  const client = new Phospho({ apiKey: "ph_test" });

  client.log({ input: "Hello" });
  await client.flush();

  assert.deepEqual(
    seen.map((names) => [...names].sort()),
    [["Authorization", "Content-Type"]],
  );
});

test("nothing is imported that is not a file of the package", () => {
  for (const path of readdirSync(DIST, { recursive: true }).filter((name) => name.endsWith(".js"))) {
    const source = readFileSync(join(DIST, path), "utf8");
    const imported = [...source.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(
      ([, specifier]) => specifier,
    );
    assert.deepEqual(
      imported.filter((specifier) => !specifier.startsWith(".")),
      [],
      path,
    );
  }
});
