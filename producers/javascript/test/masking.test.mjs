/** `mask`: nothing that it replaces leaves the app. The cases are those of the Python SDK and the gateway. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Phospho, RecordingTransport } from "phospho-sdk";

const CASES = JSON.parse(
  readFileSync(new URL("../../../tests/contract/masking.json", import.meta.url), "utf8"),
);

async function logged(mask, log) {
  const transport = new RecordingTransport();
  const client = new Phospho({ transport, mask });
  client.log(log);
  await client.shutdown();
  return transport.logs[0];
}

for (const { text, masked } of CASES) {
  test(`mask replaces what its rules name: ${text}`, async () => {
    const { input } = await logged(["email", "iban", "card", "ip", "phone"], { input: text, output: "x" });
    assert.equal(input, masked);
  });
}

test("mask keeps ids, and takes patterns and functions", async () => {
  const mask = [/tiger/, (text) => text.toUpperCase()];
  const log = await logged(mask, {
    input: "a tiger",
    output: "x",
    userId: "tiger",
    metadata: { deep: ["tiger"] },
  });
  assert.equal(log.input, "A <MASKED>");
  assert.equal(log.user_id, "tiger");
  assert.deepEqual(log.metadata.deep, ["<MASKED>"]);
});

test("mask drops a text where its function throws", async () => {
  const mask = () => {
    throw new Error("no");
  };
  assert.equal((await logged(mask, { input: "my card", output: "x" })).input, "<masking failed>");
});

test("mask of an unknown name is refused", () => {
  assert.throws(() => new Phospho({ mask: "mail" }), /mask has a rule/);
});
