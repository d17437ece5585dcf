"""Detection by the server's engines: the lab finds the events that the server finds."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import phospho
from phospho import lab
from phospho.lab import job_library

PACKAGE = Path(phospho.__file__).parent


TASKS: list[dict[str, Any]] = [
    {"task_id": "t1", "input": "I want my money back for AB-1234!", "output": "I am sorry, a refund is on its way."},
    {"task_id": "t2", "input": "Can you book me a flight to Paris?", "output": "Your flight AB-1234 is booked."},
    {"task_id": "t3", "input": "What is the weather like? It is cold.", "output": ""},
    {"task_id": "t4", "input": "", "output": "Goodbye. Your refund, REFUND, is refunded."},
    {"task_id": "t5", "input": "Ich möchte mein Geld zurück – sofort!", "output": "Selbstverständlich. " * 900},
    {"task_id": "t6", "input": "…", "output": "\n"},
]


DEFINITIONS = [
    lab.EventDefinition("refund", engine="keyword", keywords=["refund", "money back", "Geld  zurück"]),
    lab.EventDefinition("refund asked", engine="keyword", keywords=["Refund", "money back"], scope="input"),
    lab.EventDefinition("order number", engine="regex", pattern=r"\b[A-Z]{2}-\d{4}\b", scope="output"),
    lab.EventDefinition("greeting", engine="regex", pattern=r"(?i)\bgoodbye\b"),
    lab.EventDefinition("flight", "The user is trying to book a flight"),
    lab.EventDefinition("weather", "The user asks about the weather", threshold=0.4),
    lab.EventDefinition("apology", "The assistant apologizes", scope="output", threshold=0.1),
]


def server_events() -> dict[str, dict[str, tuple[float, str]]]:
    """Return score and evidence of every event on the server, by task and name."""
    from phospho_schemas.messages import EventDefinition
    from phospho_workers.detection.definitions import compile_definitions
    from phospho_workers.detection.detect import analyse

    head = {"project_id": "p1", "created_at": "2026-01-01T00:00:00Z"}
    fields = [{**head, **vars(definition), "keywords": list(definition.keywords)} for definition in DEFINITIONS]
    compiled = compile_definitions(list(map(EventDefinition.model_validate, fields)))
    assert compiled.skipped == {}
    rows = analyse([{**head, "session_id": "s1", "revision": 0, **task} for task in TASKS], {"p1": compiled})
    return {
        row["task_id"]: {event["name"]: (event["score"], event["evidence"]) for event in row["events"]} for row in rows
    }


@pytest.mark.parametrize("executor_type", ["parallel", "sequential"])
def test_lab_finds_same_events_and_scores_as_server(executor_type: str) -> None:
    pytest.importorskip("phospho_workers", reason="runs the server's engines")
    workload = lab.Workload.from_definitions(DEFINITIONS)

    workload.run(map(lab.Message.from_task, TASKS), executor_type=executor_type)

    lab_events = {
        task_id: {
            name: (result.metadata["score"], result.metadata["evidence"])
            for name, result in results.items()
            if result.value
        }
        for task_id, results in workload.results.items()
    }
    assert lab_events == server_events()
    assert {name for names in lab_events.values() for name in names} == {definition.name for definition in DEFINITIONS}
    assert all(
        result.result_type is lab.ResultType.bool and result.value in (True, False)
        for results in workload.results.values()
        for result in results.values()
    )


def test_workload_makes_semantic_jobs_rivals() -> None:
    pytest.importorskip("phospho_workers", reason="runs the server's engines")
    message = lab.Message("Can you book me a room for two nights?")
    hotel = lab.Job.from_definition(lab.EventDefinition("hotel", "The user wants to book a hotel", threshold=0.0))
    inn = {"event_name": "inn", "event_description": "The user wants a room in an inn", "event_scope": "input"}
    workload = lab.Workload([hotel])

    def score() -> float:
        return workload.run([message])[message.id]["hotel"].metadata["score"]

    alone = score()
    workload.add_job(lab.Job(name="semantic_event_detection", id="inn", params=inn))
    beside = score()

    assert beside != alone
    rivals = [(inn["event_description"], "input")]
    job = lab.Job("hotel", job_library.semantic_event_detection, params={**hotel.params, "rivals": rivals})
    assert job.run(message).metadata["score"] == beside


@pytest.mark.parametrize("fields", [{"scope": "session"}, {"scope": "system_prompt"}, {"engine": "crystal ball"}])
def test_definition_with_unknown_scope_or_engine_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(phospho.ConfigError, match=r"(session|system_prompt|crystal ball)'; .* task|semantic"):
        lab.EventDefinition("e", "the weather", **fields)


@pytest.mark.parametrize(
    ("function", "params"),
    [
        (job_library.keyword_event_detection, {"keywords": "refund, money back"}),
        (job_library.keyword_event_detection, {"keywords": ["refund", "money back"]}),
        (job_library.regex_event_detection, {"regex_pattern": "(?i)MONEY"}),
        (job_library.semantic_event_detection, {"event_description": "The user wants the money back"}),
    ],
)
def test_library_job_can_be_called_directly(function: Callable[..., Any], params: dict[str, Any]) -> None:
    pytest.importorskip("phospho_workers", reason="runs the server's engines")

    yes = function(lab.Message("I want my money back!"), "e", **params)
    no = function(lab.Message("What time is it?"), "e", **params)

    assert (yes.value, no.value) == (True, False)
    assert yes.metadata["evidence"]


def test_upstream_scopes_map_to_server_scopes() -> None:
    pytest.importorskip("phospho_workers", reason="runs the server's engines")
    message = lab.Message.from_task({"task_id": "t", "input": "hello", "output": "refund"})
    scopes = ("task", "input", "task_input_only", "output", "task_output_only")

    values = [
        job_library.keyword_event_detection(message, "e", ["refund"], event_scope=scope).value for scope in scopes
    ]

    assert values == [True, False, False, True, True]


@pytest.mark.parametrize(
    "definition",
    [
        lab.EventDefinition("e", engine="keyword"),
        lab.EventDefinition("e", engine="regex", pattern="("),
        lab.EventDefinition("e", engine="regex", pattern="x*"),
        lab.EventDefinition("e", "the weather", threshold=2.0),
        lab.EventDefinition("", "the weather"),
    ],
)
def test_definition_refused_by_server_raises_config_error(definition: lab.EventDefinition) -> None:
    pytest.importorskip("phospho_workers", reason="runs the server's engines")
    workload = lab.Workload([lab.Job.from_definition(definition)])

    with pytest.raises(phospho.ConfigError):
        workload.run([lab.Message("Hello")] * 3)


def run_alone(program: str) -> list[str]:
    """Run a program with only the standard library and the SDK. Return the lines that it prints."""
    head = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n"
    finished = subprocess.run(
        [sys.executable, "-S", "-W", "error", "-c", head + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


def test_lab_without_engines_names_package_and_runs_own_jobs() -> None:
    printed = run_alone(
        """
        from phospho import lab
        definition = lab.EventDefinition("e", engine="keyword", keywords=["hello"])
        try:
            lab.Workload.from_definitions([definition]).run([lab.Message("hello")])
        except ImportError as error:
            print(error)
        job = lab.Job(job_function=lambda message: lab.JobResult(len(message.content), lab.ResultType.literal))
        print(job.run(lab.Message("hello")).value)
        """
    )

    assert "install phospho-pipeline" in printed[0]
    assert printed[1:] == ["5"]


def test_importing_lab_loads_no_engine() -> None:
    program = """
        import sys
        import phospho
        print("phospho.lab" in sys.modules, "asyncio" in sys.modules)
        import phospho.lab
        heavy = ("phospho_workers", "phospho_schemas", "numpy", "pydantic", "pandas", "re2")
        print([name for name in heavy if name in sys.modules])
    """
    everything_installed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True, timeout=30
    ).stdout.splitlines()

    assert run_alone(program) == ["False False", "[]"]
    assert everything_installed[1] == "[]"


def test_lab_package_has_only_imports_and_all() -> None:
    docstring, *imports, exported = ast.parse((PACKAGE / "lab" / "__init__.py").read_text(encoding="utf-8")).body

    assert isinstance(docstring, ast.Expr)
    assert all(isinstance(node, ast.ImportFrom) for node in imports)
    assert isinstance(exported, ast.Assign)
    assert lab.__all__ == sorted(lab.__all__)
    assert all(hasattr(lab, name) for name in lab.__all__)
    assert phospho.lab is lab


def test_definition_error_is_one_line() -> None:
    workload = lab.Workload([lab.Job.from_definition(lab.EventDefinition("", description="says hello"))])
    with pytest.raises(phospho.ConfigError) as raised:
        workload.run([lab.Message("Hello")])

    assert str(raised.value).startswith("'' is no definition: name: ")
    assert "\n" not in str(raised.value)
    assert "pydantic" not in str(raised.value)
