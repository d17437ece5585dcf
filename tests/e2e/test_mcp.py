"""`phospho mcp` as an agent uses it: the SDK's client starts it and calls each tool on a running phospho."""

import json
import sys
from typing import Any

import httpx
import pytest
from mcp import Client, StdioServerParameters

from fixtures.phospho_process import clean_environment
from fixtures.shapes import OneProcess

QUESTION = "I want my money back. " + "Really. " * 500


@pytest.fixture
def command(up: OneProcess) -> StdioServerParameters:
    shape = up.of_project("agents")
    definition = {"name": "refund", "description": "Asks for money", "engine": "keyword", "keywords": ["money back"]}
    headers = {"Authorization": f"Bearer {shape.api_key}"}
    with httpx.Client(base_url=f"{shape.base_url}/api/v1", headers=headers, timeout=60) as api:
        api.post("/definitions", json={"definitions": [definition]}).raise_for_status()
        task = {"task_id": "task-1", "session_id": "session-1", "user_id": "ann", "input": QUESTION, "output": "Sure."}
        api.post("/events", json=task).raise_for_status()
    environment = clean_environment() | shape.client_environment()
    return StdioServerParameters(command=sys.executable, args=["-m", "phospho_cli", "mcp"], env=environment)


async def called(agent: Client, tool: str, **arguments: Any) -> Any:
    result = await agent.call_tool(tool, arguments)
    text = result.content[0].text
    assert not result.is_error, text
    return json.loads(text)


async def test_agent_reads_project_and_hears_why_a_call_failed(command: StdioServerParameters) -> None:
    async with Client(command) as agent:
        await reads_project(agent)
        await hears_why_calls_failed(agent)


async def reads_project(agent: Client) -> None:
    tools = {tool.name for tool in (await agent.list_tools()).tools}
    assert tools == {"overview", "list_events", "list_alerts", "search_tasks", "get_task", "get_session", "query"}

    assert (await called(agent, "overview"))["totals"]["tasks"] == 1
    assert [event["name"] for event in (await called(agent, "list_events"))["events"]] == ["refund"]
    (task,) = (await called(agent, "search_tasks", text="money", event="refund", user="ann"))["tasks"]
    assert task["task_id"] == "task-1"
    assert (await called(agent, "search_tasks", flag="failure")).get("tasks") is None
    assert (await called(agent, "get_task", task_id="task-1"))["task"]["input"].endswith("more characters)")
    assert (await called(agent, "get_session", session_id="session-1"))["session"]["session_id"] == "session-1"
    counted = await called(agent, "query", sql="SELECT number FROM (SELECT arrayJoin(range(300)) AS number FROM tasks)")
    assert (len(counted["rows"]), counted["is_cut"]) == (200, True)


async def hears_why_calls_failed(agent: Client) -> None:
    for tool, arguments, message in [
        ("get_task", {"task_id": "../keys"}, "there is no task"),
        ("get_task", {"task_id": "."}, "task_id"),
        ("get_session", {"session_id": ".."}, "session_id"),
        ("get_task", {"task_id": "x" * 100_000}, "512"),
        ("query", {"sql": f"SELECT {'x' * 10_000}"}, "more characters"),
        ("query", {"sql": "DROP TABLE task_rows"}, "SELECT"),
        ("search_tasks", {"limit": 1000}, "100"),
    ]:
        result = await agent.call_tool(tool, arguments)
        assert result.is_error
        assert message in result.content[0].text
