"""Callback handlers for LangChain: each outermost run of a chain or a model is one task."""

from __future__ import annotations

from typing import Any

from .._default.state import STATE
from ._runs import Runs, identity_of, init_if_needed

try:
    from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
except ImportError as error:
    raise ImportError("phospho's LangChain handlers need langchain-core. Run `pip install langchain-core`.") from error

__all__ = [
    "PhosphoLangchaiAsyncCallbackHandler",
    "PhosphoLangchainAsyncCallbackHandler",
    "PhosphoLangchainCallbackHandler",
]


class PhosphoLangchainCallbackHandler(BaseCallbackHandler):
    """
    Logs to the default client. Calls `phospho.init` if there is none, or if a key or project is passed.

    Further keywords (`user_id`, `version_id`, …) are logged with every task. `session_id` (or LangGraph's `thread_id`)
    and `user_id` in the metadata of a run's config win over them. One handler may serve many runs at once.
    No method blocks.
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
        init_if_needed(api_key, project_id, tick)
        self._runs = Runs(lambda: STATE.client, {**metadata, "session_id": session_id})

    def on_chain_start(self, serialized: Any, inputs: Any, **run: Any) -> None:
        self._begin("chain", serialized, _input_of(inputs), run)

    def on_chat_model_start(self, serialized: Any, messages: Any, **run: Any) -> None:
        self._begin("llm", serialized, messages[0] if messages else [], run)

    def on_llm_start(self, serialized: Any, prompts: Any, **run: Any) -> None:
        self._begin("llm", serialized, "\n".join(prompts), run)

    def on_tool_start(self, serialized: Any, input_str: str, **run: Any) -> None:
        self._begin("tool", serialized, input_str, run)

    def on_retriever_start(self, serialized: Any, query: str, **run: Any) -> None:
        self._begin("retriever", serialized, query, run)

    def on_chain_end(self, outputs: Any, **run: Any) -> None:
        # A streamed chain has its input here only.
        self._runs.end(run["run_id"], outputs, input=_input_of(run.get("inputs")))

    def on_llm_new_token(self, token: Any, **run: Any) -> None:
        if isinstance(token, str):  # some models pass a list of blocks
            self._runs.add_text(run["run_id"], token)

    def on_llm_end(self, response: Any, **run: Any) -> None:
        self._runs.end(run["run_id"], response)

    def on_tool_end(self, output: Any, **run: Any) -> None:
        self._runs.end(run["run_id"], output)

    def on_retriever_end(self, documents: Any, **run: Any) -> None:
        self._runs.end(run["run_id"], documents)

    def on_chain_error(self, error: BaseException, **run: Any) -> None:
        self._runs.end(run["run_id"], None, error, input=_input_of(run.get("inputs")))

    on_llm_error = on_tool_error = on_retriever_error = on_chain_error

    def _begin(self, kind: str, serialized: Any, input: Any, run: dict[str, Any]) -> None:
        name = run.get("name") or (serialized or {}).get("name") or ""
        fields = identity_of(run.get("metadata") or {})
        self._runs.begin(kind, run["run_id"], run.get("parent_run_id"), input, name=name, fields=fields)


def _input_of(variables: Any) -> Any:
    """Return what a chain is asked: its only variable where that is a text, whatever its name."""
    values = list(variables.values()) if isinstance(variables, dict) else []
    return values[0] if len(values) == 1 and isinstance(values[0], str) else variables


class PhosphoLangchainAsyncCallbackHandler(AsyncCallbackHandler):
    """`PhosphoLangchainCallbackHandler` for `ainvoke` and `astream`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self._handler = PhosphoLangchainCallbackHandler(*args, **kwargs)
        self._runs = self._handler._runs


def _asynchronous(name: str) -> Any:
    async def callback(self: PhosphoLangchainAsyncCallbackHandler, *args: Any, **run: Any) -> None:
        getattr(self._handler, name)(*args, **run)

    callback.__name__ = name
    return callback


for _name in [name for name in vars(PhosphoLangchainCallbackHandler) if name.startswith("on_")]:
    setattr(PhosphoLangchainAsyncCallbackHandler, _name, _asynchronous(_name))

# Upstream's spelling.
PhosphoLangchaiAsyncCallbackHandler = PhosphoLangchainAsyncCallbackHandler
