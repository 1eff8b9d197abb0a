"""What comes after a finished stage: the next stage's tasks, or the job's result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from core.contracts.jobs import MAX_TASKS_PER_STAGE, JobResult, Parallelism, Stage, StageResults, TaskSpec
from core.contracts.tasks import Weight
from core.errors import ContractViolation
from core.machine.registry import AnyJob
from core.machine.store import ApprovalRequest, JobToAdvance, NewStage, StoredResult


@dataclass(frozen=True)
class JobOutcome:
    """The end of a job: its result as JSON, and the review it asks for."""

    result: str
    approval: ApprovalRequest | None


def first_stage(job: AnyJob, parameters: BaseModel) -> NewStage:
    """Stage 1 of a new job."""
    return _stage(1, job.stage(1), job.stage(1).plan(parameters, StageResults({})))


def next_step(
    job: AnyJob, record: JobToAdvance, finished: int, stored: Sequence[StoredResult]
) -> NewStage | JobOutcome:
    """What follows stage number `finished`. Runs the job author's code, so never inside a transaction."""
    parameters = job.parameters.model_validate(record.parameters)
    results = _results(job, stored, finished)
    if finished < len(job.stages):
        number = finished + 1
        return _stage(number, job.stage(number), job.stage(number).plan(parameters, results))
    result = job.finalize(parameters, results)
    if not isinstance(result, job.result):
        raise ContractViolation(f"Job {job.name} finalised to {type(result).__name__}, not {job.result.__name__}.")
    return JobOutcome(result.model_dump_json(by_alias=True), _approval(result, parameters))


def _results(job: AnyJob, stored: Sequence[StoredResult], finished: int) -> StageResults:
    outputs: dict[str, dict[str, BaseModel]] = {s.name: {} for s in job.stages[:finished]}
    models = {s.name: s.task.output for s in job.stages}
    for row in stored:
        if row.output is None:
            raise ContractViolation(f"Task {row.task_key!r} of stage {row.stage_name!r} finished without an output.")
        outputs[row.stage_name][row.task_key] = models[row.stage_name].model_validate(row.output)
    return StageResults(outputs)


def _stage(number: int, stage: Stage[BaseModel], specs: Iterable[TaskSpec]) -> NewStage:
    tasks = list(specs)
    keys = [t.key for t in tasks]
    if len(set(keys)) != len(keys):
        raise ContractViolation(f"Stage {stage.name!r} plans two tasks with the same key.")
    if len(keys) > MAX_TASKS_PER_STAGE:
        raise ContractViolation(f"Stage {stage.name!r} plans {len(keys)} tasks; the limit is {MAX_TASKS_PER_STAGE}.")
    if stage.parallelism is Parallelism.FAN_IN and len(keys) != 1:
        raise ContractViolation(f"Stage {stage.name!r} gathers results and plans {len(keys)} tasks, not 1.")
    wrong = next((t for t in tasks if not isinstance(t.parameters, stage.task.input)), None)
    if wrong is not None:
        raise ContractViolation(f"Task {wrong.key!r} of stage {stage.name!r} is not a {stage.task.input.__name__}.")
    return NewStage(
        number=number,
        name=stage.name,
        task_type=stage.task.name,
        queue=stage.task.queue.value,
        heavy=stage.task.weight is Weight.HEAVY,
        max_failures=stage.task.max_failures,
        keys=keys,
        parameters=[t.parameters.model_dump_json() for t in tasks],
    )


def _approval(result: BaseModel, parameters: BaseModel) -> ApprovalRequest | None:
    if not isinstance(result, JobResult) or result.stac is None:
        return None
    level = getattr(parameters, "access_level", None)
    if level is None:
        raise ContractViolation(f"Job {result.job_type} publishes {result.stac.item_id} without an access_level.")
    return ApprovalRequest(result.stac.collection_id, result.stac.item_id, str(level))
