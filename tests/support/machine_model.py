"""The rules of docs/explanation/coremachine.md in plain Python: what the rows of a run of a probe job should say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from core.machine.identity import ADVANCE

ENDED = {"completed", "completed_with_errors", "failed", "cancelled"}
POISON_LOSSES = 8
MAX_FAILURES = {"task": 3, "advance": 10}


@dataclass
class Item:
    """Open work: who holds it, and what has happened to it."""

    heavy: bool
    worker: str | None = None
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    escalated: bool = False


@dataclass
class Stage:
    expected: int
    remaining: int
    status: str = "processing"
    failed: int = 0


@dataclass
class Job:
    """What the rows of one run should say."""

    kind: str
    widths: tuple[int, ...]
    run: int = 1
    status: str = "queued"
    stage: int = 1
    stages: dict[int, Stage] = field(default_factory=dict)
    tasks: dict[tuple[int, int], str] = field(default_factory=dict)
    open: dict[tuple[int, int], Item] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)

    @property
    def policy(self) -> str:
        return self.kind.removeprefix("probe_light").removeprefix("probe_heavy").strip("_") or "fail_fast"

    def begin_stage(self, number: int) -> None:
        width = self.widths[number - 1]
        self.stage = number
        self.stages[number] = Stage(width, width)
        self.told["stage_started"] += 1
        for index in range(width):
            self.tasks[number, index] = "open"
            self.open[number, index] = Item("heavy" in self.kind)
        if width == 0:
            self.end_stage("completed", None)

    def end_stage(self, status: str, worker: str | None) -> None:
        self.stages[self.stage].status = status
        self.told["stage_completed"] += 1
        self.open[self.stage, ADVANCE] = Item(heavy=False, worker=worker, attempt=1 if worker else 0)

    def count_down(self, worker: str | None, failed: int) -> None:
        stage = self.stages[self.stage]
        stage.remaining -= 1
        stage.failed += failed
        if stage.remaining == 0:
            tolerated = self.policy == "partial" and stage.failed < stage.expected
            good = "completed_with_errors" if tolerated else "failed"
            self.end_stage(good if stage.failed else "completed", worker)

    def stop(self, status: str) -> None:
        self.open.clear()
        self.status = status
        self.told[f"job_{status}"] += 1
        for key, state in self.tasks.items():
            if state == "open":
                self.tasks[key] = "cancelled"
        if self.stages[self.stage].status == "processing":
            self.stages[self.stage].status = status

    def give_up(self, key: tuple[int, int]) -> None:
        if self.policy == "fail_fast" or key[1] == ADVANCE:
            self.stop("failed")
            self.stages[self.stage].failed += key[1] != ADVANCE
        else:
            del self.open[key]
            self.count_down(None, 1)

    def end_attempt(self, key: tuple[int, int], kind: str) -> str:
        """An attempt failed, or its lease was lost; what becomes of the task."""
        item = self.open[key]
        advance = key[1] == ADVANCE
        lost, limit = kind == "lost", MAX_FAILURES["advance" if advance else "task"]
        used_up = not lost and item.failures + 1 >= limit
        moves = not advance and not item.escalated and ((lost and item.losses > 0) or kind == "resource")
        dead = kind == "permanent" or (lost and item.losses + 1 >= POISON_LOSSES)
        dead = dead or (used_up and not moves) or (kind == "resource" and item.escalated)
        if dead:
            if not advance:
                self.tasks[key] = "failed"
                self.told["task_failed"] += 1
            self.give_up(key)
            return "failed"
        item.worker = None
        item.failures += not lost
        item.losses += lost
        item.heavy, item.escalated = item.heavy or moves, item.escalated or moves
        return "retrying"
