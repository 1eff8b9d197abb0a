"""What a task type is: a name, a model in, a model out, and the queue it waits in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)


class Queue(StrEnum):
    """The queues open work waits in; the names partners know from Azure Service Bus."""

    JOBS = "geospatial-jobs"  #: stage advances
    RASTER = "raster-tasks"  #: rasters small enough for a Function App
    VECTOR = "vector-tasks"  #: everything light
    LONG = "long-running-tasks"  #: heavy and hours-long work, for the worker only


class Weight(StrEnum):
    """How a worker takes tasks of a type."""

    LIGHT = "light"  #: many at once, in one batch, one commit for all
    HEAVY = "heavy"  #: one at a time, with lease renewal and progress


_TIMEOUTS = {Weight.LIGHT: 600.0, Weight.HEAVY: 4 * 3600.0}


class Contract(BaseModel):
    """Base of every task input, task output and job parameter model: frozen, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class TaskType(Generic[In, Out]):
    """A kind of task: what goes in, what comes out, where it waits."""

    name: str
    input: type[In]
    output: type[Out]
    queue: Queue = Queue.VECTOR
    weight: Weight = Weight.HEAVY
    max_failures: int = 4  #: attempts that may fail before the task does
    timeout: float | None = None  #: seconds that an attempt may run; by default what its weight allows

    def seconds(self, *, heavy: bool) -> float:
        """How long an attempt may run; a light task that was moved to the heavy queue gets a heavy one's time."""
        if self.timeout is not None:
            return self.timeout
        return _TIMEOUTS[Weight.HEAVY if heavy else self.weight]
