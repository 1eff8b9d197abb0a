"""The job types of the chaos tests, as the machine sees them, and their one handler."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from core.contracts.context import TaskContext
from core.contracts.effects import UpsertCogMetadata
from core.contracts.jobs import Job, JobResult, Stage, StageResults, TaskSpec
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.errors import Interrupted, InvalidRaster, OutOfMemory, StorageUnavailable
from core.machine.registry import Registry
from core.models.cogs import CogMetadata
from core.models.platform import AccessLevel
from core.states import FailurePolicy
from tests.chaos.shapes import MODULUS, MOST_STAGES, PATTERNS, value


class Parameters(Contract):
    number: int
    widths: tuple[int, ...]
    fates: dict[str, str]


class Work(Contract):
    number: int
    stage: int
    index: int
    base: int
    fate: str


class Made(Contract):
    value: int


class Summary(JobResult):
    number: int
    sums: tuple[int, ...]
    failed: tuple[str, ...]


LIGHT = TaskType("chaos_light", Work, Made, Queue.VECTOR, Weight.LIGHT)
HEAVY = TaskType("chaos_heavy", Work, Made, Queue.RASTER, Weight.HEAVY)


def _total(results: StageResults, task: TaskType[Work, Made], stage: int) -> int:
    return sum(made.value for made in results.of(task, f"s{stage}").values()) % MODULUS


def _job(count: int, pattern: str, policy: FailurePolicy) -> Job[Parameters, Summary]:
    weights = PATTERNS[pattern]
    tasks = [HEAVY if weights[n % len(weights)] else LIGHT for n in range(count)]
    name = f"chaos_{count}_{pattern}_{policy}"

    def planner(stage: int) -> Callable[[Parameters, StageResults], Iterator[TaskSpec]]:
        def plan(parameters: Parameters, results: StageResults) -> Iterator[TaskSpec]:
            base = _total(results, tasks[stage - 2], stage - 1) if stage > 1 else 0
            for index in range(parameters.widths[stage - 1]):
                fate = parameters.fates.get(f"{stage}/{index}", "done")
                work = Work(number=parameters.number, stage=stage, index=index, base=base, fate=fate)
                yield TaskSpec(f"{stage}/{index}", work)

        return plan

    def finalize(parameters: Parameters, results: StageResults) -> Summary:
        failed = sorted(key for stage in range(1, count + 1) for key in results.failed(f"s{stage}"))
        sums = tuple(_total(results, task, stage) for stage, task in enumerate(tasks, 1))
        return Summary(job_type=name, number=parameters.number, sums=sums, failed=tuple(failed))

    stages = tuple(Stage(f"s{n}", task, planner(n)) for n, task in enumerate(tasks, 1))
    return Job(name, "For chaos.", Parameters, Summary, stages, finalize, policy)


def handle(work: Work, ctx: TaskContext) -> Made:
    """Do as told. What is told to happen once happens at the first attempt, if that lives to see it."""
    made = Made(value=value(work.number, work.stage, work.index, work.base))
    match work.fate:
        case "permanent":
            raise InvalidRaster("The task was told to fail for good.")
        case "transient once" if ctx.attempt == 1:
            raise StorageUnavailable("The task was told that storage is away.")
        case "out of memory once" if ctx.attempt == 1:
            raise OutOfMemory
        case "slow":
            time.sleep(0.1)
        case "effect":
            ctx.commit_with(UpsertCogMetadata(_record(work)))
        case "checkpoint" | "checkpoint then stop" | "checkpoint then fail":
            return _in_phases(work, ctx, made)
    return made


def _in_phases(work: Work, ctx: TaskContext, made: Made) -> Made:
    if not ctx.checkpoint.should_skip(1):
        ctx.checkpoint.save(1, {"value": made.value})
        ctx.report_progress(50, "half")
        if work.fate == "checkpoint then stop":
            raise Interrupted
        if work.fate == "checkpoint then fail":
            raise StorageUnavailable("after the checkpoint")
    return Made(value=int(str(ctx.checkpoint.data["value"])))


def _record(work: Work) -> CogMetadata:
    name = f"{work.number}-{work.stage}-{work.index}"
    return CogMetadata(
        cog_id=name,
        container="chaos",
        blob_path=name,
        cog_url=name,
        width=1,
        height=1,
        band_count=1,
        dtype="uint8",
        stac_collection_id="chaos",
        stac_item_id=name,
        access_level=AccessLevel.PUBLIC,
    )


def registry() -> Registry:
    """All of them."""
    made = [_job(n, p, policy) for n in range(1, MOST_STAGES + 1) for p in PATTERNS for policy in FailurePolicy]
    return Registry({job.name: job for job in made}, dict.fromkeys((LIGHT, HEAVY), "tests.chaos.jobs:handle"))
