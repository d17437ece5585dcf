// The AI SDK of Vercel, wrapped. A mock stands in for the model of a provider.
import * as ai from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { phospho } from "phospho-sdk";

phospho.init();
const generateText = phospho.wrap(ai.generateText, { sessionId: "conversation_123" });

const model = new MockLanguageModelV4({
  modelId: "mock-1",
  doGenerate: async () => ({
    content: [{ type: "text", text: "It is sunny today!" }],
    finishReason: { unified: "stop", raw: "stop" },
    usage: { inputTokens: { total: 9 }, outputTokens: { total: 5 } },
    warnings: [],
  }),
});
const { text } = await generateText({ model, prompt: "What is the weather in Paris?" });
console.log(text);
await phospho.flush();
