"""
Text, model and usage of what LLM clients send and get back.

Objects are recognised by their shape, so that a client in any language may log them as they are: OpenAI chat
completions and responses, message lists, Anthropic messages, Gemini contents, Ollama, and lists of streamed chunks.
"""
