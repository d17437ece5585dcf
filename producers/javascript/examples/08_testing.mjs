// An app's own test, with a transport that keeps what would have been sent.
import assert from "node:assert/strict";
import { phospho, RecordingTransport } from "phospho";

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
