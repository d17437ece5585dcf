import assert from "node:assert/strict";

/** Wait until *isSo*, for ten seconds at most. */
export async function until(isSo, what) {
  const deadline = performance.now() + 10_000;
  while (!isSo()) {
    assert.ok(performance.now() < deadline, `in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
