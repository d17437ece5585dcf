// A server that is away: the app goes on, memory is bounded, and every event is counted.
import { Phospho } from "phospho-sdk";

const client = new Phospho({
  apiKey: "ph_any",
  baseUrl: "http://127.0.0.1:1",
  exitTimeoutMs: 100,
  limits: { queueEvents: 2 },
  onWarning: (text) =>
    console.log(
      text
        .replace(/[0-9a-f]{8}-[0-9a-f-]+/, "…")
        .split(":")[1]
        .trim(),
    ),
});

for (const input of ["one", "two", "three"]) client.log({ input });

const { pending } = await client.flush(1_000);
console.log(`pending ${pending.length}, dropped ${client.stats().dropped.queue_full}`);
