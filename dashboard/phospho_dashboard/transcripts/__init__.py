"""Show the texts of tasks: Markdown, the evidence of events, and the steps of agents."""
