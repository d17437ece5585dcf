"""
Text, model and usage in the requests and responses of LLM clients.

Objects are recognised by their shape, so a client in any language may log them unchanged: OpenAI chat
completions and responses, message lists, Anthropic messages, Gemini contents, Ollama, and lists of streamed chunks.
"""
