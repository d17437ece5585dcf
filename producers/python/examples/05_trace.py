"""Group the steps of an agent: one session, and the id of the traced task in each step."""

import phospho

phospho.init()


@phospho.wrap
def search(query: str) -> str:
    return "Paris has 2.1 million inhabitants."


with phospho.tracer(metadata={"agent": "geographer"}) as trace:
    found = search("inhabitants of Paris")
    log = phospho.log(input="How many people live in Paris?", output=found)

print(log["task_id"] == trace.task_id)

phospho.flush()
