"""A job whose every step a test can steer: stages of any width, and handlers that do as they are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from pydantic import Field, JsonValue

from core.contracts.context import TaskContext
from core.contracts.jobs import Job, JobResult, Parallelism, StacReference, Stage, StageResults, TaskSpec
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.errors import Interrupted, InvalidRaster, OutOfMemory, StorageUnavailable
from core.machine.attempts import Resources
from core.machine.machine import CoreMachine
from core.machine.registry import Registry
from core.machine.retries import RetryPolicy
from core.models.platform import AccessLevel
from core.states import FailurePolicy
from infrastructure.postgres.job_store import PostgresJobStore
from infrastructure.postgres.pool import Pool


class ProbeParameters(Contract):
    """`widths`: tasks in each of the three stages. `behaviour` is task 0's of stage 2, `behaviours` any's, as "2/0"."""

    name: str
    widths: tuple[int, int, int] = (1, 3, 1)
    behaviour: str = "done"
    behaviours: dict[str, str] = Field(default_factory=dict)
    publish: bool = False
    further_items: tuple[str, ...] = ()
    dataset_id: str | None = None
    resource_id: str | None = None
    version_id: str | None = None
    request_id: str | None = None
    break_finalize: bool = False
    access_level: AccessLevel = AccessLevel.OUO


class Probe(Contract):
    key: str
    behaviour: str = "done"


class Probed(Contract):
    key: str
    attempt: int
    resumed_from: int = 0


class ProbeResult(JobResult):
    keys: tuple[tuple[str, ...], ...]
    failed: dict[str, str] = Field(default_factory=dict)


LIGHT = TaskType("probe_light", Probe, Probed, Queue.VECTOR, Weight.LIGHT, max_failures=3)
HEAVY = TaskType("probe_heavy", Probe, Probed, Queue.RASTER, Weight.HEAVY, max_failures=3)


def _planner(stage: int) -> Callable[[ProbeParameters, StageResults], Iterator[TaskSpec]]:
    def plan(parameters: ProbeParameters, _: StageResults) -> Iterator[TaskSpec]:
        for index in range(parameters.widths[stage]):
            told = parameters.behaviours.get(f"{stage + 1}/{index}", "done")
            behaviour = parameters.behaviour if (stage, index) == (1, 0) and told == "done" else told
            yield TaskSpec(f"key-{index}", Probe(key=f"key-{index}", behaviour=behaviour))

    return plan


def probe_job(
    task: TaskType[Probe, Probed], policy: FailurePolicy = FailurePolicy.FAIL_FAST
) -> Job[ProbeParameters, ProbeResult]:
    """The job over light or heavy tasks, named for what is not the default."""
    names = ("one", "two", "three")
    job_name = f"probe_{task.weight}" if policy is FailurePolicy.FAIL_FAST else f"probe_{task.weight}_{policy}"

    def finalize(parameters: ProbeParameters, results: StageResults) -> ProbeResult:
        if parameters.break_finalize:
            raise ZeroDivisionError("finalize was told to break")
        keys = tuple(tuple(sorted(results.of(task, name))) for name in names)
        stac = StacReference(collection_id="c", item_id=parameters.name) if parameters.publish else None
        further = tuple(StacReference(collection_id="c", item_id=item) for item in parameters.further_items)
        failed = {f"{name}/{key}": f.code for name in names for key, f in results.failed(name).items()}
        return ProbeResult(job_type=job_name, keys=keys, stac=stac, stac_items=further, failed=failed)

    stages = tuple(Stage(name, task, _planner(i), Parallelism.SINGLE) for i, name in enumerate(names))
    return Job(job_name, "For tests.", ProbeParameters, ProbeResult, stages, finalize, policy)


def handle(parameters: Probe, ctx: TaskContext) -> Probed:
    """Do as told."""
    resumed = 1 if ctx.checkpoint.should_skip(1) else 0
    match parameters.behaviour:
        case "permanent":
            raise InvalidRaster("The probe was told to fail for good.", hint="Tell it otherwise.")
        case "transient":
            raise StorageUnavailable("The probe was told that storage is away.")
        case "transient once" if ctx.attempt == 1:
            raise StorageUnavailable("The probe was told that storage is away.")
        case "slow":
            time.sleep(1.0)
        case "out of memory":
            raise OutOfMemory
        case "out of memory once" if ctx.attempt == 1:
            raise OutOfMemory
        case "checkpoint then stop" if not resumed:
            ctx.checkpoint.save(1, {"left": "here"})
            raise Interrupted
        case "checkpoint twice":
            ctx.checkpoint.save(1, {"left": "here"})
            again = ctx.checkpoint.should_skip(1) and ctx.checkpoint.data == {"left": "here"}
            return Probed(key=parameters.key, attempt=ctx.attempt, resumed_from=int(again))
        case "checkpoint then fail" if not resumed:
            ctx.checkpoint.save(1, {"left": "here"})
            raise StorageUnavailable("after the checkpoint")
    return Probed(key=parameters.key, attempt=ctx.attempt, resumed_from=resumed)


class Silent:
    """A log nobody reads."""

    def info(self, event: str, **fields: object) -> None:
        """Nothing."""

    def warning(self, event: str, **fields: object) -> None:
        """Nothing."""


def no_resources() -> Resources:
    """For handlers that touch neither blobs nor tables."""
    raise AssertionError("this handler was not expected to use storage")


QUEUES = [queue.value for queue in Queue]
JOBS = {job.name: job for task in (LIGHT, HEAVY) for job in (probe_job(task, policy) for policy in FailurePolicy)}
HANDLERS = {LIGHT: "tests.support.probe:handle", HEAVY: "tests.support.probe:handle"}


def machine(
    pool: Pool,
    worker: str = "tester",
    *,
    lease: float = 30.0,
    callbacks: dict[str, Callable[[dict[str, JsonValue]], None]] | None = None,
    resources: Callable[[], Resources] = no_resources,
    retry: RetryPolicy | None = None,
    dispatch: Callable[[], object] | None = None,
) -> CoreMachine:
    """A CoreMachine over the probe jobs, which retries at once unless told otherwise."""
    return CoreMachine(
        Registry(JOBS, HANDLERS),
        PostgresJobStore(pool),
        resources,
        worker=worker,
        log=Silent(),
        lease=lease,
        retry=retry or RetryPolicy(0, 0),
        callbacks=callbacks,
        dispatch=dispatch,
    )
