// A handler of an edge runtime: it waits for the flush after its response is sent.
import { Phospho } from "phospho-sdk";

let logger;

const worker = {
  async fetch(request, env, context) {
    logger ??= new Phospho({ apiKey: env.PHOSPHO_API_KEY, baseUrl: env.PHOSPHO_BASE_URL });
    logger.log({ input: await request.text(), output: "Hello!" });
    context.waitUntil(logger.flush());
    return new Response("Hello!");
  },
};

// What the runtime does:
const waiting = [];
const request = new Request("http://localhost/", { method: "POST", body: "Hi" });
const response = await worker.fetch(request, process.env, { waitUntil: (promise) => waiting.push(promise) });
const [flushed] = await Promise.all(waiting);
console.log(await response.text(), flushed.isComplete);
