"""The server's detection, and jobs of your own, over messages on your machine."""

from . import job_library as job_library
from .models import EventConfig, EventDefinition, JobConfig, JobResult, Message, ResultType
from .workload import Job, Workload

__all__ = [
    "EventConfig",
    "EventDefinition",
    "Job",
    "JobConfig",
    "JobResult",
    "Message",
    "ResultType",
    "Workload",
    "job_library",
]
