// Wrapped functions behave as before, and their calls are logged.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Phospho, phospho, RecordingTransport } from "phospho-sdk";
import { runNode } from "./support/run.mjs";

let transport;
const unhandled = [];
process.on("unhandledRejection", (error) => unhandled.push(error));

beforeEach(() => {
  transport = new RecordingTransport();
  phospho.init({ transport });
});

afterEach(async () => {
  await phospho.shutdown(100);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled.splice(0), []);
});

async function logs() {
  assert.ok((await phospho.flush()).isComplete);
  return transport.logs;
}

async function taken(stream) {
  const values = [];
  for await (const value of stream) values.push(value);
  return values;
}

test("wrap keeps the receiver, and logs metadata and latency", async () => {
  const app = {
    greeting: "Hello",
    greet: phospho.wrap(
      function greet(name) {
        return `${this.greeting} ${name}`;
      },
      { metadata: { team: "blue" }, version: 1 },
    ),
  };

  assert.equal(app.greet("Ada"), "Hello Ada");
  assert.deepEqual([app.greet.name, app.greet.length], ["greet", 1]);

  const [event] = await logs();
  assert.deepEqual([event.input, event.output, event.version], ["Ada", "Hello Ada", 1]);
  assert.deepEqual(event.metadata, { team: "blue" });
  assert.ok(event.latency_ms >= 0);
});

test("a function returns its own promise", async () => {
  const promise = Promise.resolve("42");
  const answer = phospho.wrap(() => promise);

  assert.equal(answer("q"), promise);

  await promise;
  assert.equal((await logs())[0].output, "42");
});

test("a call that throws is logged with its error, which the app gets", async () => {
  class Overloaded extends Error {}
  const error = new Overloaded("mine");
  const throwing = () => {
    throw error;
  };
  const failures = {
    "a function": throwing,
    "an async function": async () => throwing(),
    "a promise": () => Promise.reject(error),
    // biome-ignore lint/suspicious/noThenProperty: it is what is tested
    "a thenable": () => ({ then: (resolve, reject) => Promise.reject(error).then(resolve, reject) }),
    "an async generator": async function* () {
      yield "Hel";
      throwing();
    },
    "a rejected promise of a stream": async () => new ReadableStream({ start: throwing }),
  };
  for (const [kind, fn] of Object.entries(failures)) {
    const call = async () => {
      const output = await phospho.wrap(fn)(kind);
      for await (const _ of output);
    };
    await assert.rejects(call(), (thrown) => thrown === error);
  }
  const answer = phospho.wrap(async () => throwing());
  await assert.rejects(
    answer("twice").catch((thrown) => {
      throw thrown;
    }),
    error,
  );

  const tasks = await logs();
  assert.deepEqual(
    tasks.map(({ input, error }) => [input, error]),
    [...Object.keys(failures), "twice"].map((kind) => [kind, "Overloaded: mine"]),
  );
  assert.deepEqual(
    tasks.map(({ output }) => output),
    tasks.map(({ input }) => (input === "an async generator" ? "Hel" : null)),
  );
  assert.ok(tasks.every(({ input, latency_ms: ms }) => input === "an async generator" || ms >= 0));
});

test("a rejection of a wrapped async function that nobody handles is reported once", async () => {
  const program = `
    import { phospho, RecordingTransport } from "phospho-sdk";
    const transport = new RecordingTransport();
    phospho.init({ transport });
    process.on("unhandledRejection", (error) => console.log(error.message));
    phospho.wrap(async () => { throw new Error("nobody's"); })("q");
    setImmediate(() => phospho.flush().then(() => console.log(transport.logs[0].error)));
  `;
  const { stdout } = await runNode(["--input-type=module", "--eval", program]);

  assert.equal(stdout, "nobody's\nError: nobody's\n");
});

test("a promise with methods of its own keeps them", async () => {
  class APIPromise extends Promise {
    withResponse() {
      return "the response";
    }
  }
  const create = phospho.wrap(() => APIPromise.resolve({ choices: [{ message: { content: "Hello!" } }] }));

  const promise = create({ messages: [{ role: "user", content: "Hi" }] });

  assert.equal(promise.withResponse(), "the response");
  await promise;
  const [event] = await logs();
  assert.deepEqual([event.input, event.output], ["Hi", "Hello!"]);
});

