"""The smallest job: greet n times, reply to each. It proves the machine and measures it."""

from __future__ import annotations

from pydantic import Field

from core.contracts.jobs import JobResult
from core.contracts.tasks import Contract, Queue, TaskType, Weight


class HelloParameters(Contract):
    """`failure_rate` is the share of greetings, 0 to 1, that fail for good."""

    n: int = Field(3, ge=1, le=1_000_000)
    message: str = Field("Hello, world", max_length=200)
    failure_rate: float = Field(0.0, ge=0.0, le=1.0)


class Greeting(Contract):
    """What a greeting task is told."""

    index: int
    message: str
    fail: bool = False


class Greeted(Contract):
    """What it said."""

    index: int
    text: str


class HelloResult(JobResult):
    """All replies, joined by index."""

    greetings: int
    replies: int
    first: str
    last: str


HELLO_GREETING = TaskType("hello_world_greeting", Greeting, Greeted, queue=Queue.VECTOR, weight=Weight.LIGHT)
HELLO_REPLY = TaskType("hello_world_reply", Greeted, Greeted, queue=Queue.VECTOR, weight=Weight.LIGHT)
