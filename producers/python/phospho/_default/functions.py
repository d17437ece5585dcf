"""The module functions of `phospho`: each calls a method of the client that `init` made."""

from __future__ import annotations

import sys
from functools import wraps
from types import MethodType
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from .._content.feedback import Flag, flag_of
from .._delivery.transport import Transport
from .._ids import new_id
from .._logger import logger
from ..client import Client
from ..config import DEFAULT_LIMITS, DEFAULT_RETRY, Limits, RetryPolicy
from .state import STATE, _State

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    from ..client import MaskRules
    from ..tasks import Task

    Parameters = ParamSpec("Parameters")

__all__ = [
    "clear_event",
    "confirm_event",
    "feedback",
    "flush",
    "init",
    "log",
    "log_single_event",
    "new_session",
    "new_task",
    "reject_event",
    "stats",
    "user_feedback",
]

Result = TypeVar("Result")


def init(
    api_key: str | None = None,
    project_id: str | None = None,
    base_url: str | None = None,
    tick: float = 0.5,
    raise_error_on_fail_to_send: bool = False,
    *,
    auto_log: bool = False,
    tracing: bool = False,
    version_id: str | None = None,
    kafka: str | None = None,
    transport: Transport | None = None,
    spool_dir: str | None = None,
    request_timeout_s: float = 10.0,
    exit_timeout_s: float = 5.0,
    limits: Limits = DEFAULT_LIMITS,
    retry: RetryPolicy = DEFAULT_RETRY,
    mask: MaskRules = None,
) -> None:
    """
    Make the client that the module functions use.

    Sends nothing and doesn't block. With *spool_dir* it opens that folder, and reads the events that an earlier
    process has left there. Without, it does no I/O.

    Args:
        api_key: Identifies the project. Default: PHOSPHO_API_KEY. HTTP without a key logs a warning.
        project_id: Needed with *kafka* only. Default: PHOSPHO_PROJECT_ID.
        base_url: The server. Default: PHOSPHO_BASE_URL, else a local `phospho up`.
        tick: Seconds that a log waits for its batch to fill.
        raise_error_on_fail_to_send: Raise `SendError` from `log`, feedback and `flush` for events lost before,
            and from `flush` also for events that it leaves unsent.
        auto_log: Log each call of OpenAI's client, and of Anthropic's and Gemini's if they were imported before, until
            the next `init`.
        tracing: Keep each call of these clients, embeddings too, as a step of the next `log` in its trace, or outside
            of traces in its context, until the next `init`. Steps after the last `log` of a trace join its task. With
            *auto_log* the calls are tasks themselves.
        version_id: Default version of all logs.
        kafka: "host:9092" produces straight to the Kafka topic. Needs confluent-kafka.
        transport: Replaces HTTP, as `RecordingTransport` does in tests.
        spool_dir: A folder that keeps unsent events when the process crashes.
        request_timeout_s: Timeout of one request, from connecting to the last byte of the answer.
        exit_timeout_s: Timeout of the flush at the end of the process.
        limits: Limits of memory and disk.
        retry: Pauses between attempts.
        mask: What is replaced in every text before it leaves the process: "email", "phone", "card", "iban", "ip",
            compiled patterns, functions of a text, or a list of these. Where a function raises, the text is dropped.

    Raises:
        ConfigError: an argument cannot work.
    """
    STATE.replace(
        Client(
            api_key=api_key,
            project_id=project_id,
            base_url=base_url,
            tick=tick,
            raise_error_on_fail_to_send=raise_error_on_fail_to_send,
            version_id=version_id,
            kafka=kafka,
            transport=transport,
            spool_dir=spool_dir,
            request_timeout_s=request_timeout_s,
            exit_timeout_s=exit_timeout_s,
            limits=limits,
            retry=retry,
            mask=mask,
        )
    )
    if auto_log:
        from .client_calls import wrap_clients

        wrap_clients()
    elif tracing:
        from .client_calls import TRACED_STEPS, wrap_clients

        wrap_clients(TRACED_STEPS)
    elif f"{__package__}.client_calls" in sys.modules:
        from .client_calls import unwrap_clients

        unwrap_clients()


def _on_default_client(
    method: Callable[Concatenate[Client, Parameters], Result],
) -> Callable[Parameters, Result]:
    """
    Return a function that calls *method* of the default client, with its signature and docstring.

    It is a bound method, so that `help` and `inspect.signature` leave out the first parameter.
    """

    @wraps(method)
    def call(state: _State, *args: Any, **kwargs: Any) -> Result:
        return method(state.need(method.__name__), *args, **kwargs)

    return MethodType(call, STATE)


log = _on_default_client(Client.log)
feedback = _on_default_client(Client.feedback)
confirm_event = _on_default_client(Client.confirm_event)
reject_event = _on_default_client(Client.reject_event)
clear_event = _on_default_client(Client.clear_event)
flush = _on_default_client(Client.flush)
stats = _on_default_client(Client.stats)


def new_session() -> str:
    """Return a new session id, to pass to `log`. Sends nothing."""
    STATE.latest.session_id = session_id = new_id()
    return session_id


def new_task() -> str:
    """Return a new task id, to pass to `log` and `user_feedback`. Sends nothing."""
    STATE.latest.task_id = task_id = new_id()
    return task_id


def log_single_event(
    input: Any,
    output: Any = None,
    session_id: str | None = None,
    task_id: str | None = None,
    raw_input: Any = None,
    raw_output: Any = None,
    input_to_str_function: Callable[[Any], str] | None = None,
    output_to_str_function: Callable[[Any], str] | None = None,
    concatenate_raw_outputs_if_task_id_exists: bool = True,
    input_output_to_usage_function: Callable[[Any, Any], dict[str, float]] | None = None,
    to_log: bool = True,
    **kwargs: Any,
) -> dict[str, Any]:
    """Queue one task as `log` does. With *to_log* false it waits in the queue until it is logged again."""
    task_log = STATE.need("log").task_log
    arguments = {
        **kwargs,
        "session_id": session_id,
        "task_id": task_id,
        "raw_input": raw_input,
        "raw_output": raw_output,
        "input_to_str_function": input_to_str_function,
        "output_to_str_function": output_to_str_function,
        "input_output_to_usage_function": input_output_to_usage_function,
    }
    call = task_log.call_of(input, output, arguments)
    return task_log.submit(call, to_log, concatenate_raw_outputs_if_task_id_exists)


def user_feedback(
    task_id: str,
    flag: Flag | None = None,
    notes: str | None = None,
    source: str = "user",
    raw_flag: Any = None,
    raw_flag_to_flag: Callable[[Any], Flag] | None = None,
) -> Task | None:
    """
    Queue feedback on a task, "success" or "failure", and return the task. None if there is neither flag.

    Without *flag*, *raw_flag_to_flag* converts *raw_flag*. By default 👍, 🙂, 😀, "success" and the like are a
    success, and everything else is a failure. The task's `content` is fetched when it is first read. A client is
    made from the environment if `init` was not called.
    """
    client = STATE.client or _client_of_environment()
    if flag is None and raw_flag is None:
        logger.warning("phospho: user_feedback sends nothing without a flag. Pass flag= or raw_flag=.")
        return None
    try:
        valid_flag = flag or flag_of(raw_flag, raw_flag_to_flag)
    except Exception as error:  # the app's function
        client.task_log.count_error("raw_flag_to_flag", error)
        return None
    client.flag(task_id, valid_flag, source, notes)
    from ..tasks import Task

    return Task(client, task_id)


def _client_of_environment() -> Client:
    client = Client()
    STATE.replace(client)
    return client