test("a thenable is started by the app alone", async () => {
  let asked = 0;
  const query = phospho.wrap(() => ({
    // biome-ignore lint/suspicious/noThenProperty: it is what is tested
    then(resolve) {
      asked += 1;
      resolve("rows");
    },
  }));

  assert.equal(await query("SELECT 1"), "rows");

  assert.equal(asked, 1);
  assert.equal((await logs())[0].output, "rows");
});

test("generators are logged when they end", async () => {
  const spell = phospho.wrap(function* (word) {
    yield* word;
  });
  const spellLater = phospho.wrap(async function* (word) {
    yield* word;
  });

  assert.deepEqual([...spell("abc")], ["a", "b", "c"]);
  assert.deepEqual(await taken(spellLater("xyz")), ["x", "y", "z"]);

  assert.deepEqual(
    (await logs()).map(({ input, output }) => [input, output]),
    [
      ["abc", "abc"],
      ["xyz", "xyz"],
    ],
  );
});

test("a call with stream: true is watched; stop ends the output", async () => {
  async function* chunks() {
    yield* ["Hel", "lo", null, "after"];
  }
  const create = phospho.wrap(async (_query) => chunks(), { stop: (chunk) => chunk === null });

  const stream = await create({ messages: [{ role: "user", content: "Hi" }], stream: true });

  assert.deepEqual(await taken(stream), ["Hel", "lo", null, "after"]);
  assert.deepEqual(
    (await logs()).map(({ input, output }) => [input, output]),
    [["Hi", "Hello"]],
  );
});

test("an array of chunks is given back as it is", async () => {
  const chunks = ["Hel", "lo"];
  const create = phospho.wrap(() => chunks, { stream: true });

  assert.equal(create("q"), chunks);

  assert.equal((await logs())[0].output, "Hello");
});

test("a stop that throws is counted, and the stream goes on", async () => {
  const create = phospho.wrap(() => ["Hel", "lo"].values(), {
    stop: () => {
      throw new Error("mine");
    },
  });

  assert.deepEqual([...create("q")], ["Hel", "lo"]);

  assert.equal((await logs())[0].output, "Hello");
  assert.deepEqual(phospho.stats().errors, { stop: 2 });
});

test("arguments become the input: one, a known call, or all by index", async () => {
  const echo = phospho.wrap(() => "ok");
  echo("alone");
  echo({ messages: [{ role: "user", content: "Hi" }] }, { timeout: 3 });
  echo("a", 2);
  echo();

  assert.deepEqual(
    (await logs()).map(({ input }) => input),
    ["alone", "Hi", '{"0":"a","1":2}', "{}"],
  );
});

test("ids in the argument are logged; options of wrap come first", async () => {
  const answer = phospho.wrap((_question) => "ok", { userId: "from-wrap" });
  answer({ question: "q", sessionId: "s-1", userId: "u-1" });

  const [event] = await logs();
  assert.deepEqual([event.session_id, event.user_id, event.input], ["s-1", "from-wrap", "q"]);
});

test("a function may be wrapped before init, or by a client", async () => {
  await phospho.shutdown();
  const early = phospho.wrap((x) => x);
  phospho.init({ transport });
  const mine = new RecordingTransport();
  const client = new Phospho({ transport: mine });

  early("early");
  client.wrap((x) => x)("mine");
  await client.flush();

  assert.deepEqual(
    (await logs()).map(({ input }) => input),
    ["early"],
  );
  assert.deepEqual(
    mine.logs.map(({ input }) => input),
    ["mine"],
  );
});

test("what is no function is given back", () => {
  assert.equal(phospho.wrap(undefined), undefined);
});

test("classes stay constructible, and static properties stay", () => {
  class Model {
    static kind = "model";
    name = "mine";
  }
  const Wrapped = phospho.wrap(Model);

  assert.equal(new Wrapped().name, "mine");
  assert.equal(Wrapped.kind, "model");
});
