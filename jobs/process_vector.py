"""process_vector: a file of features becomes a PostGIS table and a STAC item."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.jobs import Job, Parallelism, StacReference, Stage, StageResults, TaskSpec
from core.contracts.vector import (
    VECTOR_CREATE_STAC,
    VECTOR_PREPARE,
    VECTOR_UPLOAD,
    CreateVectorStac,
    ProcessVectorParameters,
    UploadSummary,
    UploadVector,
    VectorJobResult,
    VectorTiles,
)


def _prepare(parameters: ProcessVectorParameters, _: StageResults) -> Iterator[TaskSpec]:
    yield TaskSpec("prepare", parameters)


def _upload(parameters: ProcessVectorParameters, results: StageResults) -> Iterator[TaskSpec]:
    prepared = results.one(VECTOR_PREPARE, "prepare")
    yield TaskSpec("upload", UploadVector(parameters=parameters, prepared=prepared))


def _create_stac(parameters: ProcessVectorParameters, results: StageResults) -> Iterator[TaskSpec]:
    prepared, uploaded = results.one(VECTOR_PREPARE, "prepare"), results.one(VECTOR_UPLOAD, "upload")
    yield TaskSpec("stac", CreateVectorStac(parameters=parameters, prepared=prepared, uploaded=uploaded))


def _finalize(parameters: ProcessVectorParameters, results: StageResults) -> VectorJobResult:
    prepared, published = results.one(VECTOR_PREPARE, "prepare"), results.one(VECTOR_CREATE_STAC, "stac")
    layer = prepared.layers[0]
    table = layer.tables[0]
    uploads = results.of(VECTOR_UPLOAD, "upload").values()
    read = sum(u.rows_read for u in uploads)
    collection = f"{parameters.schema_name}.{parameters.table_name}"
    features = f"/api/features/collections/{collection}"
    return VectorJobResult(
        job_type=JOB.name,
        stac=StacReference(collection_id=published.collection_id, item_id=published.item_id),
        blob_name=parameters.blob_name,
        container_name=parameters.container_name,
        file_extension=parameters.file_extension,
        table_name=parameters.table_name,
        schema_name=parameters.schema_name,
        geometry_type=table.geometry_type,
        srid=table.srid,
        source_crs=layer.source.crs,
        bbox=published.bbox,
        summary=UploadSummary(
            total_chunks=len(uploads),
            chunks_uploaded=len(uploads),
            chunks_failed=0,
            total_rows_uploaded=published.row_count,
            rows_read=read,
            rows_skipped=read - published.row_count,
            success_rate=round(100 * published.row_count / read, 3),
            data_complete=published.row_count == read,
        ),
        findings=published.findings,
        column_definitions={c.name: {"type": c.sql_type.value, "source_name": c.source_name} for c in table.columns},
        ogc_features_url=f"{features}/items",
        viewer_url=f"{features}/viewer",
        vector_tiles=VectorTiles(
            tilejson_url=f"{features}/tiles/WebMercatorQuad/tilejson.json",
            tiles_url=f"{features}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}",
            viewer_url=f"{features}/tiles/WebMercatorQuad/map.html",
        ),
        stages_completed=len(JOB.stages),
        total_tasks_executed=2 + len(uploads),
        tasks_by_status={"completed": 2 + len(uploads)},
    )


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
