"""What a job type is: a declaration of parameters, result and stages, and how one leads to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from core.contracts.tasks import Contract, TaskType
from core.errors import ContractViolation
from core.states import FailurePolicy

Params = TypeVar("Params", bound=BaseModel)
Result = TypeVar("Result", bound=BaseModel)
Output = TypeVar("Output", bound=BaseModel)

MAX_TASKS_PER_STAGE = 1_000_000


class Parallelism(StrEnum):
    """Where a stage's tasks come from."""

    SINGLE = "single"  #: from the job's parameters
    FAN_OUT = "fan_out"  #: one or more per result of the stage before
    FAN_IN = "fan_in"  #: one task that reads all results of the stage before


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task to create. `key` names it within its stage; results are joined by it."""

    key: str
    parameters: BaseModel


@dataclass(frozen=True)
class TaskFailure:
    """Why a task failed for good, in a job that goes on without it."""

    code: str
    message: str


@dataclass(frozen=True)
class StageResults:
    """The outputs of finished stages, by stage name and task key, and the failures that a PARTIAL job allows."""

    outputs: Mapping[str, Mapping[str, BaseModel]]
    failures: Mapping[str, Mapping[str, TaskFailure]] = field(default_factory=dict)

    def of(self, task: TaskType[Any, Output], stage: str) -> Mapping[str, Output]:
        """All outputs of a stage, by task key."""
        found = self.outputs.get(stage)
        if found is None:
            raise ContractViolation(f"Stage {stage!r} has no results yet.")
        for key, output in found.items():
            if not isinstance(output, task.output):
                raise ContractViolation(f"Task {key!r} of stage {stage!r} is not a {task.name} output.")
        return found  # type: ignore[return-value]  # every value was checked above

    def one(self, task: TaskType[Any, Output], stage: str) -> Output:
        """The only output of a single-task stage."""
        found = self.of(task, stage)
        if len(found) != 1:
            raise ContractViolation(f"Stage {stage!r} has {len(found)} results, expected 1.")
        return next(iter(found.values()))

    def failed(self, stage: str) -> Mapping[str, TaskFailure]:
        """The tasks of a stage that failed, by key; empty unless the job's policy is PARTIAL."""
        return self.failures.get(stage, {})


@dataclass(frozen=True)
class Stage(Generic[Params]):
    """One step of a job. `plan` lists its tasks from the parameters and all results so far."""

    name: str
    task: TaskType[Any, Any]
    plan: Callable[[Params, StageResults], Iterable[TaskSpec]]
    parallelism: Parallelism = Parallelism.SINGLE


class StacReference(Contract):
    """The STAC item that a job made; its presence in a result asks for an approval record."""

    collection_id: str
    item_id: str


class JobResult(Contract):
    """Base of every job result.

    `stac` is the item partners are told of; `stac_items` are others that the same decision publishes, such as the items
    of a collection or the further tables of a file. May name `stac` again.
    """

    job_type: str
    stac: StacReference | None = None
    stac_items: tuple[StacReference, ...] = ()

    @property
    def reviewed(self) -> tuple[StacReference, ...]:
        """Every item that is to be reviewed, each once, the one partners are told of first."""
        first = (self.stac,) if self.stac else ()
        return tuple(dict.fromkeys((*first, *self.stac_items)))


@dataclass(frozen=True)
class Job(Generic[Params, Result]):
    """A job type. `finalize` makes the result from the parameters and all stage results.

    `on_failure` says what a task that failed for good means for the others. Under PARTIAL, `plan` and `finalize` see
    the failures beside the outputs, and the job ends as `completed_with_errors`.
    """

    name: str
    description: str
    parameters: type[Params]
    result: type[Result]
    stages: tuple[Stage[Params], ...]
    finalize: Callable[[Params, StageResults], Result]
    on_failure: FailurePolicy = FailurePolicy.FAIL_FAST
    repeatable: bool = False  #: what it does depends on what is there: submitted again, a finished one runs again

    def stage(self, number: int) -> Stage[Params]:
        """The stage with this number; the first is 1."""
        return self.stages[number - 1]
