"""
Text, system prompt, model and token counts in the requests and responses of LLM clients, as JSON values.

An object is recognised by its fields, so every client sends its own unchanged: whole, or as a list of chunks.
docs/clients.md has the rules, `tests/contract/shapes.json` has examples of them for all languages.

parts       one message or one part of it
answers     whole responses            streams     responses that come in chunks (answer_parts, streamed_part)
envelopes   objects inside others: LangChain's serialised ones, Assistants' events, Bedrock's chunks
requests    the user's text and the system prompt
figures     model, tokens, latency     media       base64, which is described instead of kept

The Python SDK's `phospho._shapes` is a link to this folder: it imports the standard library alone, and runs on
Python 3.9. No function raises, whatever the value.
"""
