"""The client: everything the module functions of `phospho` do, as an object."""

from __future__ import annotations

import re
import threading
import weakref
from typing import TYPE_CHECKING, Any, Callable

from ._capture.stream_log import StreamLog
from ._capture.streams import attach, is_iterator
from ._capture.task_log import TaskLog
from ._content.feedback import FLAGS, Flag, feedback_content, label_content, score_of
from ._content.json_values import text_of
from ._content.task_content import LogCall, bare_content
from ._delivery.counters import Stats
from ._delivery.flushes import FlushResult
from ._delivery.pipeline import Pipeline
from ._delivery.queue import FEEDBACK, LABEL, Event, LogQueue
from ._delivery.sender import Sender
from ._delivery.transport import Transport
from ._ids import new_id
from ._logger import logger, printable
from ._shapes.masking import Mask, mask_of
from .config import DEFAULT_LIMITS, DEFAULT_RETRY, Limits, RetryPolicy, Settings
from .errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable
    from typing import Union

    MaskRule = Union[str, re.Pattern[str], Mask]
    MaskRules = Union[MaskRule, Iterable[MaskRule], None]

    from ._reader import Reader
    from .models import ProjectContent
    from .sessions import SessionCollection
    from .tasks import TaskCollection

__all__ = ["Client"]

_CANNOT_WATCH = (
    "phospho: an output of type %s can't be logged, so only the input is. Pass stream=True, and a generator inside "
    "phospho.MutableGenerator(generator, stop=...) or MutableAsyncGenerator."
)

# A warning and no error: many apps load their .env file after `phospho.init`.
_NO_KEY = (
    "phospho: there is no API key, and %s refuses requests without one. Pass api_key= to phospho.init, or set "
    "PHOSPHO_API_KEY before the first log is sent. Tests need none with phospho.RecordingTransport()."
)


