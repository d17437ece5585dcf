// A response that is still a promise: the app does not await the log.
import { phospho } from "phospho-sdk";

phospho.init();

async function complete(query) {
  return { model: query.model, choices: [{ message: { role: "assistant", content: "Hello!" } }] };
}

const query = { model: "gpt-4o-mini", messages: [{ role: "user", content: "Say hello" }] };
const response = complete(query);
phospho.log({ input: query, output: response });

console.log((await response).choices[0].message.content);
await phospho.flush();
