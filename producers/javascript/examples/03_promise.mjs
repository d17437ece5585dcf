// A response that is still on its way: nobody waits for the log.
import { phospho } from "phospho";

phospho.init();

async function complete(query) {
  return { model: query.model, choices: [{ message: { role: "assistant", content: "Hello!" } }] };
}

const query = { model: "gpt-4o-mini", messages: [{ role: "user", content: "Say hello" }] };
const response = complete(query);
phospho.log({ input: query, output: response });

console.log((await response).choices[0].message.content);
await phospho.flush();
