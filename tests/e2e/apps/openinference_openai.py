"""The OpenAI client, instrumented by OpenInference."""

from calls import talk
from openinference.instrumentation import using_attributes
from openinference.instrumentation.openai import OpenAIInstrumentor
from tracing import provider

OpenAIInstrumentor().instrument(tracer_provider=provider())
talk(lambda name: using_attributes(session_id=f"openinference {name}", user_id="ann", metadata={"tenant": "north"}))
