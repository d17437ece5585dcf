"""The OpenAI client, instrumented by OpenLLMetry, inside workflows that carry association properties."""

from calls import talk
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from tracing import provider

traces = provider()
OpenAIInstrumentor().instrument(tracer_provider=traces)
tracer = traces.get_tracer("talker")
talk(
    lambda name: tracer.start_as_current_span(
        f"{name}.workflow",
        attributes={
            "traceloop.span.kind": "workflow",
            "traceloop.association.properties.session_id": f"openllmetry {name}",
            "traceloop.association.properties.user_id": "ann",
        },
    )
)
