"""Group the steps of an agent: they share a session, and carry the id of the traced task."""

import phospho

phospho.init()


@phospho.wrap
def search(query: str) -> str:
    return "Paris has 2.1 million inhabitants."


with phospho.tracer(metadata={"agent": "geographer"}) as trace:
    answer = search("inhabitants of Paris")
    log = phospho.log(input="How many people live in Paris?", output=answer)

print(log["task_id"] == trace.task_id)

phospho.flush()
