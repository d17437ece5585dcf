// The end of a program: its logs arrive, and the SDK doesn't keep it alive.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { runNode } from "./support/run.mjs";
import { PhosphoServer, refusal } from "./support/server.mjs";

let server;
beforeEach(async () => {
  server = await PhosphoServer.start();
});
afterEach(() => server.close());

function run(program, options = []) {
  const env = { PHOSPHO_API_KEY: "ph_test", PHOSPHO_BASE_URL: server.url };
  return runNode(
    [...options, "--input-type=module", "--eval", `import { phospho } from "phospho-sdk"; ${program}`],
    { env },
  );
}

test("a program that ends without a flush sends its logs and prints nothing", async () => {
  const { code, stdout, stderr } = await run(`
    phospho.init({ tick: 60_000 });
    phospho.log({ input: "Hello", output: Promise.resolve("Hi!") });
  `);

  assert.deepEqual([code, stdout, stderr], [0, "", ""]);
  assert.deepEqual(
    server.logs.map(({ output }) => output),
    ["Hi!"],
  );
});

test("what is logged before init goes where the environment says", async () => {
  const { code, stderr } = await run(`phospho.log({ input: "early" });`);

  assert.deepEqual([code, stderr], [0, ""]);
  assert.deepEqual(
    server.logs.map(({ input }) => input),
    ["early"],
  );
});

test("an environment that cannot work throws nothing, and counts", async () => {
  const program = `
    process.env.PHOSPHO_BASE_URL = "nonsense";
    await phospho.log({ input: "early" });
    await phospho.flush();
    console.log(JSON.stringify(phospho.stats().dropped));
  `;
  const { code, stdout } = await run(program);

  assert.deepEqual([code, stdout], [0, '{"rejected:config":1}\n']);
});

test("unfinished streams and promises are sent at the end", async () => {
  const { code } = await run(`
    phospho.init();
    async function* words() { yield "Hel"; yield "lo"; }
    const stream = words();
    phospho.log({ input: "stream", output: stream, stream: true });
    await stream.next();
    phospho.log({ input: "promise", output: new Promise(() => {}) });
  `);

  assert.equal(code, 0);
  assert.deepEqual(
    server.logs.map(({ input, output }) => [input, output]),
    [
      ["stream", "Hel"],
      ["promise", null],
    ],
  );
});

test("a program ends within its timeout whatever its server does", async () => {
  const hang = () => new Promise(() => {});
  for (const script of [hang, () => refusal(503), () => refusal(429, { "Retry-After": "600" })]) {
    server.script = script;
    const { code, stderr, tookMs } = await run(`
      phospho.init({ exitTimeoutMs: 200 });
      phospho.log({ input: "Hello" });
    `);

    assert.equal(code, 0);
    assert.match(stderr, /^phospho: 1 event\(s\) are lost at the end of the process: [^\n]+\n$/);
    assert.ok(tookMs < 8_000, `${tookMs} ms`);
  }
});

test("a program that has nothing to send ends at once", async () => {
  const { code, tookMs } = await run(
    `phospho.init(); phospho.log({ input: "Hello" }); await phospho.shutdown();`,
  );

  assert.equal(code, 0);
  assert.ok(tookMs < 8_000, `${tookMs} ms`);
});

test("a pending retry does not keep a program alive", async () => {
  server.script = () => refusal(503);
  const { code, tookMs } = await run(`
    phospho.init({ exitTimeoutMs: 0, retry: { initialMs: 600_000, maxMs: 600_000 } });
    phospho.log({ input: "Hello" });
    await phospho.flush(300);
  `);

  assert.equal(code, 0);
  assert.ok(tookMs < 8_000, `${tookMs} ms`);
});

test("the ESM and the CommonJS build share their default client", async () => {
  const { code, stdout } = await run(`
    import { createRequire } from "node:module";
    const required = createRequire(import.meta.url)("phospho-sdk").phospho;
    phospho.init();
    await required.log({ input: "by require" });
    console.log(required.stats().logged === phospho.stats().logged, required === phospho);
  `);

  assert.deepEqual([code, stdout], [0, "true false\n"]);
  assert.deepEqual(
    server.logs.map(({ input }) => input),
    ["by require"],
  );
});

test("memory stays bounded while the server is away", async () => {
  server.script = () => refusal(503);
  const { stdout } = await run(`
    phospho.init({ exitTimeoutMs: 0, limits: { queueEvents: 1000 } });
    for (let n = 0; n < 20_000; n++) phospho.log({ input: "x".repeat(100) + n, output: "y" });
    await phospho.flush(100);
    const { logged, dropped, queued } = phospho.stats();
    console.log(logged, dropped.queue_full, queued);
  `);

  assert.equal(stdout, "20000 19000 1000\n");
});

test("what process.exit() loses is said", async () => {
  const { code, stderr } = await run(`phospho.log({ input: "Hello" }); process.exit(3);`);

  assert.equal(code, 3);
  assert.match(
    stderr,
    /^phospho: 1 event\(s\) are lost at the end of the process: [^\n]+phospho.shutdown[^\n]+\n$/,
  );
});

test("SIGTERM sends what was logged, and ends the process as it would have", async () => {
  const program = `
    phospho.init({ tick: 60_000 });
    setInterval(() => {}, 60_000);
    phospho.log({ input: "Hello" });
    process.kill(process.pid, "SIGTERM");
  `;

  const { code, stderr } = await run(program);

  assert.deepEqual([code, stderr], [null, ""]);
  assert.deepEqual(
    server.logs.map(({ input }) => input),
    ["Hello"],
  );
});

test("SIGTERM leaves the end to an app that listens", async () => {
  const program = `
    process.on("SIGTERM", () => setTimeout(() => process.exit(7), 500));
    phospho.init({ tick: 60_000 });
    setInterval(() => {}, 60_000);
    phospho.log({ input: "Hello" });
    process.kill(process.pid, "SIGTERM");
  `;

  const { code } = await run(program);

  assert.equal(code, 7);
  assert.equal(server.logs.length, 1);
});

test("each cause is printed once, with what to do, unless the app is silent", async () => {
  server.script = () => refusal(401);
  const program = `
    for (const options of [{}, {}, { silent: true }]) {
      phospho.init(options);
      for (const input of ["one", "two"]) {
        phospho.log({ input });
        await phospho.flush();
      }
    }
  `;
  const wrongKey = await run(program);
  const noKey = await run(`delete process.env.PHOSPHO_API_KEY; ${program}`);
  const closed = await PhosphoServer.start();
  const { url } = closed;
  await closed.close();
  const noServer = await run(`
    process.env.PHOSPHO_BASE_URL = "${url}";
    phospho.init({ retry: { initialMs: 1, maxMs: 1 }, exitTimeoutMs: 1 });
    phospho.log({ input: "Hello" });
    await phospho.flush(200);
    await phospho.shutdown(1);
  `);

  assert.match(
    wrongKey.stderr,
    /^phospho: \S+ refuses the API key \(401\)[^\n]+Check PHOSPHO_API_KEY[^\n]+\n$/,
  );
  assert.match(noKey.stderr, /^phospho: there is no API key[^\n]+Set PHOSPHO_API_KEY[^\n]+\n$/);
  assert.match(noServer.stderr, /^phospho: 1 event[^\n]+ECONNREFUSED[^\n]+ Start phospho there[^\n]+\n$/);
});
