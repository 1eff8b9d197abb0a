"""A job whose tasks do what kills workers, and a worker that runs it: python -m tests.support.hazards RUNNERS."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

import config
from core.contracts.context import TaskContext
from core.contracts.jobs import Job, JobResult, Parallelism, Stage, StageResults, TaskSpec
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.errors import Interrupted
from core.machine.registry import Registry
from infrastructure import telemetry
from triggers.worker import parent


class HazardParameters(Contract):
    """`tasks` tasks; the one of index `at` does as `hazard` says in its first `times` attempts."""

    name: str
    folder: str
    hazard: str = "none"
    tasks: int = 1
    at: int = 0
    times: int = 1


class Hazard(Contract):
    hazard: str
    folder: str
    times: int


class Survived(Contract):
    attempt: int
    resumed: bool = False


class HazardResult(JobResult):
    attempts: dict[str, int]
    resumed: tuple[str, ...]


_LEAKED: list[bytes] = []
_LIMIT = 3.0  #: seconds that a hazardous task may run
LIGHT = TaskType("hazard_light", Hazard, Survived, Queue.VECTOR, Weight.LIGHT, timeout=_LIMIT)
HEAVY = TaskType("hazard_heavy", Hazard, Survived, Queue.RASTER, Weight.HEAVY, timeout=_LIMIT)
PATIENT = TaskType("hazard_patient", Hazard, Survived, Queue.RASTER, Weight.HEAVY)


def _job(task: TaskType[Hazard, Survived]) -> Job[HazardParameters, HazardResult]:
    def plan(parameters: HazardParameters, _: StageResults) -> Iterator[TaskSpec]:
        for index in range(parameters.tasks):
            hazard = parameters.hazard if index == parameters.at else "none"
            yield TaskSpec(f"key-{index}", Hazard(hazard=hazard, folder=parameters.folder, times=parameters.times))

    def finalize(_: HazardParameters, results: StageResults) -> HazardResult:
        ended = results.of(task, "only")
        resumed = tuple(sorted(key for key, survived in ended.items() if survived.resumed))
        return HazardResult(job_type=task.name, attempts={k: s.attempt for k, s in ended.items()}, resumed=resumed)

    stages = (Stage("only", task, plan, Parallelism.FAN_OUT),)
    return Job(task.name, "For tests.", HazardParameters, HazardResult, stages, finalize)


def handle(parameters: Hazard, ctx: TaskContext) -> Survived:
    """Do as told, and leave a mark that it began."""
    hazard = parameters.hazard if ctx.attempt <= parameters.times else "none"
    if parameters.hazard != "none":
        mark(parameters.folder, f"began-{ctx.attempt}", str(os.getpid()))
    match hazard:
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "exit":
            os._exit(0)
        case "hog":
            hoard = []
            while True:
                hoard.append(b"\1" * (8 << 20))
                time.sleep(0.01)
        case "deaf":
            while True:
                time.sleep(0.05)
        case "polite":
            while not ctx.should_stop():
                time.sleep(0.01)
            ctx.checkpoint.save(1, {"left": ctx.attempt})
            mark(parameters.folder, f"stopped-{ctx.attempt}", "")
            raise Interrupted
        case "leak":
            threading.Thread(target=leak, args=(parameters.folder,), daemon=True).start()
        case "busy":
            while not Path(parameters.folder, "enough").exists():
                sum(range(100_000))
    return Survived(attempt=ctx.attempt, resumed=ctx.checkpoint.should_skip(1))


def leak(folder: str) -> None:
    """Hold memory, but only once the task has ended."""
    while not Path(folder, "enough").exists():
        time.sleep(0.05)
    _LEAKED.append(b"\1" * (600 << 20))


def mark(folder: str, name: str, text: str) -> None:
    """Leave a file that is never seen half-written."""
    draft = Path(folder, f".{name}")
    draft.write_text(text)
    draft.rename(Path(folder, name))


TYPES = (LIGHT, HEAVY, PATIENT)
JOBS = {task.name: _job(task) for task in TYPES}
HANDLERS = dict.fromkeys(TYPES, "tests.support.hazards:handle")


REGISTRY = Registry(JOBS, HANDLERS)


def main() -> None:
    settings = config.load()
    telemetry.configure()
    parent.run(settings, structlog.get_logger(), processes=int(sys.argv[1]), module="tests.support.hazard_runner")


if __name__ == "__main__":
    main()
