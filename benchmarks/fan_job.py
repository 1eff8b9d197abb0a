"""The job that is measured: one task, then n that do nothing, then one that reads their answers."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.context import TaskContext
from core.contracts.jobs import Job, JobResult, Parallelism, Stage, StageResults, TaskSpec
from core.contracts.tasks import Contract, Queue, TaskType, Weight


class FanParameters(Contract):
    """`name` makes jobs distinct."""

    name: str
    width: int


class Number(Contract):
    """What every task is told and answers."""

    value: int


class Numbers(Contract):
    """All answers of the wide stage."""

    values: tuple[int, ...]


class FanResult(JobResult):
    """Their sum, which proves that each was there once."""

    total: int


SEED = TaskType("fan_seed", Number, Number, Queue.VECTOR, Weight.LIGHT)
WORK = TaskType("fan_work", Number, Number, Queue.VECTOR, Weight.LIGHT)
SUM = TaskType("fan_sum", Numbers, Number, Queue.VECTOR, Weight.LIGHT)


def same(parameters: Number, _: TaskContext) -> Number:
    """Do nothing."""
    return parameters


def add(parameters: Numbers, _: TaskContext) -> Number:
    """Read all answers."""
    return Number(value=sum(parameters.values))


def _seed(parameters: FanParameters, _: StageResults) -> Iterator[TaskSpec]:
    yield TaskSpec("seed", Number(value=parameters.width))


def _work(_: FanParameters, results: StageResults) -> Iterator[TaskSpec]:
    for index in range(results.one(SEED, "seed").value):
        yield TaskSpec(str(index), Number(value=index))


def _sum(_: FanParameters, results: StageResults) -> Iterator[TaskSpec]:
    yield TaskSpec("sum", Numbers(values=tuple(n.value for n in results.of(WORK, "work").values())))


def _finalize(_: FanParameters, results: StageResults) -> FanResult:
    return FanResult(job_type=JOB.name, total=results.one(SUM, "sum").value)


JOB = Job(
    name="benchmark_fan",
    description="Measures the machine.",
    parameters=FanParameters,
    result=FanResult,
    stages=(
        Stage("seed", SEED, _seed),
        Stage("work", WORK, _work, Parallelism.FAN_OUT),
        Stage("sum", SUM, _sum, Parallelism.FAN_IN),
    ),
    finalize=_finalize,
)
HANDLERS = {SEED: "benchmarks.fan_job:same", WORK: "benchmarks.fan_job:same", SUM: "benchmarks.fan_job:add"}