class Client:
    """
    Logs to one project by its own queue. One process may have several; those of one server share a thread.

    The default transport is HTTP. `kafka="host:9092"` or a `transport` replaces it. PHOSPHO_API_KEY,
    PHOSPHO_PROJECT_ID and PHOSPHO_BASE_URL stand in for arguments that are left out. Making a client sends nothing
    and doesn't block. With `spool_dir` it reads that folder. The arguments are described at `phospho.init`.

    Raises:
        ConfigError: the arguments cannot work. After that nothing raises, unless `raise_error_on_fail_to_send`
            asks for `SendError` from `log`, feedback, `flush` and `close`.
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
        mask: MaskRules = None,
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
            mask=_mask_of(mask),
        ).with_environment()
        self._pipeline = Pipeline(self.settings, transport or _transport_of(self.settings))
        self.task_log = TaskLog(self._pipeline)
        # A client that the app drops sends what it holds, then ends. Its unfinished streams hold the task log.
        weakref.finalize(self.task_log, self._pipeline.retire).atexit = False

    def __repr__(self) -> str:
        return f"Client({self.settings!r})"

    def log(
        self,
        /,
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
        Queue one task, an input with its output, and return the content that will be sent.

        Does not block, and does not raise: what cannot be queued is counted in `stats().dropped`. Text is extracted
        from values that are not strings; the whole values are kept in `raw_input` and `raw_output`.

        Args:
            input: A string, a call's arguments, a list of messages, or any object.
            output: A string, a response, a list of messages, or any object. None if there is none.
            session_id: Groups tasks. Default: a session of its own.
            task_id: The same id again is the same task. Default: a new UUID, which sorts by time.
            version_id: The version of the app.
            user_id: The app's user.
            raw_input: Kept instead of *input*.
            raw_output: Kept instead of *output*.
            input_to_str_function: Returns the text of *input*.
            output_to_str_function: Returns the text of *output*, or of one chunk of it.
            concatenate_raw_outputs_if_task_id_exists: Join the outputs of a task that is logged in parts
                (`to_log=False`). A task that is logged again whole has its last output.
            input_output_to_usage_function: Returns the token counts, from *input* and *output*.
            stream: *output* is an iterable. Its chunks are joined as the app iterates, then sent.
            **kwargs: Metadata.

        Returns:
            The content, with `input`, `output`, `task_id`, `session_id`, and `event_id`, which is the task's id.

        Raises:
            NotInitializedError: `phospho.log` was called before `phospho.init`.
            SendError: only with `raise_error_on_fail_to_send`.
        """
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
        call = self.task_log.call_of(input, output, arguments, claims_trace=True)
        if stream and self._watch(call):
            return {**bare_content(call), "event_id": call.task_id}
        if is_iterator(output):
            logger.warning(_CANNOT_WATCH, type(output).__name__)
            call = call._replace(output=None)
        return self.task_log.submit(call, concatenate=concatenate_raw_outputs_if_task_id_exists)

    def feedback(self, event_id: str, score: int, comment: str | None = None) -> None:
        """
        Queue a person's feedback on a task: *score* is 1 (positive) or 0 (negative).

        Any other score is counted as dropped, with the reason "invalid".
        """
        valid_score = score_of(score)
        if valid_score is None:
            self._refuse(event_id, f"score must be 0 or 1, not {printable(text_of(score))}")
        else:
            self._submit_feedback(event_id, {"score": valid_score, "comment": comment})

    def flag(self, task_id: str, flag: Flag, source: str = "user", notes: str | None = None) -> None:
        """
        Queue the feedback of *source* on a task: *flag* is "success" or "failure".

        Any other flag is counted as dropped, with the reason "invalid".
        """
        flag_text = text_of(flag)
        if flag_text in FLAGS:
            self._submit_feedback(task_id, {"flag": flag_text, "comment": notes, "source": source})
        else:
            self._refuse(task_id, f'flag must be "success" or "failure", not {printable(flag_text)}')

    def confirm_event(self, task_id: str, name: str, comment: str | None = None) -> None:
        """
        Queue a label that confirms the event *name* of a task. If detection has not found it, it is added.

        The last label of an event wins. Readers see the corrected events, and detection learns from the label. A
        name that the project has not defined, or a task that the server does not know, is counted as dropped.
        """
        self._submit_label(task_id, name, "confirmed", comment)

    def reject_event(self, task_id: str, name: str, comment: str | None = None) -> None:
        """Queue a label that rejects the event *name* of a task: readers no longer see it there."""
        self._submit_label(task_id, name, "rejected", comment)

    def clear_event(self, task_id: str, name: str) -> None:
        """Queue the removal of the label of the event *name* of a task: detection alone decides again."""
        self._submit_label(task_id, name, "", None)

    def flush(self, timeout: float = 10.0) -> FlushResult:
        """
        Block until every event logged before is settled, or *timeout* seconds are over.

        Returns the ids that were sent, rejected and are still pending. Unfinished streams are not waited for.
        Raises SendError for rejected and pending events, only with `raise_error_on_fail_to_send`. Pending events
        are still retried.
        """
        result = self._pipeline.flush(min(timeout, threading.TIMEOUT_MAX))
        self._pipeline.raise_failures(result)
        return result

    def close(self, timeout: float | None = None) -> FlushResult:
        """
        Flush within *timeout* seconds (`exit_timeout_s` by default) and end the thread.

        Events that are still pending are lost, unless there is a spool. The client is closed even if this raises
        SendError.
        """
        result = self._pipeline.close(self.settings.exit_timeout_s if timeout is None else timeout)
        self._pipeline.raise_failures(result)
        return result

    def retire(self) -> None:
        """Send the queued events in the background, then end. Does not block."""
        self._pipeline.retire()

    def stats(self) -> Stats:
        """Return the counts of everything logged since the client was made. A forked child starts at 0."""
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
        """Return the project of `project_id`, or of the API key. Raises APIError."""
        projects: list[ProjectContent] = self.reader.get("/api/v1/projects")["projects"]
        project_id = self.settings.project_id
        for project in projects:
            if project_id in (None, project["project_id"]):
                return project
        raise NotFoundError(404, f"there is no project {project_id!r} for this API key. Check project_id=")

    @property
    def reader(self) -> Reader:
        """Reads from the query API, for `tasks`, `sessions` and `project`."""
        from ._reader import Reader

        return Reader(self.settings)

    @property
    def log_queue(self) -> LogQueue:
        """The queue of unsent events. Its `events` map a task's id to an `Event`."""
        return self._pipeline.queue

    @property
    def consumer(self) -> Sender:
        """The sender of the queue's events."""
        return self._pipeline.sender

    def _watch(self, call: LogCall) -> bool:
        """Log the chunks of the call's output as the app iterates. Return False if it cannot be watched."""
        try:
            attach(call.output, StreamLog(self.task_log, call._replace(output=None)))
            return True
        except (TypeError, AttributeError):
            return False

    def _submit_label(self, task_id: str, name: str, value: str, comment: str | None) -> None:
        content = label_content(task_id, name, value, comment)
        if content is None:
            self._refuse(task_id, "a label needs the id of a task and the name of an event")
            return
        self._pipeline.submit(Event(new_id(), content, kind=LABEL))
        self._pipeline.raise_failures()

    def _submit_feedback(self, task_id: str, fields: dict[str, Any]) -> None:
        feedback_id = new_id()
        self._pipeline.submit(Event(feedback_id, feedback_content(feedback_id, task_id, fields), kind=FEEDBACK))
        self._pipeline.raise_failures()

    def _refuse(self, task_id: Any, message: str) -> None:
        self._pipeline.refuse(text_of(task_id), message)
        self._pipeline.raise_failures()


def _mask_of(rules: MaskRules) -> Mask | None:
    """Return the function of the rules of masking, None without any. Raises `ConfigError`."""
    if rules is None:
        return None
    try:
        return mask_of([rules] if isinstance(rules, (str, re.Pattern)) or callable(rules) else rules)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"mask can't be used: {error}") from error


def _transport_of(settings: Settings) -> Transport:
    # Imported here: `import phospho` costs nothing that a recording or Kafka client does not use.
    if settings.kafka:
        from ._delivery.kafka import KafkaTransport

        return KafkaTransport(settings)
    from ._delivery.http import HttpTransport

    if settings.api_key is None:
        logger.warning(_NO_KEY, settings.base_url)
    return HttpTransport(settings)
