"""Jobs of random shape, and what a sequential run of them makes, by an interpreter that shares nothing with ours."""

from __future__ import annotations

import random
from dataclasses import dataclass

MODULUS = 1_000_003
MOST_STAGES = 5
PATTERNS = {"light": (False,), "heavy": (True,), "mixed": (False, True)}  #: which stages are heavy, in turn
POLICIES = ("fail_fast", "collect", "partial")

#: What a task may be told to do, and how often. Only "permanent" may fail a task for good.
FATES = {
    "done": 60,
    "effect": 12,
    "transient once": 6,
    "out of memory once": 2,
    "checkpoint": 6,
    "checkpoint then stop": 4,
    "checkpoint then fail": 4,
    "slow": 4,
}


@dataclass(frozen=True)
class Shape:
    """One job. `fates` maps "stage/index" to what the task does when it is not simply done."""

    number: int
    pattern: str
    policy: str
    widths: tuple[int, ...]
    fates: dict[str, str]

    @property
    def job_type(self) -> str:
        return f"chaos_{len(self.widths)}_{self.pattern}_{self.policy}"

    @property
    def parameters(self) -> dict[str, object]:
        return {"number": self.number, "widths": self.widths, "fates": self.fates}


@dataclass(frozen=True)
class Expected:
    """How a job must end. `tasks` has the value of each task that completes, None for one that fails for good.

    A fail-fast job says only what its tasks may be: those beside the one that failed may have been cancelled.
    """

    status: str
    error_code: str | None
    result: dict[str, object] | None
    tasks: dict[tuple[int, int], int | None]


def shape(seed: int, number: int, widest: int = 60) -> Shape:
    """The job of that number."""
    rnd = random.Random(f"{seed}/{number}")
    pattern, policy = rnd.choice(sorted(PATTERNS)), rnd.choice(POLICIES)
    most = widest if pattern == "light" else max(widest // 5, 2)
    stages = rnd.randint(1, MOST_STAGES)
    widths = tuple(rnd.choice((0, 1, 1, rnd.randint(1, 8), rnd.randint(0, most))) for _ in range(stages))
    failing = rnd.random() < 0.3
    fates = {}
    for stage, width in enumerate(widths, 1):
        for index in range(width):
            fate = rnd.choices(list(FATES), list(FATES.values()))[0]
            if failing and rnd.random() < 0.08:
                fate = "permanent"
            if fate != "done":
                fates[f"{stage}/{index}"] = fate
    return Shape(number, pattern, policy, widths, fates)


def value(number: int, stage: int, index: int, base: int) -> int:
    """What a task makes of the sum of the stage before."""
    return (number * 31 + stage * 1009 + index * 17 + base * 7 + 3) % MODULUS


def expected(shape: Shape) -> Expected:
    """Run the job in order, one task after the other."""
    tasks: dict[tuple[int, int], int | None] = {}
    sums: list[int] = []
    failed: list[str] = []
    base = 0
    for stage, width in enumerate(shape.widths, 1):
        made = [
            None if shape.fates.get(f"{stage}/{i}") == "permanent" else value(shape.number, stage, i, base)
            for i in range(width)
        ]
        tasks |= {(stage, i): v for i, v in enumerate(made)}
        bad = [i for i, v in enumerate(made) if v is None]
        if bad and shape.policy == "fail_fast":
            return Expected("failed", "INVALID_RASTER", None, tasks)
        if bad and (shape.policy == "collect" or len(bad) == width):
            return Expected("failed", "TASKS_FAILED", None, tasks)
        failed += [f"{stage}/{i}" for i in bad]
        base = sum(v for v in made if v is not None) % MODULUS
        sums.append(base)
    nothing = {"stac": None, "stac_items": []}
    result = {"job_type": shape.job_type, **nothing, "number": shape.number, "sums": sums, "failed": sorted(failed)}
    return Expected("completed_with_errors" if failed else "completed", None, result, tasks)
