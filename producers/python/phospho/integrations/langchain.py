"""Callback handlers for LangChain: each outermost run of a chain or a model is one task."""

from __future__ import annotations

from typing import Any

from .._default.functions import init
from .._default.state import STATE
from ._runs import Runs

try:
    from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
except ImportError as error:
    raise ImportError("phospho's LangChain handlers need langchain-core. Run `pip install langchain-core`.") from error

__all__ = [
    "PhosphoLangchaiAsyncCallbackHandler",
    "PhosphoLangchainAsyncCallbackHandler",
    "PhosphoLangchainCallbackHandler",
]


def _init_if_needed(api_key: str | None, project_id: str | None, tick: float) -> None:
    if api_key or project_id or STATE.client is None:
        init(api_key=api_key, project_id=project_id, tick=tick)


class PhosphoLangchainCallbackHandler(BaseCallbackHandler):
    """
    Logs to the default client. Calls `phospho.init` if there is none, or if a key or project is passed.

    Further keywords (`user_id`, `version_id`, …) are logged with every task. One handler may serve many runs at once.
    """

    def __init__(
        self,
        api_key: str | None = None,
        project_id: str | None = None,
        tick: float = 0.5,
        session_id: str | None = None,
        **metadata: Any,
    ) -> None:
        super().__init__()
        _init_if_needed(api_key, project_id, tick)
        self._runs = Runs(lambda: STATE.client, {**metadata, "session_id": session_id})

    def on_chain_start(self, serialized: Any, inputs: Any, **run: Any) -> None:
        self._runs.begin("chain", run["run_id"], run.get("parent_run_id"), inputs)

    def on_chat_model_start(self, serialized: Any, messages: Any, **run: Any) -> None:
        self._runs.begin("llm", run["run_id"], run.get("parent_run_id"), messages[0] if messages else [])

    def on_llm_start(self, serialized: Any, prompts: Any, **run: Any) -> None:
        self._runs.begin("llm", run["run_id"], run.get("parent_run_id"), "\n".join(prompts))

    def on_tool_start(self, serialized: Any, input_str: str, **run: Any) -> None:
        self._runs.begin("tool", run["run_id"], run.get("parent_run_id"), input_str)

    def on_retriever_start(self, serialized: Any, query: str, **run: Any) -> None:
        self._runs.begin("retriever", run["run_id"], run.get("parent_run_id"), query)

    def on_chain_end(self, outputs: Any, **run: Any) -> None:
        self._runs.end(run["run_id"], outputs)

    def on_llm_end(self, response: Any, **run: Any) -> None:
        self._runs.end(run["run_id"], response)

    def on_tool_end(self, output: Any, **run: Any) -> None:
        self._runs.end(run["run_id"], output)

    def on_retriever_end(self, documents: Any, **run: Any) -> None:
        self._runs.end(run["run_id"], documents)

    def on_chain_error(self, error: BaseException, **run: Any) -> None:
        self._runs.end(run["run_id"], None, error)

    on_llm_error = on_tool_error = on_retriever_error = on_chain_error


class PhosphoLangchainAsyncCallbackHandler(AsyncCallbackHandler):
    """`PhosphoLangchainCallbackHandler` for `ainvoke` and `astream`. No method blocks."""

    def __init__(
        self,
        api_key: str | None = None,
        project_id: str | None = None,
        tick: float = 0.5,
        session_id: str | None = None,
        **metadata: Any,
    ) -> None:
        super().__init__()
        _init_if_needed(api_key, project_id, tick)
        self._runs = Runs(lambda: STATE.client, {**metadata, "session_id": session_id})

    async def on_chain_start(self, serialized: Any, inputs: Any, **run: Any) -> None:
        self._runs.begin("chain", run["run_id"], run.get("parent_run_id"), inputs)

    async def on_chat_model_start(self, serialized: Any, messages: Any, **run: Any) -> None:
        self._runs.begin("llm", run["run_id"], run.get("parent_run_id"), messages[0] if messages else [])

    async def on_llm_start(self, serialized: Any, prompts: Any, **run: Any) -> None:
        self._runs.begin("llm", run["run_id"], run.get("parent_run_id"), "\n".join(prompts))

    async def on_tool_start(self, serialized: Any, input_str: str, **run: Any) -> None:
        self._runs.begin("tool", run["run_id"], run.get("parent_run_id"), input_str)

    async def on_retriever_start(self, serialized: Any, query: str, **run: Any) -> None:
        self._runs.begin("retriever", run["run_id"], run.get("parent_run_id"), query)

    async def on_chain_end(self, outputs: Any, **run: Any) -> None:
        self._runs.end(run["run_id"], outputs)

    async def on_llm_end(self, response: Any, **run: Any) -> None:
        self._runs.end(run["run_id"], response)

    async def on_tool_end(self, output: Any, **run: Any) -> None:
        self._runs.end(run["run_id"], output)

    async def on_retriever_end(self, documents: Any, **run: Any) -> None:
        self._runs.end(run["run_id"], documents)

    async def on_chain_error(self, error: BaseException, **run: Any) -> None:
        self._runs.end(run["run_id"], None, error)

    on_llm_error = on_tool_error = on_retriever_error = on_chain_error


# Upstream's spelling.
PhosphoLangchaiAsyncCallbackHandler = PhosphoLangchainAsyncCallbackHandler
