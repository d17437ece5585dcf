"""The SDK against a real gateway: every log arrives once, and is read as it was sent."""

from __future__ import annotations

import json
from typing import Any

from fixtures.node import App, json_lines
from fixtures.providers.openai_server import ANSWER, MODEL

HEAD = 'import { phospho } from "phospho-sdk";\nphospho.init();\n'
TAIL = "\nconsole.log(JSON.stringify([(await phospho.flush()).isComplete, phospho.stats()]));"


def metadata(task: dict[str, Any]) -> dict[str, Any]:
    value = task["metadata"]
    return json.loads(value) if isinstance(value, str) else dict(value)


def test_log_is_read_as_sent(app: App, logged: Any) -> None:
    app.run(
        HEAD
        + """await phospho.log({ input: "Grüße 👋", output: null, sessionId: "s-1", taskId: "t-1", userId: "u-1",
             versionId: "v-1", metadata: { model: "gpt-4", tokens_in: 3, latencyMs: 12.5, deep: { a: [1, null] } },
             tokensOut: 4, anything: "else" });"""
        + TAIL
    )

    (task,) = logged()
    assert (task["project_id"], task["session_id"], task["task_id"]) == ("project_id", "s-1", "t-1")
    assert (task["input"], task["output"], task["user_id"], task["version_id"]) == ("Grüße 👋", "", "u-1", "v-1")
    assert (task["model"], int(task["tokens_in"]), int(task["tokens_out"]), task["latency_ms"]) == ("gpt-4", 3, 4, 12.5)
    assert metadata(task)["deep"] == {"a": [1, None]}
    assert metadata(task)["anything"] == "else"


def test_openai_calls_are_logged_in_every_form(app: App, logged: Any) -> None:
    printed = app.run(
        HEAD
        + """
        import OpenAI from "openai";
        const openai = new OpenAI();
        const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: "Which city?" }];
        const query = { model: "gpt-3.5-turbo", messages };
        const answers = [];
        const read = async (stream) => {
          let text = "";
          for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
          answers.push(text);
        };

        phospho.log({ taskId: "plain", input: query, output: await openai.chat.completions.create(query) });
        phospho.log({ taskId: "promised", input: query, output: openai.chat.completions.create(query) });

        const stream = await openai.chat.completions.create({ ...query, stream: true });
        phospho.log({ taskId: "streamed", input: query, output: stream, stream: true });
        await read(stream);
        const promised = openai.chat.completions.create({ ...query, stream: true });
        phospho.log({ taskId: "stream promised", input: query, output: promised, stream: true });
        await read(await promised);

        const create = phospho.wrap(openai.chat.completions.create.bind(openai.chat.completions));
        const { data, response } = await create({ ...query, task_id: "wrapped" }).withResponse();
        answers.push(data.choices[0].message.content, response.status);
        await read(await create({ ...query, taskId: "wrapped stream", stream: true }));
        console.log(JSON.stringify(answers));
        """
        + TAIL
    )

    answers, (is_complete, stats) = json_lines(printed)
    assert answers == [ANSWER, ANSWER, ANSWER, 200, ANSWER]
    assert is_complete
    assert stats["errors"] == {}
    tasks = logged()
    names = ["plain", "promised", "streamed", "stream promised", "wrapped", "wrapped stream"]
    assert sorted(task["task_id"] for task in tasks) == sorted(names)
    for task in tasks:
        assert (task["input"], task["output"], task["model"]) == ("Which city?", ANSWER, MODEL), task["task_id"]
        assert task["system_prompt"] == "Be brief."
        if "stream" not in task["task_id"]:
            assert (int(task["tokens_in"]), int(task["tokens_out"])) == (25, 7)


