"""The scenarios: each runs some jobs and says which results they must have."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.jobs import CHAIN, CHAIN_LENGTH, FAN, HEAVY_FAN
from benchmarks.rig import Submitter


@dataclass(frozen=True)
class Options:
    """How large a scenario is."""

    n: int = 1000
    jobs: int = 200
    fan: int = 5


@dataclass
class Ran:
    """What a scenario did: the expected total of each job, how many tasks, and how long single jobs took."""

    expected: dict[str, int] = field(default_factory=dict)
    tasks: int = 0
    milliseconds: list[float] = field(default_factory=list)


def _fan(submitter: Submitter, options: Options, job_type: str = FAN.name) -> Ran:
    job_ids = submitter.submit(job_type, [options.n])
    submitter.wait(job_ids)
    return Ran({job_ids[0]: sum(range(options.n))}, options.n + 2)


def _heavy(submitter: Submitter, options: Options) -> Ran:
    return _fan(submitter, options, HEAVY_FAN.name)


def _small(submitter: Submitter, options: Options) -> Ran:
    job_ids = submitter.submit(FAN.name, [options.fan] * options.jobs)
    submitter.wait(job_ids)
    return Ran(dict.fromkeys(job_ids, sum(range(options.fan))), options.jobs * (options.fan + 2))


def _one_by_one(submitter: Submitter, options: Options, job_type: str, total: int, tasks: int) -> Ran:
    ran = Ran()
    for _ in range(options.jobs):
        started = time.perf_counter()
        job_ids = submitter.submit(job_type, [options.fan])
        submitter.wait(job_ids)
        ran.milliseconds.append((time.perf_counter() - started) * 1000)
        ran.expected[job_ids[0]] = total
        ran.tasks += tasks
        time.sleep(0.02)  # idle again
    return ran


def _seq(submitter: Submitter, options: Options) -> Ran:
    return _one_by_one(submitter, options, FAN.name, sum(range(options.fan)), options.fan + 2)


def _chain(submitter: Submitter, options: Options) -> Ran:
    return _one_by_one(submitter, options, CHAIN.name, CHAIN_LENGTH, CHAIN_LENGTH)


SCENARIOS: Mapping[str, Callable[[Submitter, Options], Ran]] = {
    "fan": _fan,  # one job: 1, then n, then 1
    "heavy": _heavy,  # the same, the n claimed and committed one at a time
    "small": _small,  # many jobs of 1, fan, 1, submitted at once
    "seq": _seq,  # the same, one after another on an idle system
    "chain": _chain,  # jobs of thirty stages of one task, one after another
}
