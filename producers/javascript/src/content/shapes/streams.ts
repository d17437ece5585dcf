/** Answers that come in chunks, put together so that their text is that of the whole answer. */

import { isObject, type Json, type JsonObject } from "../json.js";
import { addAiSdk, addAnthropic, addBedrock, addCohere } from "./block-events.js";
import { CONTENT, Draft } from "./draft.js";
import { withoutEnvelope } from "./envelopes.js";
import { mergeCounts, modelName, type Usage, usageOfCounts } from "./figures.js";
import { addChat, addGemini, addMessage } from "./message-chunks.js";
import { addAssistants, addResponses } from "./openai-events.js";
import { joined } from "./parts.js";
import {
  addAgentMessage,
  addHelperEvent,
  addInteraction,
  addListedAnswers,
  addLlamaIndex,
  addPlainText,
  addToken,
  addTranscription,
} from "./text-chunks.js";

/** Add a chunk of one API to a draft. Return whether the chunk has its shape. */
type AddChunk = (draft: Draft, chunk: JsonObject) => boolean;

// In this order: some shapes have the fields of later ones.
const SHAPES: readonly AddChunk[] = [
  addChat,
  addResponses,
  addAnthropic,
  addGemini,
  addBedrock,
  addAssistants,
  addInteraction,
  addCohere,
  addTranscription,
  addAiSdk,
  addToken,
  addListedAnswers,
  addAgentMessage,
  addLlamaIndex,
  addMessage,
  addPlainText,
];

/**
 * One answer of which chunks are added: OpenAI, Assistants, Azure, LiteLLM, Anthropic, Gemini, Bedrock, Ollama, Cohere,
 * LangChain, LlamaIndex, the AI SDK, and the events that the libraries' stream helpers add. An unknown chunk adds
 * nothing.
 */
export class Assembly {
  readonly #draft = new Draft();
  readonly #counts: JsonObject = {};
  #model = "";

  /** Add one chunk, as JSON. Return whether its shape is known. */
  add(value: Json): boolean {
    if (typeof value === "string") {
      this.#draft.grow([0, CONTENT], value);
      return true;
    }
    if (!isObject(value)) return false;
    const isHelperEvent = value.type === "chunk" && isObject(value.chunk); // of OpenAI's stream helper
    const chunk = withoutEnvelope(isHelperEvent ? (value.chunk as JsonObject) : value);
    this.addFigures(chunk);
    if ("snapshot" in chunk && !String(chunk.type).startsWith("response.")) {
      addHelperEvent(this.#draft, chunk);
      return true;
    }
    return SHAPES.some((addChunk) => addChunk(this.#draft, chunk));
  }

  /** Take over the model and the counts of a chunk. */
  addFigures(chunk: Json): void {
    mergeCounts(this.#counts, chunk);
    this.#model ||= modelName(chunk);
  }

  /** Return the text of the answer so far: of several choices, the first one that has text. */
  text(): string {
    const choices = this.#draft.parts.choices();
    const [first] = choices;
    if (choices.length === 1 && first?.length === 1) return first[0]?.text ?? "";
    return choices.map(joined).find((text) => text) ?? "";
  }

  /** Return the latest figure of each kind. */
  usage(): Usage {
    return usageOfCounts(this.#counts);
  }

  /** Return the model that the first chunk with one names. */
  model(): string {
    return this.#model;
  }
}
