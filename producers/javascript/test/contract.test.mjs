// The examples of all SDKs: the same input gives the same bytes.
// The Python SDK reads the same file in tests/contract/test_sdk_examples.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { Phospho } from "phospho-sdk";
import { webStream } from "./support/streams.mjs";

const file = new URL("../../../tests/contract/sdk_examples.json", import.meta.url);
const { now, examples } = JSON.parse(readFileSync(file, "utf8"));

const realNow = Date.now;
beforeEach(() => {
  Date.now = () => now * 1000;
});
afterEach(() => {
  Date.now = realNow;
});

const OPTIONS = new Map(
  Object.entries({
    session_id: "sessionId",
    task_id: "taskId",
    user_id: "userId",
    version_id: "versionId",
    raw_input: "rawInput",
    raw_output: "rawOutput",
    project_id: "projectId",
    event_id: "eventId",
    raw_flag: "rawFlag",
  }),
);

function inCamelCase(fields) {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [OPTIONS.get(name) ?? name, value]),
  );
}

function recorder() {
  const posted = [];
  const fetch = async (url, { headers, body }) => {
    const bytes = headers["Content-Encoding"] === "gzip" ? gunzipSync(body) : Buffer.from(body);
    posted.push({ path: new URL(url).pathname, body: bytes.toString("utf8") });
    return Response.json({ results: [{ status: "accepted" }] });
  };
  return { posted, fetch };
}

/** Return *body* with the ids that the SDK made, new each time, replaced by their names. */
function withoutMadeIds(body, madeIds = []) {
  return madeIds.reduce(
    (text, name) => text.replace(new RegExp(`"${name}":"[0-9a-f-]{36}"`), `"${name}":"<${name}>"`),
    body,
  );
}

async function call(client, example, stream) {
  if (example.feedback) return client.feedback(inCamelCase(example.feedback));
  if (example.user_feedback) return client.userFeedback(inCamelCase(example.user_feedback));
  const entry = inCamelCase(example.log);
  if (example.chunks) {
    client.log({ ...entry, output: stream, stream: true });
    for await (const _ of stream);
    return;
  }
  const { input_text_of: input, output_text_of: output, again } = example;
  if (input) entry.inputToStrFunction = (value) => value[input];
  if (output) entry.outputToStrFunction = (value) => value[output];
  client.log(entry);
  if (again) client.log(inCamelCase(again));
}

async function check(example, stream) {
  const { posted, fetch } = recorder();
  const client = new Phospho({
    apiKey: "ph_test",
    tick: 60_000,
    fetch,
    ...inCamelCase(example.client ?? {}),
  });

  await call(client, example, stream);

  assert.ok((await client.flush()).isComplete);
  assert.deepEqual(client.stats().errors, {});
  const told = posted.map(({ path, body }) => ({ path, body: withoutMadeIds(body, example.made_ids) }));
  assert.deepEqual(told, [{ path: example.path, body: example.body }]);
}

for (const example of examples) {
  const { chunks } = example;
  if (!chunks) {
    test(example.name, () => check(example));
    continue;
  }
  test(`${example.name}, synchronous`, () => check(example, chunks.values()));
  test(`${example.name}, asynchronous`, () => check(example, webStream(chunks)));
}
