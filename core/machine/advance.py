"""What comes after a finished stage: the next stage's tasks, or the job's result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel

from core.contracts.jobs import (
    MAX_TASKS_PER_STAGE,
    JobResult,
    Parallelism,
    Stage,
    StageResults,
    TaskFailure,
    TaskSpec,
)
from core.contracts.tasks import Weight
from core.errors import ContractViolation
from core.machine.registry import AnyJob
from core.machine.store import ApprovalRequest, JobOutcome, JobToAdvance, NewStage, StoredResult


def first_stage(job: AnyJob, parameters: BaseModel) -> NewStage:
    """Stage 1 of a new job."""
    return _stage(job, 1, job.stage(1).plan(parameters, StageResults({})))


def next_step(job: AnyJob, record: JobToAdvance) -> NewStage | JobOutcome:
    """What follows the finished stage. Runs the job author's code, so never inside a transaction."""
    finished = record.claimed.stage
    parameters = job.parameters.model_validate(record.parameters)
    results = _results(job, record.results, finished)
    if finished < len(job.stages):
        return _stage(job, finished + 1, job.stage(finished + 1).plan(parameters, results))
    result = job.finalize(parameters, results)
    if not isinstance(result, job.result):
        raise ContractViolation(f"Job {job.name} finalised to {type(result).__name__}, not {job.result.__name__}.")
    return JobOutcome(result.model_dump_json(by_alias=True), _approval(result, parameters))


def _results(job: AnyJob, stored: Sequence[StoredResult], finished: int) -> StageResults:
    outputs: dict[str, dict[str, BaseModel]] = {s.name: {} for s in job.stages[:finished]}
    failures: dict[str, dict[str, TaskFailure]] = {}
    models = {s.name: s.task.output for s in job.stages}
    for row in stored:
        if row.output is not None:
            outputs[row.stage_name][row.task_key] = models[row.stage_name].model_validate(row.output)
        elif row.error_code is not None:
            failure = TaskFailure(row.error_code, row.error_message or "")
            failures.setdefault(row.stage_name, {})[row.task_key] = failure
        else:
            raise ContractViolation(f"Task {row.task_key!r} of stage {row.stage_name!r} ended without an output.")
    return StageResults(outputs, failures)


def _stage(job: AnyJob, number: int, specs: Iterable[TaskSpec]) -> NewStage:
    stage: Stage[BaseModel] = job.stage(number)
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
        on_failure=job.on_failure,
        keys=keys,
        parameters=[t.parameters.model_dump_json() for t in tasks],
    )


def _approval(result: BaseModel, parameters: BaseModel) -> ApprovalRequest | None:
    if not isinstance(result, JobResult) or not result.reviewed:
        return None
    level = getattr(parameters, "access_level", None) or getattr(result, "access_level", None)
    if level is None:
        raise ContractViolation(
            f"Job {result.job_type} publishes {result.reviewed[0].item_id} without an access_level."
        )
    return ApprovalRequest([(item.collection_id, item.item_id) for item in result.reviewed], str(level))
