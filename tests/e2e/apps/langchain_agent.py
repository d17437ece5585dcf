"""A LangChain agent with a tool: two calls of the model, the tool between them, in one conversation."""

from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openinference.instrumentation.langchain import LangChainInstrumentor
from tracing import provider


@tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"31 degrees in {city}"


def agent(question: str, config: RunnableConfig) -> str:
    model: Any = ChatOpenAI(model="gpt-4o-mini", max_retries=0).bind_tools([get_weather])
    messages: list[Any] = [SystemMessage("Be brief"), HumanMessage(question)]
    messages.append(model.invoke(messages, config))
    (call,) = messages[-1].tool_calls
    messages.append(ToolMessage(get_weather.invoke(call["args"], config), tool_call_id=call["id"]))
    return str(model.invoke(messages, config).content)


LangChainInstrumentor().instrument(tracer_provider=provider())
RunnableLambda(agent).invoke(
    "Is it warm in Lisbon?", {"metadata": {"session_id": "langchain agent"}, "run_name": "agent"}
)
