"""The module functions: each does its work on the client that `init` made."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable

from ._client import Client
from ._counters import Stats, logger
from ._ids import new_id
from ._sender import FlushResult
from ._state import STATE
from ._transport import Transport
from ._verdicts import Flag, verdict
from .config import DEFAULT_LIMITS, DEFAULT_RETRY, Limits, RetryPolicy

if TYPE_CHECKING:
    from .tasks import Task

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


def init(
    api_key: str | None = None,
    project_id: str | None = None,
    base_url: str | None = None,
    tick: float = 0.5,
    raise_error_on_fail_to_send: bool = False,
    *,
    auto_log: bool = False,
    version_id: str | None = None,
    kafka: str | None = None,
    transport: Transport | None = None,
    spool_dir: str | None = None,
    request_timeout_s: float = 10.0,
    exit_timeout_s: float = 5.0,
    limits: Limits = DEFAULT_LIMITS,
    retry: RetryPolicy = DEFAULT_RETRY,
) -> None:
    """
    Make the client that the other functions of this module use.

    Sends nothing and waits for nobody. With *spool_dir* it opens that folder, and reads what a process
    that ended has left there; without, it does no I/O.

    Args:
        api_key: Names its project; default: PHOSPHO_API_KEY. HTTP without one is warned of.
        project_id: Needed with *kafka* only; default: PHOSPHO_PROJECT_ID.
        base_url: The server; default: PHOSPHO_BASE_URL, else that of a local `phospho up`.
        tick: The longest time, in seconds, that a log waits for others to be sent with it.
        raise_error_on_fail_to_send: Have `log`, feedback and `flush` raise `SendError` for what was lost
            before, and `flush` also for what it leaves unsent.
        auto_log: Log each call of OpenAI's client, Chat Completions and Responses, until the next `init`.
        version_id: The version of every log that does not name its own.
        kafka: "host:9092" sends straight onto the Kafka topic (extra `phospho[kafka]`).
        transport: Replaces HTTP, as `RecordingTransport` does in tests.
        spool_dir: A folder that keeps what is not yet sent through a crash of the process.
        request_timeout_s: The bound of one request, from connecting to the last byte of the answer.
        exit_timeout_s: The bound of the flush at the end of the process.
        limits: The bounds of memory and disk.
        retry: The pauses between attempts.

    Raises:
        ConfigError: an argument cannot work.
    """
    STATE.replace(
        Client(
            api_key,
            project_id,
            base_url,
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
        )
    )
    if auto_log:
        from .integrations.openai import wrap_openai

        wrap_openai()
    elif "phospho.integrations.openai" in sys.modules:
        from .integrations.openai import unwrap_openai

        unwrap_openai()


def new_session() -> str:
    """Return a new id for a session, to pass to `log`. Sends nothing."""
    STATE.latest.session_id = session_id = new_id()
    return session_id


def new_task() -> str:
    """Return a new id for a task, to pass to `log` and `user_feedback`. Sends nothing."""
    STATE.latest.task_id = task_id = new_id()
    return task_id


def log(
    input: Any,
    output: Any = None,
    session_id: str | None = None,
    task_id: str | None = None,
    version_id: str | None = None,
    user_id: str | None = None,
    raw_input: Any = None,
    raw_output: Any = None,
    input_to_str_function: Callable[[Any], str] | None = None,
    output_to_str_function: Callable[[Any], str] | None = None,
    concatenate_raw_outputs_if_task_id_exists: bool = True,
    input_output_to_usage_function: Callable[[Any, Any], dict[str, float]] | None = None,
    stream: bool = False,
    **kwargs: Any,
) -> dict[str, Any]:
    """
    Queue one task, an input with its output, and return what will be sent.

    Does not block, and does not raise: what cannot be queued is counted in `stats().dropped`. What is
    not a string is read by its shape, and kept whole in `raw_input` and `raw_output`.

    Args:
        input: What goes in: a string, a call's arguments, a list of messages, or any object.
        output: What comes out: a string, a response or a list of messages; None if there is none.
        session_id: Groups tasks; default: a session of its own.
        task_id: The same id again is the same task; default: a new UUID, ordered by time.
        version_id: The version of the app.
        user_id: The app's user.
        raw_input: Kept instead of *input*.
        raw_output: Kept instead of *output*.
        input_to_str_function: Returns the text of *input*.
        output_to_str_function: Returns the text of *output*, or of one chunk of it.
        concatenate_raw_outputs_if_task_id_exists: Join the outputs of a task that is logged again while
            it still waits to be sent; if false the last one stays.
        input_output_to_usage_function: Returns the tokens used, from *input* and *output*.
        stream: *output* is an iterable; its chunks are joined as the app iterates, then sent.
        **kwargs: Anything else becomes metadata.

    Returns:
        The content, with `input`, `output`, `task_id`, `session_id`, and `event_id`, which is the task's id.

    Raises:
        NotInitializedError: `init` was not called.
        SendError: only with `raise_error_on_fail_to_send`.
    """
    return STATE.need("log").log(
        input,
        output,
        session_id,
        task_id,
        version_id,
        user_id,
        raw_input,
        raw_output,
        input_to_str_function,
        output_to_str_function,
        concatenate_raw_outputs_if_task_id_exists,
        input_output_to_usage_function,
        stream,
        **kwargs,
    )


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
    """Do as `log` does; with *to_log* false the task waits in the queue until it is logged again."""
    client = STATE.need("log")
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
    call = client.call_of(input, output, arguments)
    return client.submit(call, to_log, concatenate_raw_outputs_if_task_id_exists)


def feedback(event_id: str, score: int, comment: str | None = None) -> None:
    """Queue what a person thinks of a logged event: *score* is 1 (positive) or 0 (negative)."""
    STATE.need("feedback").feedback(event_id, score, comment)


def confirm_event(task_id: str, name: str, comment: str | None = None) -> None:
    """Queue that the event *name* did happen in a task: it is added where detection did not find it."""
    STATE.need("confirm_event").confirm_event(task_id, name, comment)


def reject_event(task_id: str, name: str, comment: str | None = None) -> None:
    """Queue that the event *name* did not happen in a task: readers no longer see it there."""
    STATE.need("reject_event").reject_event(task_id, name, comment)


def clear_event(task_id: str, name: str) -> None:
    """Queue that what was said of the event *name* of a task is taken back."""
    STATE.need("clear_event").clear_event(task_id, name)


def user_feedback(
    task_id: str,
    flag: Flag | None = None,
    notes: str | None = None,
    source: str = "user",
    raw_flag: Any = None,
    raw_flag_to_flag: Callable[[Any], Flag] | None = None,
) -> Task | None:
    """
    Queue the verdict on a task, "success" or "failure", and return the task; None if none was given.

    Without *flag*, *raw_flag_to_flag* makes one of *raw_flag*; its default knows 👍, 🙂, 😀, "success"
    and the like as success, and everything else as failure. Nothing is fetched until the task's
    `content` is looked at. A client is made from the environment if `init` was not called.
    """
    client = STATE.client or _client_of_environment()
    if flag is None and raw_flag is None:
        logger.warning("phospho: user_feedback needs a flag or a raw_flag. Nothing is sent.")
        return None
    try:
        given = flag or verdict(raw_flag, raw_flag_to_flag)
    except Exception as error:  # the app's function
        client.count_error("raw_flag_to_flag", error)
        return None
    client.flag(task_id, given, source, notes)
    from .tasks import Task

    return Task(client, task_id)


def _client_of_environment() -> Client:
    client = Client()
    STATE.replace(client)
    return client


def flush(timeout: float = 10.0) -> FlushResult:
    """
    Block until all that was logged before is settled, or *timeout* seconds are over.

    Returns what was sent, what was rejected and what is still pending. Raises `SendError` for the last two,
    only with `raise_error_on_fail_to_send`; what is pending is still tried.
    """
    return STATE.need("flush").flush(timeout)


def stats() -> Stats:
    """Return what became of everything logged since `init`, in numbers."""
    return STATE.need("stats").stats()
