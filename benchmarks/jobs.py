"""The jobs that are measured: their tasks do nothing, and their results prove that each was there once."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.context import TaskContext
from core.contracts.jobs import Job, JobResult, Parallelism, Stage, StageResults, TaskSpec
from core.contracts.tasks import Contract, Queue, TaskType, Weight

CHAIN_LENGTH = 30


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


class Total(JobResult):
    """The sum of all answers."""

    total: int


SEED = TaskType("bench_seed", Number, Number, Queue.VECTOR, Weight.LIGHT)
WORK = TaskType("bench_work", Number, Number, Queue.VECTOR, Weight.LIGHT)
HEAVY_WORK = TaskType("bench_heavy_work", Number, Number, Queue.LONG, Weight.HEAVY)
SUM = TaskType("bench_sum", Numbers, Number, Queue.VECTOR, Weight.LIGHT)


def same(parameters: Number, _: TaskContext) -> Number:
    """Do nothing."""
    return parameters


def add(parameters: Numbers, _: TaskContext) -> Number:
    """Read all answers."""
    return Number(value=sum(parameters.values))


def _numbers(parameters: FanParameters, _: StageResults) -> Iterator[TaskSpec]:
    for index in range(parameters.width):
        yield TaskSpec(str(index), Number(value=index))


def _fan(name: str, work: TaskType[Number, Number]) -> Job[FanParameters, Total]:
    """1, then `width`, then 1."""

    def seed(parameters: FanParameters, _: StageResults) -> Iterator[TaskSpec]:
        yield TaskSpec("seed", Number(value=parameters.width))

    def total(_: FanParameters, results: StageResults) -> Iterator[TaskSpec]:
        yield TaskSpec("sum", Numbers(values=tuple(n.value for n in results.of(work, "work").values())))

    def finalize(_: FanParameters, results: StageResults) -> Total:
        return Total(job_type=name, total=results.one(SUM, "sum").value)

    stages = (
        Stage("seed", SEED, seed),
        Stage("work", work, _numbers, Parallelism.FAN_OUT),
        Stage("sum", SUM, total, Parallelism.FAN_IN),
    )
    return Job(name, "Measures the machine.", FanParameters, Total, stages, finalize)


def _chain() -> Job[FanParameters, Total]:
    """Thirty stages of one task each."""

    def one(_: FanParameters, __: StageResults) -> Iterator[TaskSpec]:
        yield TaskSpec("one", Number(value=1))

    def finalize(_: FanParameters, results: StageResults) -> Total:
        return Total(job_type="bench_chain", total=sum(results.one(WORK, s.name).value for s in stages))

    stages = tuple(Stage(f"link-{n}", WORK, one) for n in range(1, CHAIN_LENGTH + 1))
    return Job("bench_chain", "Measures a hop.", FanParameters, Total, stages, finalize)


def _wide() -> Job[FanParameters, Total]:
    """One stage, to measure how fast its tasks are made."""
    stages = (Stage("work", WORK, _numbers, Parallelism.FAN_OUT),)
    return Job(
        "bench_wide",
        "Measures creation.",
        FanParameters,
        Total,
        stages,
        lambda _, results: Total(job_type="bench_wide", total=len(results.of(WORK, "work"))),
    )


FAN, HEAVY_FAN, CHAIN, WIDE = _fan("bench_fan", WORK), _fan("bench_heavy_fan", HEAVY_WORK), _chain(), _wide()
JOBS = {job.name: job for job in (FAN, HEAVY_FAN, CHAIN, WIDE)}
HANDLERS = {
    SEED: "benchmarks.jobs:same",
    WORK: "benchmarks.jobs:same",
    HEAVY_WORK: "benchmarks.jobs:same",
    SUM: "benchmarks.jobs:add",
}
