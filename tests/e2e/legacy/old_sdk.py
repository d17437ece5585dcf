"""
An app that was written for upstream phospho, with the PyPI package 0.3.45 as it is.

Run in an environment of that package alone: `python -I old_sdk.py RESULTS BASE_URL API_KEY PROJECT_ID`. It writes one
JSON document to the file RESULTS: by scenario what the SDK returned, or the traceback.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")

import openai  # noqa: E402
from openai.types.chat import ChatCompletion, ChatCompletionChunk  # noqa: E402

import phospho  # noqa: E402
from phospho import models  # noqa: E402

QUERY = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "system", "content": "You are a helpful frog."},
        {"role": "user", "content": "What is the capital of Fashion?"},
    ],
}
ANSWER = ChatCompletion.model_validate(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris, ribbit."}}
        ],
        "usage": {"prompt_tokens": 21, "completion_tokens": 5, "total_tokens": 26},
    }
)


def chunk(text: str | None, finish_reason: str | None = None) -> ChatCompletionChunk:
    """Return one piece of a streamed answer."""
    return ChatCompletionChunk.model_validate(
        {
            "id": "chatcmpl-2",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}],
        }
    )


CHUNKS = [chunk("Paris"), chunk(", "), chunk("ribbit."), chunk(None, "stop")]


def read(task_id: str) -> dict[str, Any]:
    """Return a task as upstream's model parses it."""
    content = phospho.client.tasks.get(task_id).content
    return models.Task.model_validate(content).model_dump()


def plain() -> Any:
    session_id = phospho.new_session()
    sent = phospho.log(
        input="I want to book a flight to Lisbon",
        output="Shall I book the one at 9:40?",
        session_id=session_id,
        user_id="user-7",
        version_id="v12",
        metadata={"always": "more", "nested": {"depth": 2}, "list": [1, 2.5, "three", True]},
        log_anything_and_everything="even this is ok",
    )
    silent = phospho.log(input="Nobody answers")
    phospho.flush()
    return {"sent": sent, "read": read(sent["task_id"]), "silent": read(silent["task_id"])}


def openai_objects() -> Any:
    sent = phospho.log(input=QUERY, output=ANSWER)
    strange = phospho.log(
        input={"custom_input": "a complex object"},
        output={"custom_output": "not a standard one"},
        input_to_str_function=lambda value: value["custom_input"],
        output_to_str_function=lambda value: value["custom_output"],
    )
    phospho.flush()
    return {"sent": sent, "read": read(sent["task_id"]), "strange": read(strange["task_id"])}


def streams() -> Any:
    mutable = phospho.MutableGenerator(generator=(each for each in CHUNKS), stop=lambda value: value is None)
    logged = phospho.log(input=QUERY, output=mutable, stream=True)
    heard = list(mutable)
    phospho.flush()
    heard_later = asyncio.run(_async_stream())
    phospho.flush()
    return {
        "heard": len(heard),
        "read": read(logged["task_id"]),
        "heard_later": len(heard_later),
        "read_later": read(phospho.latest_task_id),
    }


async def _async_stream() -> list[Any]:
    async def answer() -> Any:
        for each in CHUNKS:
            yield each

    mutable = phospho.MutableAsyncGenerator(generator=answer(), stop=lambda value: value is None)
    phospho.log(input=QUERY, output=mutable, stream=True)
    return [each async for each in mutable]


def wraps() -> Any:
    said = phospho.wrap(lambda messages, model: ANSWER, metadata={"more": "details"})(**QUERY)
    whole = phospho.latest_task_id
    streamed = list(phospho.wrap(lambda messages, model, stream: iter(CHUNKS))(**QUERY, stream=True))
    piece = phospho.latest_task_id
    phospho.flush()
    return {
        "said": said.choices[0].message.content,
        "whole": read(whole),
        "streamed": len(streamed),
        "piece": read(piece),
    }


def feedback() -> Any:
    sent = phospho.log(input="Was it good?", output="It was.", flag="failure")
    phospho.flush()
    before = read(sent["task_id"])
    entity = phospho.user_feedback(sent["task_id"], flag="success", notes="It was good.", source="user-7")
    again = phospho.user_feedback(sent["task_id"], raw_flag="👍")
    return {
        "before": before,
        "answer": entity.content_as_dict(),
        "again": again.content_as_dict(),
        "after": read(sent["task_id"]),
    }


