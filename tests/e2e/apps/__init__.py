"""Small LLM apps, instrumented as their users do it. Each runs in a process of its own: instrumentation is global."""
