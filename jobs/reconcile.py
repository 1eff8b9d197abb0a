"""reconcile: the catalogue is compared with itself, the tables and the files; what disagrees becomes a finding."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.consistency import (
    CONSISTENCY_COMPARE,
    CONSISTENCY_MEASURE,
    ReconcileParameters,
    ReconcileResult,
)
from core.contracts.jobs import Job, Stage, StageResults, TaskSpec


def _plan(parameters: ReconcileParameters, _: StageResults) -> Iterator[TaskSpec]:
    yield TaskSpec("all", parameters)


def _finalize(parameters: ReconcileParameters, results: StageResults) -> ReconcileResult:
    return ReconcileResult(
        job_type=JOB.name,
        scope=parameters.scope,
        measured=results.one(CONSISTENCY_MEASURE, "measure"),
        compared=results.one(CONSISTENCY_COMPARE, "compare"),
    )


JOB = Job(
    name="reconcile",
    description="Compare storage, tables, catalogue, approvals and STAC, and report what disagrees.",
    parameters=ReconcileParameters,
    result=ReconcileResult,
    stages=(Stage("measure", CONSISTENCY_MEASURE, _plan), Stage("compare", CONSISTENCY_COMPARE, _plan)),
    finalize=_finalize,
    repeatable=True,
)
