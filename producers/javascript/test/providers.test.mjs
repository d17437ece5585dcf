// The clients of the providers, against a server on loopback: each way to an answer is logged with the same text.
// docs/clients.md shows the matrix.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, afterEach, before, beforeEach, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { Ollama } from "ollama";
import OpenAI, { AzureOpenAI } from "openai";
import { phospho, RecordingTransport } from "phospho-sdk";

const file = new URL("../../../tests/contract/shapes.json", import.meta.url);
const EXAMPLES = new Map(
  JSON.parse(readFileSync(file, "utf8")).answers.map((example) => [example.name, example]),
);

let server;
let example;
let transport;

before(async () => {
  server = createServer(answer);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
});
after(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  transport = new RecordingTransport();
  phospho.init({ transport });
});
afterEach(() => phospho.shutdown(100));

/** Answer as the provider of the path does: whole or in chunks of `example`, or with an error without one. */
async function answer(request, response) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = parts.length > 0 ? JSON.parse(Buffer.concat(parts)) : {};
  if (!example) {
    response.writeHead(400, { "content-type": "application/json" });
    const error = request.url.startsWith("/api/") ? "refused" : { message: "refused", code: 400 };
    response.end(JSON.stringify({ error }));
  } else if (request.url.startsWith("/api/")) {
    const lines = body.stream === false ? [example.whole] : example.chunks;
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  } else if (body.stream || request.url.includes(":streamGenerateContent")) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const events = example.chunks.map((chunk) => {
      const name = request.url.includes("/messages") ? `event: ${chunk.type}\n` : "";
      return `${name}data: ${JSON.stringify(chunk)}\n\n`;
    });
    response.end(events.join("") + (request.url.includes("/chat/") ? "data: [DONE]\n\n" : ""));
  } else {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(example.whole));
  }
}

const url = () => `http://127.0.0.1:${server.address().port}`;
const options = () => ({ apiKey: "k", baseURL: `${url()}/v1`, maxRetries: 0 });
const ASKED = [{ role: "user", content: "Say hello" }];

async function drain(stream) {
  for await (const _ of await stream);
}

const CHAT = { model: "gpt-4o", messages: ASKED };
const RESPONSE = { model: "gpt-4o", input: "Say hello" };
const MESSAGE = { model: "claude", max_tokens: 9, messages: ASKED };
const GEMINI = { model: "gemini", contents: "Say hello" };

/** Wrap a method of a client. */
const wrapped = (owner, name) => phospho.wrap(owner[name].bind(owner));

function chatWays(client) {
  const create = wrapped(client.chat.completions, "create");
  return {
    whole: () => create(CHAT),
    stream: () => drain(create({ ...CHAT, stream: true })),
    helper: () =>
      phospho
        .wrap((body) => client.chat.completions.stream(body))(CHAT)
        .done(),
  };
}

const PROVIDERS = {
  OpenAI: {
    text: "Chat Completions: text",
    tool: "Chat Completions: a tool call",
    ways: () => chatWays(new OpenAI(options())),
  },
  Azure: {
    text: "Chat Completions: text",
    tool: "Chat Completions: a tool call",
    ways: () =>
      chatWays(
        new AzureOpenAI({
          apiKey: "k",
          endpoint: url(),
          apiVersion: "2025-01-01",
          deployment: "d",
          maxRetries: 0,
        }),
      ),
  },
  Responses: {
    text: "Responses: text",
    tool: "Responses: a tool call",
    ways: () => {
      const client = new OpenAI(options());
      const create = wrapped(client.responses, "create");
      return {
        whole: () => create(RESPONSE),
        stream: () => drain(create({ ...RESPONSE, stream: true })),
        helper: () =>
          phospho
            .wrap((body) => client.responses.stream(body))(RESPONSE)
            .done(),
      };
    },
  },
  Anthropic: {
    text: "Anthropic: text",
    tool: "Anthropic: a tool call",
    ways: () => {
      const client = new Anthropic({ ...options(), baseURL: url() });
      const create = wrapped(client.messages, "create");
      return {
        whole: () => create(MESSAGE),
        stream: () => drain(create({ ...MESSAGE, stream: true })),
        helper: () =>
          phospho
            .wrap((body) => client.messages.stream(body))(MESSAGE)
            .done(),
      };
    },
  },
  Gemini: {
    text: "Gemini: text",
    tool: "Gemini: text and a tool call",
    ways: () => {
      const client = new GoogleGenAI({ apiKey: "k", httpOptions: { baseUrl: url() } });
      const stream = wrapped(client.models, "generateContentStream");
      return {
        whole: () => wrapped(client.models, "generateContent")(GEMINI),
        stream: () => drain(stream(GEMINI)),
      };
    },
  },
  Ollama: {
    text: "Ollama: chat",
    tool: "Ollama: two tool calls",
    ways: () => {
      const client = new Ollama({ host: url() });
      const chat = wrapped(client, "chat");
      return {
        whole: () => chat({ ...CHAT, stream: false }),
        stream: () => drain(chat({ ...CHAT, stream: true })),
      };
    },
  },
};

for (const [name, run] of Object.entries({
  awaited: (runner) => runner,
  iterated: async (runner) => {
    for await (const _ of runner);
  },
  runUntilDone: (runner) => runner.runUntilDone(),
})) {
  for (const stream of [false, true]) {
    test(`Anthropic: a tool runner, ${name}, ${stream ? "stream" : "whole"}`, async () => {
      example = EXAMPLES.get("Anthropic: text");
      const client = new Anthropic({ ...options(), baseURL: url() });
      const runner = wrapped(client.beta.messages, "toolRunner");
      await run(runner({ ...MESSAGE, tools: [], stream }));
      const [log, ...others] = await logs();
      assert.deepEqual([log.input, log.output, others.length], ["Say hello", example.text, 0]);
      example = undefined;
      await assert.rejects(async () => run(runner({ ...MESSAGE, tools: [], stream })));
      assert.match((await logs())[1].error, /refused/);
    });
  }
}

const ends = (events) => events.filter(({ type }) => /^response\.(created|completed)$/.test(type));

async function logs() {
  assert.ok((await phospho.flush()).isComplete);
  assert.deepEqual(phospho.stats().errors, {});
  return transport.logs;
}

// The clients without stream helpers.
const WITHOUT_HELPERS = ["Gemini", "Ollama"];

for (const [provider, { text, tool, ways }] of Object.entries(PROVIDERS)) {
  for (const way of ["whole", "stream", "helper"]) {
    if (way === "helper" && WITHOUT_HELPERS.includes(provider)) continue;
    for (const [kind, name] of Object.entries({ text, tool })) {
      test(`${provider}: ${kind}, ${way}`, async () => {
        example = EXAMPLES.get(name);
        // The helper wants every event of a stream. These two are enough for it.
        if (provider === "Responses" && way === "helper")
          example = { ...example, chunks: ends(example.chunks) };
        const ask = ways()[way];
        await ask();
        const [log] = await logs();
        assert.deepEqual([log.input, log.output], ["Say hello", example.text]);
        for (const field of ["tokens_in", "tokens_out"]) {
          if (example[field] !== undefined) assert.equal(log[field], example[field]);
        }
      });
    }
    test(`${provider}: an error, ${way}`, async () => {
      example = undefined;
      const ask = ways()[way];
      await assert.rejects(async () => ask());
      const [log, ...others] = await logs();
      assert.deepEqual([log.input, log.output ?? null, others.length], ["Say hello", null, 0]);
      assert.match(log.error, /refused/);
    });
  }
}
