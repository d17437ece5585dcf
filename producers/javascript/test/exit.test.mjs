// The end of a program: its logs arrive, and the SDK doesn't keep it alive.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
      phospho.init({ exitTimeoutMs: 200, retry: { initialMs: 0 } });
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

const EVERY_SIGNAL = ["SIGINT", "SIGTERM"];
const inputs = () => server.logs.map(({ input }) => input);

/** A program that logs, sends *signals* to itself, and would go on for a minute. */
const signalled = (signals, head = "") => `
  ${head}
  setInterval(() => {}, 60_000);
  phospho.init({ tick: 60_000, exitTimeoutMs: 20_000 });
  phospho.log({ input: "Hello" });
  for (const signal of ${JSON.stringify(signals)}) {
    process.kill(process.pid, signal);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
`;

for (const signal of EVERY_SIGNAL) {
  test(`${signal} sends what was logged, and ends the process as it would have`, async () => {
    const { code, signalCode, stderr } = await run(signalled([signal]));

    assert.deepEqual([code, signalCode, stderr], [null, signal, ""]);
    assert.deepEqual(inputs(), ["Hello"]);
  });

  for (const method of ["on", "once"]) {
    test(`${signal} leaves the end to an app that listens with ${method}`, async () => {
      const end = "setInterval(() => phospho.stats().sent > 0 && process.exit(7), 5)";
      const listen = `process.${method}("${signal}", () => ${end});`;
      const { code } = await run(signalled([signal], listen));

      assert.equal(code, 7);
      assert.deepEqual(inputs(), ["Hello"]);
    });
  }
}

test("a second signal ends the process at once", async () => {
  server.script = () => new Promise(() => {});
  const { signalCode, tookMs } = await run(signalled(["SIGINT", "SIGINT", "SIGINT"]));

  assert.equal(signalCode, "SIGINT");
  assert.ok(tookMs < 15_000, `${tookMs} ms`);
});

test("a tool that uses signal-exit cleans up and ends, and its logs arrive", async () => {
  const head = `
    import { onExit } from "signal-exit";
    onExit((code, signal) => console.log("clean", signal));
  `;
  const { signalCode, stdout } = await run(signalled(["SIGTERM"], head));

  assert.deepEqual([signalCode, stdout], ["SIGTERM", "clean SIGTERM\n"]);
  assert.deepEqual(inputs(), ["Hello"]);
});

test("signals have a listener only while something is queued", async () => {
  const { stdout } = await run(`
    const counts = [];
    const count = () => counts.push(process.listenerCount("SIGINT") + process.listenerCount("SIGTERM"));
    phospho.init({ tick: 60_000 });
    count();
    for (let n = 0; n < 2; n++) {
      phospho.log({ input: "Hello" });
      count();
      await phospho.flush();
      count();
    }
    console.log(counts.join());
  `);

  assert.equal(stdout, "0,2,0,2,0\n");
});

test("a crash ends as without the SDK, and what it loses is said", async () => {
  const { code, stderr } = await run(`phospho.log({ input: "Hello" }); throw new Error("mine");`);

  assert.equal(code, 1);
  assert.match(stderr, /^phospho: 1 event\(s\) are lost[^\n]+phospho.shutdown/m);
  assert.match(stderr, /^Error: mine\n {4}at /m);
});

test("worker threads and the workers of a cluster send what they have logged", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "phospho-"));
  context.after(() => rm(folder, { recursive: true }));
  const exec = join(folder, "worker.mjs");
  await writeFile(
    exec,
    `
    import cluster from "node:cluster";
    import { phospho } from "${import.meta.resolve("phospho-sdk")}";
    phospho.log({ input: "cluster" });
    cluster.worker.disconnect();
    `,
  );
  const { code, stderr } = await run(`
    import cluster from "node:cluster";
    import { once } from "node:events";
    import { Worker } from "node:worker_threads";
    const source = 'import("phospho-sdk").then(({ phospho }) => phospho.log({ input: "thread" }))';
    await once(new Worker(source, { eval: true }), "exit");
    cluster.setupPrimary({ exec: ${JSON.stringify(exec)}, execArgv: [] });
    await once(cluster.fork(), "exit");
  `);

  assert.deepEqual([code, stderr], [0, ""]);
  assert.deepEqual(inputs(), ["thread", "cluster"]);
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
