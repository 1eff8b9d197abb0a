"""What a stage mended, and what it did not: the same for every job that repairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from core.contracts.jobs import StageResults
from core.contracts.repairs import Refused, RepairedItem
from core.contracts.tasks import In, TaskType


class Mended(NamedTuple):
    """The objects of a stage, by what became of them."""

    done: tuple[RepairedItem, ...]
    failed: tuple[Refused, ...]


def outcome(results: StageResults, task: TaskType[In, RepairedItem], stage: str, objects: Mapping[str, str]) -> Mended:
    """Of every task of the stage. `objects` are what the tasks are about, by their keys."""
    tried = [item for _, item in sorted(results.of(task, stage).items())]
    refused = [Refused(object=item.object, reason=item.refused) for item in tried if item.refused is not None]
    failures = [Refused(object=objects[key], reason=why.message) for key, why in sorted(results.failed(stage).items())]
    return Mended(tuple(item for item in tried if item.refused is None), (*refused, *failures))