def sessions() -> Any:
    made = phospho.client.sessions.create(data={"channel": "web"})
    turns = [("Hello", "Hi there"), ("I want to book a flight", "Where to?"), ("Lisbon", None)]
    for question, answer in turns:
        phospho.log(input=question, output=answer, session_id=made.id)
        phospho.flush()
        time.sleep(0.01)
    listed = {session.id: session.content for session in phospho.client.sessions.list()}
    got = phospho.client.sessions.get(made.id)
    got.refresh()
    tasks = [models.Task.model_validate(entity.content).model_dump() for entity in got.list_tasks()]
    return {
        "made": models.Session.model_validate(made.content).model_dump(),
        "got": models.Session.model_validate(got.content).model_dump(),
        "listed": models.Session.model_validate(listed[made.id]).model_dump(),
        "tasks": tasks,
        "transcript": phospho.client._get(f"/sessions/{made.id}/transcript").json(),
    }


def tasks() -> Any:
    client = phospho.client
    session_id = client.sessions.create().id
    made = client.tasks.create(
        session_id=session_id,
        sender_id="sender-1",
        input="Made by hand",
        output="And answered",
        additional_input={"temperature": 0.2},
        additional_output={"finish_reason": "stop"},
        data={"ticket": 17},
    )
    first = read(made.id)
    changed = made.update(metadata={"priority": "high"}, notes="Look again", flag="failure", flag_source="owner")
    made.refresh()
    filters = models.ProjectDataFilters(sessions_ids=[session_id], flag="failure")
    found = client.fetch_tasks(filters)
    return {
        "first": first,
        "changed": models.Task.model_validate(changed.content).model_dump(),
        "refreshed": models.Task.model_validate(made.content).model_dump(),
        "found": [task.model_dump() for task in found],
        "nothing": client.fetch_tasks(models.ProjectDataFilters(sessions_ids=[session_id], flag="success")),
        "all": [entity.id for entity in client.tasks.get_all()],
        "project": client.project_config().model_dump(),
    }


def dataframe() -> Any:
    session_id = phospho.new_session()
    sent = [
        phospho.log(input=text, output="Fine", session_id=session_id, metadata={"place": place})
        for place, text in enumerate(["I want my money back, a refund", "Nothing at all", "A refund, please"])
    ]
    phospho.flush()
    own = _own_rows(session_id)
    own["task_eval"] = "success"
    phospho.push_tasks_df(own[["task_id", "task_eval"]])
    evaluated = _own_rows(session_id)
    labelled = evaluated[["task_id"]].copy()
    labelled["task_metadata"] = [{"label": f"label-{place}"} for place in range(len(labelled))]
    phospho.push_tasks_df(labelled)
    pushed = _own_rows(session_id)
    flat = [models.FlattenedTask.model_validate(row) for row in phospho.client.tasks_flat()["flattened_tasks"]]
    return {
        "sent": [each["task_id"] for each in sent],
        "columns": list(own.columns),
        "evaluated": json.loads(evaluated.to_json(orient="records")),
        "pushed": json.loads(pushed.to_json(orient="records")),
        "flat": [row.task_id for row in flat if row.session_id == session_id],
        "without": list(phospho.tasks_df(with_events=False, with_sessions=False).columns),
    }


def tracer() -> Any:
    client = openai.OpenAI(base_url=_openai_server(), api_key="none")
    with phospho.tracer(session_id="traced", metadata={"plan": "pro"}):
        answer = client.chat.completions.create(**QUERY)
        sent = phospho.log(input=QUERY, output=answer)
    phospho.flush()
    tasks = phospho.client._get("/sessions/traced/tasks").json()["tasks"]
    return {"sent": sent, "tasks": [models.Task.model_validate(task).model_dump() for task in tasks]}


class _OpenAI(BaseHTTPRequestHandler):
    """Gives ANSWER to every question."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = ANSWER.model_dump_json().encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _openai_server() -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _OpenAI)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/v1"


def _own_rows(session_id: str) -> Any:
    frame = phospho.tasks_df()
    return frame[frame["session_id"] == session_id].sort_values("task_id").reset_index(drop=True)


# The last one changes what the client of OpenAI does.
SCENARIOS = (plain, openai_objects, streams, wraps, feedback, sessions, tasks, dataframe, tracer)


def _outcome(scenario: Callable[[], Any], settings: dict[str, str]) -> dict[str, Any]:
    try:
        phospho.init(**settings, tick=0.05, tracing=scenario is tracer)
        return {"result": scenario()}
    except Exception:
        return {"error": traceback.format_exc()}


if __name__ == "__main__":
    results, base_url, api_key, project_id = sys.argv[1:]
    settings = {"api_key": api_key, "project_id": project_id, "base_url": base_url, "version_id": "release-1"}
    outcomes = {scenario.__name__: _outcome(scenario, settings) for scenario in SCENARIOS}
    document = {"file": phospho.__file__, "version": phospho.__version__, "outcomes": outcomes}
    Path(results).write_text(json.dumps(document))
