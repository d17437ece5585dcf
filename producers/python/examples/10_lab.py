"""Run the server's detection over messages on this machine. Needs the server's package, but no server."""

from phospho import lab

definitions = [
    lab.EventDefinition("refund", engine="keyword", keywords=["refund", "money back"], scope="input"),
    lab.EventDefinition("order number", engine="regex", pattern=r"\b[A-Z]{2}-\d{4}\b"),
    lab.EventDefinition("angry", "The user is angry about the service"),
]


def has_question(message: lab.Message) -> lab.JobResult:
    return lab.JobResult(value="?" in message.content, result_type=lab.ResultType.bool)


workload = lab.Workload.from_definitions(definitions)
workload.add_job(lab.Job(id="question", job_function=has_question))

messages = [
    lab.Message("I want my money back for AB-1234!", role="User"),
    lab.Message("This service makes me so angry.", role="User"),
    lab.Message("Can you tell me the time?", role="User"),
]
try:
    workload.run(messages)
except ImportError as error:  # phospho-pipeline is not installed
    raise SystemExit(str(error)) from None
for message in messages:
    names = [job_id for job_id, result in workload.results[message.id].items() if result.value]
    print(f"{message.content} -> {', '.join(names)}")
