"""
Every JavaScript block of the seed documents, pasted and run, and the rows that it makes.

Names, arguments and defaults are those of the documents. Long prompts are shorter here. Each block of the first
document is a program of its own, after the lines of earlier blocks that it needs.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from fixtures.node import App
from fixtures.providers.openai_server import ANSWER

BEGIN = """
import { phospho } from "phospho";

phospho.init();
"""

INIT_WITH_PARAMETERS = """
// Initialize phospho
phospho.init({ apiKey: "api_key", projectId: "project_id" });
"""

TEXT = """
const question = "What's the capital of Fashion?";

const myAgent = (query) => {
  // Here, you'd do complex stuff.
  // But for this example we'll just return the same answer every time.
  return "It's Paris of course.";
};

// Log events to phospho by passing strings directly
phospho.log({
  input: question,
  output: myAgent(question),
});
"""

OPENAI = """
const question = "What's the capital of Fashion?";
const query = {
  model: "gpt-3.5-turbo",
  temperature: 0,
  seed: 123,
  messages: [
    {
      role: "system",
      content:
        "You are a helpful assistant.",
    },
    {
      role: "user",
      content: question,
    },
  ],
  stream: false,
};
const result = openai.chat.completions.create(query);
const loggedContent = await phospho.log({ input: query, output: result });

// Look at the fields "input" and "output" in the logged content
// Original fields are in "raw_input" and "raw_output"
console.log("The following content was logged to phospho:", loggedContent);
"""

CUSTOM_EXTRACTORS = """
phospho.log({
  input: { custom_input: "this is a complex object" },
  output: { custom_output: "which is not a string nor a standard object" },
  // Custom extractors return a string
  inputToStrFunction: (x) => x.custom_input,
  outputToStrFunction: (x) => x.custom_output,
});
"""

METADATA = """
log = phospho.log({
  input: "log this",
  output: "and that",
  // There is a metadata field
  metadata: { always: "moooore" },
  // Every extra keyword argument is logged as metadata
  log_anything_and_everything: "even this is ok",
});
"""

STREAMING = """
// This should also work with streaming
const question = "What's the capital of Fashion?";
const query = {
  model: "gpt-3.5-turbo",
  temperature: 0,
  seed: 123,
  messages: [
    {
      role: "system",
      content:
        "You are a helpful assistant.",
    },
    {
      role: "user",
      content: question,
    },
  ],
  stream: true,
};
const streamedResult = await openai.chat.completions.create(query);

phospho.log({ input: query, output: streamedResult, stream: true });

for await (const chunk of streamedResult) {
  process.stdout.write(chunk.choices[0]?.delta?.content || "");
}
"""

SDK = """
import { Phospho } from "phospho-sdk";

const phospho = new Phospho({ apiKey: "ph_your_api_key" });

// Log an event
const result = await phospho.log({
  input: "What's the weather?",
  output: "It's sunny today!",
  sessionId: "sess_123",
  metadata: { model: "gpt-4", latencyMs: 800 },
});

// Log feedback
await phospho.feedback({
  eventId: result.eventId,
  score: 1,
});
"""

WITH_OPENAI = 'import OpenAI from "openai";\nconst openai = new OpenAI();\n'
QUESTION = "What's the capital of Fashion?"


def run_one(app: App, logged: Any, program: str, **environment: str) -> tuple[str, dict[str, Any]]:
    """Run a program that ends without a flush. Return its output and the one row that it made."""
    printed = app.run(program, **environment)
    (task,) = logged()
    return printed, task


def metadata(task: dict[str, Any]) -> dict[str, Any]:
    value = task["metadata"]
    return json.loads(value) if isinstance(value, str) else dict(value)


def test_seed_text_with_key_of_environment(app: App, logged: Any) -> None:
    printed, task = run_one(app, logged, BEGIN + TEXT)

    assert printed == ""
    assert (task["input"], task["output"]) == (QUESTION, "It's Paris of course.")
    assert task["project_id"] == "project_id"


def test_seed_text_with_key_as_parameter(app: App, logged: Any) -> None:
    program = BEGIN.replace("phospho.init();", INIT_WITH_PARAMETERS) + TEXT

    _, task = run_one(app, logged, program, PHOSPHO_API_KEY="", PHOSPHO_PROJECT_ID="")

    assert (task["project_id"], task["input"]) == ("project_id", QUESTION)


def test_seed_openai_query_and_promise(app: App, logged: Any) -> None:
    printed, task = run_one(app, logged, BEGIN + WITH_OPENAI + OPENAI)

    assert printed.startswith("The following content was logged to phospho: {")
    for text in (f'input: "{QUESTION}"', f"output: '{ANSWER}'", "raw_input: {", "raw_output: {"):
        assert text in printed
    assert (task["input"], task["output"]) == (QUESTION, ANSWER)
    assert task["system_prompt"] == "You are a helpful assistant."
    assert (task["model"], int(task["tokens_in"]), int(task["tokens_out"])) == ("gpt-3.5-turbo-0125", 25, 7)


def test_seed_custom_extractors(app: App, logged: Any) -> None:
    _, task = run_one(app, logged, BEGIN + CUSTOM_EXTRACTORS)

    texts = (task["input"], task["output"])
    assert texts == ("this is a complex object", "which is not a string nor a standard object")


def test_seed_metadata_and_other_keys(app: App, logged: Any) -> None:
    # The block assigns to a variable that it does not declare, which a module may not.
    _, task = run_one(app, logged, BEGIN + "let log;" + METADATA)

    assert (task["input"], task["output"]) == ("log this", "and that")
    assert metadata(task) == {"always": "moooore", "log_anything_and_everything": "even this is ok"}


def test_seed_openai_stream(app: App, logged: Any) -> None:
    printed, task = run_one(app, logged, BEGIN + WITH_OPENAI + STREAMING)

    assert printed == ANSWER
    assert (task["input"], task["output"]) == (QUESTION, ANSWER)
    assert task["system_prompt"] == "You are a helpful assistant."


def test_seed_class_of_second_document(app: App, logged: Any, server: Any) -> None:
    """Its key is replaced by that of the server of all tests."""
    program = SDK.replace("ph_your_api_key", "api_key") + "\nconsole.log(result.eventId);"

    printed, task = run_one(app, logged, program)

    assert task["task_id"] == str(uuid.UUID(printed.strip()))
    assert (task["input"], task["output"]) == ("What's the weather?", "It's sunny today!")
    assert (task["session_id"], task["model"], task["latency_ms"]) == ("sess_123", "gpt-4", 800)
    assert task["flag"] == "success"
    (feedback,) = server.rows(f"SELECT * FROM feedback WHERE task_id = '{task['task_id']}'")
    assert feedback["flag"] == "success"
