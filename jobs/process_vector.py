"""process_vector: a file of features becomes PostGIS tables and STAC items."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.jobs import Job, Parallelism, Stage, StageResults, TaskSpec
from core.contracts.vector import (
    VECTOR_CREATE_STAC,
    VECTOR_PREPARE,
    VECTOR_UPLOAD,
    CreateVectorStac,
    ProcessVectorParameters,
    UploadVector,
)
from core.contracts.vector_results import VectorJobResult
from jobs.vector_results import vector_result


def _prepare(parameters: ProcessVectorParameters, _: StageResults) -> Iterator[TaskSpec]:
    yield TaskSpec("prepare", parameters)


def _upload(parameters: ProcessVectorParameters, results: StageResults) -> Iterator[TaskSpec]:
    prepared = results.one(VECTOR_PREPARE, "prepare")
    for number, layer in enumerate(prepared.layers):
        for position in range(len(layer.partitions)):
            part = UploadVector(parameters=parameters, prepared=prepared, layer=number, partition=position)
            yield TaskSpec(_key(number, position), part)


def _create_stac(parameters: ProcessVectorParameters, results: StageResults) -> Iterator[TaskSpec]:
    prepared, uploads = results.one(VECTOR_PREPARE, "prepare"), results.of(VECTOR_UPLOAD, "upload")
    uploaded = tuple(
        uploads[_key(number, position)]
        for number, layer in enumerate(prepared.layers)
        for position in range(len(layer.partitions))
    )
    yield TaskSpec("stac", CreateVectorStac(parameters=parameters, prepared=prepared, uploaded=uploaded))


def _key(layer: int, partition: int) -> str:
    return f"layer-{layer}-part-{partition}"


def _finalize(parameters: ProcessVectorParameters, results: StageResults) -> VectorJobResult:
    parts = len(results.of(VECTOR_UPLOAD, "upload"))
    published = results.one(VECTOR_CREATE_STAC, "stac")
    return vector_result(JOB.name, parameters, published, parts=parts, stages=len(JOB.stages), tasks=2 + parts)


JOB = Job(
    name="process_vector",
    description="Load a vector file into PostGIS, catalogue it and describe it in STAC.",
    parameters=ProcessVectorParameters,
    result=VectorJobResult,
    stages=(
        Stage("prepare", VECTOR_PREPARE, _prepare),
        Stage("upload", VECTOR_UPLOAD, _upload, Parallelism.FAN_OUT),
        Stage("stac", VECTOR_CREATE_STAC, _create_stac, Parallelism.FAN_IN),
    ),
    finalize=_finalize,
)
