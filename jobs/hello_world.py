"""hello_world: stage 1 greets n times, stage 2 replies to each greeting."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.hello import HELLO_GREETING, HELLO_REPLY, Greeting, HelloParameters, HelloResult
from core.contracts.jobs import Job, Parallelism, Stage, StageResults, TaskSpec


def _greetings(parameters: HelloParameters, _: StageResults) -> Iterator[TaskSpec]:
    failing = round(parameters.n * parameters.failure_rate)
    for index in range(parameters.n):
        yield TaskSpec(str(index), Greeting(index=index, message=parameters.message, fail=index < failing))


def _replies(_: HelloParameters, results: StageResults) -> Iterator[TaskSpec]:
    for key, greeted in results.of(HELLO_GREETING, "greeting").items():
        yield TaskSpec(key, greeted)


def _finalize(parameters: HelloParameters, results: StageResults) -> HelloResult:
    replies = results.of(HELLO_REPLY, "reply")
    return HelloResult(
        job_type="hello_world",
        greetings=len(results.of(HELLO_GREETING, "greeting")),
        replies=len(replies),
        first=replies["0"].text,
        last=replies[str(parameters.n - 1)].text,
    )


JOB = Job(
    name="hello_world",
    description="Greets n times and replies to each greeting.",
    parameters=HelloParameters,
    result=HelloResult,
    stages=(
        Stage("greeting", HELLO_GREETING, _greetings, Parallelism.SINGLE),
        Stage("reply", HELLO_REPLY, _replies, Parallelism.FAN_OUT),
    ),
    finalize=_finalize,
)
