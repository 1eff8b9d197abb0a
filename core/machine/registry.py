"""Which jobs and handlers exist? An explicit table, checked once, filled by the composition root."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from typing import Any, cast

from pydantic import BaseModel

from core.contracts.context import TaskContext
from core.contracts.jobs import Job
from core.contracts.tasks import TaskType
from core.errors import ContractViolation, UnknownJobType

AnyJob = Job[Any, Any]
AnyTask = TaskType[Any, Any]
Handler = Callable[[BaseModel, TaskContext], BaseModel]


class Registry:
    """Job declarations and the handlers of their task types. Handlers are named, and imported at first use."""

    def __init__(self, jobs: Mapping[str, AnyJob], handlers: Mapping[AnyTask, str]) -> None:
        self._jobs = dict(jobs)
        self._handlers = {task.name: path for task, path in handlers.items()}
        self._tasks = {task.name: task for task in handlers}
        self._check()

    def _check(self) -> None:
        for name, job in self._jobs.items():
            if name != job.name:
                raise ContractViolation(f"Job {job.name!r} is registered as {name!r}.")
            if not job.stages or len({s.name for s in job.stages}) != len(job.stages):
                raise ContractViolation(f"Job {name!r} needs stages with distinct names.")
            missing = [s.task.name for s in job.stages if s.task.name not in self._tasks]
            if missing:
                raise ContractViolation(f"Job {name!r} uses task types without a handler: {', '.join(missing)}.")

    def job_types(self) -> list[str]:
        """Every job type, sorted."""
        return sorted(self._jobs)

    def job(self, job_type: str) -> AnyJob:
        """The declaration of a job type. Raises UnknownJobType with the nearest name."""
        found = self._jobs.get(job_type)
        if found is None:
            near = difflib.get_close_matches(job_type, self._jobs, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise UnknownJobType(
                f"There is no job type {job_type!r}.", hint=f"{hint}Available: {', '.join(self.job_types())}."
            )
        return found

    def task(self, name: str) -> AnyTask:
        """The task type of that name."""
        try:
            return self._tasks[name]
        except KeyError:
            raise ContractViolation(f"No task type {name!r} is registered.") from None

    def seconds(self, name: str, *, heavy: bool) -> float:
        """How long an attempt at a task of that type may run; for an unknown type, whose attempt fails, no time."""
        task = self._tasks.get(name)
        return task.seconds(heavy=heavy) if task else 0.0

    def handler(self, name: str) -> Handler:
        """The function that runs tasks of that type; its module is imported now."""
        module, _, function = self._handlers[self.task(name).name].partition(":")
        return cast("Handler", getattr(importlib.import_module(module), function))
