"""The client: what the module functions of `phospho` do, as an object that can be made several times."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Callable

from ._content import LogCall, append_chunk, build_content, merge_content, output_fields, usage_fields
from ._counters import Stats, described, logger, shown
from ._extract import has_everything, usage_of
from ._ids import new_id
from ._jsonable import approximate_bytes, copy_of, text_of, to_jsonable
from ._keywords import parameter_meant
from ._pipeline import Pipeline
from ._queue import FEEDBACK, LABEL, Event, LogQueue
from ._sender import FlushResult, Sender
from ._streams import StreamLog, attach
from ._trace import current_trace
from ._transport import Transport
from ._verdicts import Flag
from .config import DEFAULT_LIMITS, DEFAULT_RETRY, Limits, RetryPolicy, Settings
from .errors import NotFoundError

if TYPE_CHECKING:
    from ._reader import Reader
    from .models import ProjectContent
    from .sessions import SessionCollection
    from .tasks import TaskCollection

__all__ = ["Client"]

_CALL_FIELDS = frozenset(LogCall._fields) - {"input", "output", "extra"}

_ID_FIELDS = ("session_id", "task_id", "user_id", "version_id")

_CANNOT_WATCH = (
    "phospho: an output of type %s is logged with stream=True only, and a generator only inside "
    "phospho.MutableGenerator(generator, stop=...) or MutableAsyncGenerator. The input is logged alone."
)

# No error: many apps load their .env file after `phospho.init`.
_NO_KEY = (
    "phospho: there is no API key, and %s refuses what comes without one. Pass api_key= to phospho.init, or "
    "set PHOSPHO_API_KEY before the first log is sent; tests need none with phospho.RecordingTransport()."
)


class Latest:
    """The ids that were used last."""

    __slots__ = ("session_id", "task_id")

    def __init__(self) -> None:
        self.task_id: str | None = None
        self.session_id: str | None = None


class Client:
    """
    Logs to one project, by its own queue and its own thread; several may live in one process.

    The default transport is HTTP; `kafka="host:9092"` or a `transport` replaces it. What the arguments
    leave out, PHOSPHO_API_KEY, PHOSPHO_PROJECT_ID and PHOSPHO_BASE_URL say. Making a client sends nothing
    and waits for nobody; with `spool_dir` it reads that folder.

    Raises:
        ConfigError: the arguments cannot work. Nothing but this is raised, here and later, unless
            `raise_error_on_fail_to_send` asks for `SendError` from `log`, feedback, `flush` and `close`.
    """

    def __init__(
        self,
        api_key: str | None = None,
        project_id: str | None = None,
        base_url: str | None = None,
        *,
        tick: float = 0.5,
        raise_error_on_fail_to_send: bool = False,
        version_id: str | None = None,
        kafka: str | None = None,
        transport: Transport | None = None,
        spool_dir: str | None = None,
        request_timeout_s: float = 10.0,
        exit_timeout_s: float = 5.0,
        limits: Limits = DEFAULT_LIMITS,
        retry: RetryPolicy = DEFAULT_RETRY,
    ) -> None:
        self.settings = Settings(
            api_key=api_key,
            project_id=project_id,
            base_url=base_url or "",
            kafka=kafka,
            version_id=version_id,
            tick=tick,
            request_timeout_s=request_timeout_s,
            exit_timeout_s=exit_timeout_s,
            raise_error_on_fail_to_send=raise_error_on_fail_to_send,
            spool_dir=spool_dir,
            limits=limits,
            retry=retry,
        ).with_environment()
        self.latest = Latest()
        self._pipeline = Pipeline(self.settings, transport or _transport_of(self.settings))

    def __repr__(self) -> str:
        return f"Client({self.settings!r})"

    def log(
        self,
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
        """Queue one task; see `phospho.log`."""
        arguments = {
            **kwargs,
            "session_id": session_id,
            "task_id": task_id,
            "version_id": version_id,
            "user_id": user_id,
            "raw_input": raw_input,
            "raw_output": raw_output,
            "input_to_str_function": input_to_str_function,
            "output_to_str_function": output_to_str_function,
            "input_output_to_usage_function": input_output_to_usage_function,
        }
        call = self.call_of(input, output, arguments, claims_trace=True)
        if stream and self._watch(call, output):
            return {**_bare_content(call), "event_id": call.task_id}
        if _is_iterator(output):
            logger.warning(_CANNOT_WATCH, type(output).__name__)
            call = call._replace(output=None)
        return self.submit(call, concatenate=concatenate_raw_outputs_if_task_id_exists)

    def call_of(
        self, input: Any, output: Any, arguments: dict[str, Any], claims_trace: bool = False
    ) -> LogCall:
        """
        Return the call of `log` with these *arguments*: ids are made, the trace and defaults are applied.

        What is no argument of `log` is metadata; a misspelt one is said, and taken for what it means where it
        is a function, which no metadata is. With *claims_trace* the first call is the traced task itself.
        """
        self._correct(arguments)
        named = {name: arguments[name] for name in _CALL_FIELDS if arguments.get(name) is not None}
        # An empty id is none: the server would refuse it.
        ids = {name: text_of(named.pop(name)) for name in _ID_FIELDS if name in named}
        named.update({name: id for name, id in ids.items() if id})
        extra = {name: value for name, value in arguments.items() if name not in _CALL_FIELDS}
        trace = current_trace()
        if trace is not None:
            named.setdefault("session_id", trace.session_id)
            if "task_id" not in named:
                named["task_id"] = trace.claim() if claims_trace else new_id()
            linked = {} if named["task_id"] == trace.task_id else {"trace_id": trace.task_id}
            extra = {**linked, **trace.metadata, **extra}
        if self.settings.version_id is not None:
            named.setdefault("version_id", self.settings.version_id)
        named.setdefault("task_id", new_id())
        named.setdefault("session_id", new_id())
        return LogCall(input=input, output=output, extra=extra, **named)

    def submit(self, call: LogCall, to_log: bool = True, concatenate: bool = True) -> dict[str, Any]:
        """Queue *call* and return its content with its `event_id`. Raises SendError if that was asked for."""
        content = self.submit_quietly(call, to_log, concatenate)
        self._pipeline.raise_failures()
        # What the app gets is its own: changing it changes nothing that is sent. Under the queue's lock,
        # because another thread may log the same task again meanwhile.
        with self._pipeline.queue.changed:
            return {**copy_of(content), "event_id": call.task_id}

    def submit_quietly(self, call: LogCall, to_log: bool = True, concatenate: bool = True) -> dict[str, Any]:
        """Queue *call* and return its content. Never raises: a fault, ours or an object's, is counted."""
        self.latest.task_id, self.latest.session_id = call.task_id, call.session_id
        try:
            content = build_content(call, self.settings.project_id, self.count_error)
            return self._hold(Event(call.task_id, content, to_log), concatenate)
        except Exception as error:  # the edge between the app and us
            self.count_error("log", error)
            self._pipeline.refuse(call.task_id, "its content could not be read")
            return _bare_content(call)

    def add_chunk(self, call: LogCall, chunk: Any, chunks_before: int) -> None:
        """Add one chunk to the task of a stream, which the first chunk begins. Never raises."""
        try:
            if chunks_before == 0:
                self.submit_quietly(call._replace(output=chunk), to_log=False)
            else:
                self._extend(call, chunk, chunks_before)
        except Exception as error:  # the edge between the app's stream and us
            self.count_error("stream", error)

    def finish_chunks(
        self, call: LogCall, chunks: int, error: BaseException | None, last: Any = None
    ) -> None:
        """Let the task of a stream be sent; one without chunks is its input alone. Never raises."""
        try:
            if chunks == 0:
                self.submit_quietly(call, to_log=False)
            self._complete(call, error, last)
        except Exception as fault:  # the edge between the app's stream and us
            self.count_error("stream", fault)

    def count_error(self, place: str, error: BaseException) -> None:
        """Count a fault that is kept from the app."""
        self._pipeline.counters.count_error(place, error)

    def feedback(self, event_id: str, score: int, comment: str | None = None) -> None:
        """
        Queue what a person thinks of a task: *score* is 1 (positive) or 0 (negative).

        A score that is neither is counted as dropped, reason "invalid".
        """
        given = _score_of(score)
        if given is None:
            self._pipeline.refuse(text_of(event_id), f"score must be 0 or 1, not {shown(text_of(score))}")
            self._pipeline.raise_failures()
        else:
            self._submit_feedback({"task_id": event_id, "score": given, "comment": comment})

    def flag(self, task_id: str, flag: Flag, source: str = "user", notes: str | None = None) -> None:
        """Queue the verdict of *source* on a task: *flag* is "success" or "failure"."""
        given = text_of(flag)
        if given in ("success", "failure"):
            self._submit_feedback({"task_id": task_id, "flag": given, "comment": notes, "source": source})
        else:
            self._pipeline.refuse(
                text_of(task_id), f'flag must be "success" or "failure", not {shown(given)}'
            )
            self._pipeline.raise_failures()

    def confirm_event(self, task_id: str, name: str, comment: str | None = None) -> None:
        """
        Queue that the event *name* did happen in a task. One that detection did not find is added to it.

        The last word on an event of a task holds. It corrects what readers see, and teaches detection. A
        name that the project has not defined is counted as dropped, and so is a task that the server does
        not know.
        """
        self._submit_label(task_id, name, "confirmed", comment)

    def reject_event(self, task_id: str, name: str, comment: str | None = None) -> None:
        """Queue that the event *name* did not happen in a task: readers no longer see it there."""
        self._submit_label(task_id, name, "rejected", comment)

    def clear_event(self, task_id: str, name: str) -> None:
        """Queue that what was said of the event *name* of a task is taken back: detection alone decides."""
        self._submit_label(task_id, name, "", None)

    def flush(self, timeout: float = 10.0) -> FlushResult:
        """
        Block until all that was logged before is settled, or *timeout* seconds are over.

        Returns what was sent and what was not; streams that are not complete are not waited for.
        """
        result = self._pipeline.flush(min(timeout, threading.TIMEOUT_MAX))
        self._pipeline.raise_failures(result)
        return result

    def close(self, timeout: float | None = None) -> FlushResult:
        """
        Flush within *timeout* seconds (`exit_timeout_s` by default) and end the thread.

        What is pending then is lost, unless there is a spool. Even if this raises SendError it has closed.
        """
        result = self._pipeline.close(self.settings.exit_timeout_s if timeout is None else timeout)
        self._pipeline.raise_failures(result)
        return result

    def retire(self) -> None:
        """Send in the background what is still held, then end. Does not block."""
        self._pipeline.retire()

    def stats(self) -> Stats:
        """Return what became of everything logged, in numbers. In a forked child they begin at 0."""
        return self._pipeline.stats()

    @property
    def tasks(self) -> TaskCollection:
        """The project's tasks on the server."""
        from .tasks import TaskCollection

        return TaskCollection(self)

    @property
    def sessions(self) -> SessionCollection:
        """The project's sessions on the server."""
        from .sessions import SessionCollection

        return SessionCollection(self)

    def project(self) -> ProjectContent:
        """Return the project that the key, or `project_id`, names. Raises APIError."""
        projects: list[ProjectContent] = self.reader.get("/api/v1/projects")["projects"]
        wanted = self.settings.project_id
        for project in projects:
            if wanted in (None, project["project_id"]):
                return project
        raise NotFoundError(404, f"there is no project {wanted!r}")

    @property
    def reader(self) -> Reader:
        """What `tasks`, `sessions` and `project` read by."""
        from ._reader import Reader

        return Reader(self.settings)

    @property
    def log_queue(self) -> LogQueue:
        """What waits to be sent. Its `events` map a task's id to an `Event`."""
        return self._pipeline.queue

    @property
    def consumer(self) -> Sender:
        """What sends the queue."""
        return self._pipeline.sender

    def _correct(self, arguments: dict[str, Any]) -> None:
        """Say which of the *arguments* look misspelt, and put functions where they were meant to be."""
        for name in [name for name in arguments if name not in _CALL_FIELDS and parameter_meant(name)]:
            meant = parameter_meant(name)
            assert meant is not None
            if callable(arguments[name]) and arguments.get(meant) is None:
                arguments[meant] = arguments.pop(name)
                taken_as = "It is taken as that"
            else:
                taken_as = "It is logged as metadata"
            self._pipeline.counters.say(
                name, f"phospho: log() has no {name!r}; did you mean {meant!r}? {taken_as}."
            )

    def _hold(self, event: Event, concatenate: bool) -> dict[str, Any]:
        """Queue *event*, or merge it into the one of its task that still waits; return the content held."""
        queue = self._pipeline.queue
        with queue.changed:
            held = queue.events.get(event.id)
            if held is not None:
                merge_content(held.content, event.content, concatenate)
                self._pipeline.merge(held, event.to_log, approximate_bytes(held.content))
                return held.content
        self._pipeline.submit(event)
        return event.content

    def _extend(self, call: LogCall, chunk: Any, chunks_before: int) -> None:
        """Add a chunk to the stream's task, if it still waits: when the queue was full, it never did."""
        fields = {**output_fields(call, chunk, self.count_error), **usage_of(chunk)}
        added_bytes = approximate_bytes(fields)
        queue = self._pipeline.queue
        with queue.changed:
            held = queue.events.get(call.task_id)
            if held is not None and self._pipeline.has_room(held, added_bytes):
                append_chunk(held.content, fields, chunks_before)
                self._pipeline.merge(held, False, held.size_bytes + added_bytes)

    def _complete(self, call: LogCall, error: BaseException | None, last: Any) -> None:
        queue = self._pipeline.queue
        with queue.changed:
            held = queue.events.get(call.task_id)
            if held is None:
                return
            held.content.update(usage_of(last))
            if call.input_output_to_usage_function is not None:
                held.content.update(usage_fields(call, held.content.get("output"), self.count_error))
            if error is not None:
                held.content["error"] = described(error)
            self._pipeline.merge(held, True, approximate_bytes(held.content))

    def _watch(self, call: LogCall, output: Any) -> bool:
        """Have *output* log its chunks as the app iterates; return False if it cannot be watched."""
        try:
            attach(output, StreamLog(self, call._replace(output=None)))
            return True
        except (TypeError, AttributeError):
            return False

    def _submit_label(self, task_id: str, name: str, value: str, comment: str | None) -> None:
        label = {"event": text_of(name), "task_id": text_of(task_id), "label": value}
        if comment is not None:
            label["comment"] = text_of(comment)
        is_whole = task_id is not None and name is not None
        if is_whole and label["task_id"] and label["event"]:
            self._pipeline.submit(Event(new_id(), label, kind=LABEL))
        else:
            self._pipeline.refuse(label["task_id"], "a label needs the id of a task and the name of an event")
        self._pipeline.raise_failures()

    def _submit_feedback(self, fields: dict[str, Any]) -> None:
        feedback_id = new_id()
        content = {**fields, "feedback_id": feedback_id, "client_created_at": time.time()}
        present = {name: to_jsonable(value) for name, value in content.items() if value is not None}
        present["task_id"] = text_of(fields["task_id"])
        self._pipeline.submit(Event(feedback_id, present, kind=FEEDBACK))
        self._pipeline.raise_failures()


def _is_iterator(output: Any) -> bool:
    is_one = hasattr(type(output), "__next__") or hasattr(type(output), "__anext__")
    return is_one and not has_everything(output)


def _score_of(score: Any) -> int | None:
    """Return 0 or 1, or None for what is neither. Never raises."""
    try:
        return int(score) if score in (0, 1) else None
    except Exception:  # the app's own `__eq__`
        return None


def _bare_content(call: LogCall) -> dict[str, Any]:
    """Return what is known of a task whose content is not made, or not yet."""
    return {
        "task_id": call.task_id,
        "session_id": call.session_id,
        "input": call.input if type(call.input) is str else None,
        "output": None,
        "version_id": call.version_id,
        "user_id": call.user_id,
    }


def _transport_of(settings: Settings) -> Transport:
    # Imported here: `import phospho` costs nothing that a recording or Kafka client does not use.
    if settings.kafka:
        from ._kafka import KafkaTransport

        return KafkaTransport(settings)
    from ._http import HttpTransport

    if settings.api_key is None:
        logger.warning(_NO_KEY, settings.base_url)
    return HttpTransport(settings)
