"""OpenTelemetry: traces of LLM apps (OTLP/HTTP) as logs of tasks. The mapping is in docs/opentelemetry.md."""
