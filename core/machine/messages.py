"""What does a broker's message say? Which item is due: a hint that a worker checks against the row before it acts."""

from __future__ import annotations

import json
from dataclasses import dataclass

from core.errors import InvalidRequest
from core.machine.identity import TaskId

_MAX_SHOWN = 100


@dataclass(frozen=True)
class Letter:
    """A row of `app.queue` to be sent. `delay` is in seconds until it is due; `number` counts its sendings."""

    queue_id: int
    queue: str
    job_id: str
    stage: int
    task_index: int
    attempt: int
    number: int
    delay: float

    @property
    def task_id(self) -> TaskId:
        """The public name of the item."""
        return TaskId(self.job_id, self.stage, self.task_index)

    @property
    def message_id(self) -> str:
        """Equal for one sending that is repeated, different for every sending that is wanted; at most 128 characters.

        Brokers drop a second message of the same id, and a rerun of a job has the same task ids as the run before.
        """
        return f"{self.task_id}:{self.queue_id}.{self.attempt}.{self.number}"

    @property
    def body(self) -> str:
        """What the worker reads."""
        return json.dumps({"task_id": str(self.task_id), "attempt": self.attempt + 1})


def read(body: str) -> TaskId:
    """The item a message names. Raises InvalidRequest for what is no message of ours."""
    try:
        content = json.loads(body)
        return TaskId.parse(str(content["task_id"]))
    except (ValueError, KeyError, TypeError) as e:
        raise InvalidRequest(
            f"The message has no task_id: {body[:_MAX_SHOWN]!r}.",
            hint='Its body is {"task_id": ..., "attempt": ...}.',
        ) from e