def test_feedback_of_both_forms_is_stored_with_its_task(app: App, logged: Any, server: Any) -> None:
    app.run(
        HEAD
        + """
        const good = await phospho.log({ taskId: "good one", input: "a", output: "b" });
        await phospho.feedback({ eventId: good.eventId, score: 1, comment: "Merci !" });
        await phospho.log({ taskId: "bad/one?", input: "a", output: "b" });
        await phospho.userFeedback({ taskId: "bad/one?", flag: "failure", notes: "Wrong", source: "reviewer" });
        """
        + TAIL
    )

    assert {task["task_id"]: task["flag"] for task in logged()} == {"good one": "success", "bad/one?": "failure"}
    rows = server.rows("SELECT task_id, flag, comment, source FROM feedback WHERE task_id IN ('good one', 'bad/one?')")
    flags = {row["task_id"]: (row["flag"], row["comment"], row["source"]) for row in rows}
    assert flags == {"good one": ("success", "Merci !", "user"), "bad/one?": ("failure", "Wrong", "reviewer")}


def test_events_are_confirmed_rejected_and_cleared(app: App, server: Any) -> None:
    server.define({"name": "refund", "description": "", "engine": "keyword", "keywords": ["refund"]})
    events = "SELECT task_id FROM events WHERE name = 'refund' ORDER BY task_id"

    app.run(
        HEAD
        + """
        await phospho.log({ taskId: "missed", input: "Give it back" });
        await phospho.log({ taskId: "wrong", input: "No refund, please" });
        await phospho.confirmEvent({ taskId: "missed", name: "refund", comment: "Between the lines" });
        await phospho.rejectEvent({ taskId: "wrong", name: "refund" });
        """
        + TAIL
    )
    assert server.rows(events) == [{"task_id": "missed"}]

    app.run(
        HEAD
        + """
        for (const taskId of ["missed", "wrong"]) await phospho.clearEvent({ taskId, name: "refund" });
        """
        + TAIL
    )
    assert server.rows(events) == [{"task_id": "wrong"}]


def test_logs_of_many_sessions_arrive_once(app: App, server: Any) -> None:
    app.run(
        HEAD
        + """
        for (let n = 0; n < 3000; n++) {
          const ids = { sessionId: `many-${n % 100}`, taskId: `many-${n}` };
          phospho.log({ input: `question ${n}`, output: `answer ${n}`, ...ids });
        }
        """
        + TAIL
    )

    (row,) = server.rows(
        "SELECT count() AS tasks, uniqExact(task_id) AS ids, uniqExact(session_id) AS sessions,"
        " countIf(output != replace(input, 'question', 'answer')) AS wrong FROM tasks WHERE session_id LIKE 'many-%'"
    )
    assert {name: int(value) for name, value in row.items()} == {
        "tasks": 3000,
        "ids": 3000,
        "sessions": 100,
        "wrong": 0,
    }


def test_refused_log_is_reported_and_harms_no_other(app: App, logged: Any) -> None:
    printed = app.run(
        HEAD
        + """
        phospho.log({ input: "good" });
        phospho.log({ input: "bad", taskId: "x".repeat(600) });
        const tell = ({ sent, rejected }) =>
          console.log(JSON.stringify([sent.length, rejected.map(({ reason }) => reason.split(":")[0])]));
        tell(await phospho.flush());

        phospho.init({ projectId: "somebody-else" });
        phospho.log({ input: "bad" });
        tell(await phospho.flush());
        """
    )

    assert json_lines(printed) == [[1, ["id_too_long"]], [0, ["wrong_project"]]]
    assert [task["input"] for task in logged()] == ["good"]


def test_wrong_key_is_reported(app: App, logged: Any) -> None:
    printed = app.run(
        'import { Phospho } from "phospho-sdk";\n'
        + """
        const client = new Phospho({ apiKey: "ph_wrong" });
        client.log({ input: "Hello" });
        console.log(JSON.stringify((await client.flush()).rejected[0].reason));
        """
    )

    (reason,) = json_lines(printed)
    assert reason.startswith("http_401: ")
    assert logged() == []
