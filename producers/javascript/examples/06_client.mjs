// Several clients, beside the module's: each has its own queue and settings.
import { Phospho } from "phospho-sdk";

const support = new Phospho({ versionId: "support-3" });
const sales = new Phospho({ versionId: "sales-1" });

await support.log({ input: "My order is late", output: "I am sorry!" });
await sales.log({ input: "Do you ship to Lisbon?", output: "We do." });

const results = await Promise.all([support.shutdown(), sales.shutdown()]);
console.log(results.every((result) => result.isComplete));
