// A log, its feedback, and the result of the flush.
import { phospho } from "phospho-sdk";

phospho.init();

const { eventId } = await phospho.log({
  input: "What is six times seven?",
  output: "42",
  userId: "user-1",
  metadata: { model: "gpt-4o-mini", latency_ms: 840 },
});
await phospho.feedback({ eventId, score: 1, comment: "Quick!" });

const { sent, rejected, pending } = await phospho.flush();
console.log(`sent ${sent.length}, rejected ${rejected.length}, pending ${pending.length}`);
