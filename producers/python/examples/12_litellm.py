"""Log the calls of LiteLLM. `mock_response` stands in for a provider."""

import litellm

import phospho
from phospho.integrations import PhosphoLiteLLMLogger

phospho.init()
litellm.callbacks = [PhosphoLiteLLMLogger()]

answer = litellm.completion(
    model="gpt-4o-mini",
    messages=[{"role": "user", "content": "What is the weather in Paris?"}],
    metadata={"session_id": "conversation_123"},
    user="user_456",
    mock_response="It is sunny today!",
)
print(answer.choices[0].message.content)
