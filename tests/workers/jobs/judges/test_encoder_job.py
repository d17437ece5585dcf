"""A local encoder decides where the semantic engine is unsure, without an LLM and without a budget."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import ProjectSettings
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.jobs.judges.encoder_job import EncoderJudgeJob
from phospho_workers.jobs.judges.judge_jobs import build_judge_jobs
from phospho_workers.jobs.loop.leases import all_projects
from phospho_workers.judging.settings import EncoderSettings, JudgeSettings, LlmSettings
from store.facts import analysis, event, insert, task
from workers.detection.tasks import definition
from workers.jobs.judgement_fixtures import found
from workers.jobs.judges.test_llm_job import unsure
from workers.judging.tiny_model import sentence_encoder

pytestmark = pytest.mark.usefixtures("logged_now")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> JudgeSettings:
    return JudgeSettings(encoder=EncoderSettings(sentence_encoder(tmp_path_factory.mktemp("tiny"))))


def test_encoder_judge_affirms_and_denies_candidates(
    store: Store, registry: Registry, project_id: str, settings: JudgeSettings, until_done: Callable[..., int]
) -> None:
    registry.save_project(project_id, settings=ProjectSettings(llm_daily_tokens=0))
    for name in ("refund", "weather"):
        one = definition(name, "semantic", description=name, scope="task", project_id=project_id)
        registry.save_definition(one)
    insert(store, "task_rows", task(project_id, "t1", input="hello", output="money back"))
    candidates = [unsure("refund", scope="task"), unsure("weather", scope="task")]
    events = [event("e1", "weather")]
    insert(store, "analysis_rows", analysis(project_id, "t1", events=events, candidates=candidates))

    [job] = build_judge_jobs(store, HybridClock(), settings, all_projects)
    until_done(job)

    assert isinstance(job, EncoderJudgeJob)
    assert found(store, project_id) == {("t1", "refund"): "encoder"}


def test_encoder_judge_beside_an_llm_judges_only_definitions_naming_it(
    store: Store, registry: Registry, project_id: str, settings: JudgeSettings, until_done: Callable[..., int]
) -> None:
    for name, opinion in (("refund", "project"), ("money", "encoder")):
        one = definition(name, "semantic", description=name, judge=opinion, project_id=project_id)
        registry.save_definition(one)
    insert(store, "task_rows", task(project_id, "t1", input="money back"))
    insert(store, "analysis_rows", analysis(project_id, "t1", candidates=[unsure("refund"), unsure("money")]))

    both = JudgeSettings(LlmSettings("http://127.0.0.1:9", "nobody"), settings.encoder)
    [_, job] = build_judge_jobs(store, HybridClock(), both, all_projects)
    until_done(job)

    assert found(store, project_id) == {("t1", "money"): "encoder"}


def test_judge_jobs_import_no_client_without_a_judge() -> None:
    program = """
import sys
from phospho_workers.jobs.registry import JOB_BUILDERS
from phospho_workers.jobs.loop.leases import all_projects
from phospho_workers.jobs.settings import JobSettings
assert JOB_BUILDERS["judge"](None, None, JobSettings(), all_projects) == []
print([name for name in sys.modules if name.startswith("phospho_workers.judging.") or name == "onnxruntime"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "['phospho_workers.judging.settings']\n"
