"""process_vector_docker: what process_vector does, as one checkpointed task of a worker."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.jobs import Job, Stage, StageResults, TaskSpec
from core.contracts.vector import VECTOR_PROCESS_COMPLETE, ProcessVectorParameters
from core.contracts.vector_results import VectorJobResult
from jobs.vector_results import vector_result


def _process(parameters: ProcessVectorParameters, _: StageResults) -> Iterator[TaskSpec]:
    yield TaskSpec("process", parameters)


def _finalize(parameters: ProcessVectorParameters, results: StageResults) -> VectorJobResult:
    done = results.one(VECTOR_PROCESS_COMPLETE, "process")
    return vector_result(JOB.name, parameters, done.published, parts=done.parts, stages=len(JOB.stages), tasks=1)


JOB = Job(
    name="process_vector_docker",
    description="Load a vector file into PostGIS in one long task that goes on where it was interrupted.",
    parameters=ProcessVectorParameters,
    result=VectorJobResult,
    stages=(Stage("process", VECTOR_PROCESS_COMPLETE, _process),),
    finalize=_finalize,
)
