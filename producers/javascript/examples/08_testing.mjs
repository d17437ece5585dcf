// A test of an app, with a transport that records the events.
import assert from "node:assert/strict";
import { phospho, RecordingTransport } from "phospho-sdk";

function myApp(question) {
  const answer = `You said: ${question}`;
  phospho.log({ input: question, output: answer });
  return answer;
}

const transport = new RecordingTransport();
phospho.init({ transport });

myApp("Hello");

await phospho.flush();
assert.equal(transport.logs[0].output, "You said: Hello");
console.log("passed");
