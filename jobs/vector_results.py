"""What do vector jobs answer? The same, whichever way they ran."""

from __future__ import annotations

from core.contracts.jobs import StacReference
from core.contracts.vector import ProcessVectorParameters, PublishedTable, VectorPublished
from core.contracts.vector_results import TableResult, UploadSummary, VectorJobResult, VectorTiles


def vector_result(
    job_type: str,
    parameters: ProcessVectorParameters,
    published: VectorPublished,
    *,
    parts: int,
    stages: int,
    tasks: int,
) -> VectorJobResult:
    """The result of a job that loaded a file in so many parts."""
    first = published.tables[0]
    features = _features(parameters.schema_name, first)
    return VectorJobResult(
        job_type=job_type,
        stac=StacReference(collection_id=first.collection_id, item_id=first.item_id),
        stac_items=tuple(StacReference(collection_id=t.collection_id, item_id=t.item_id) for t in published.tables),
        blob_name=parameters.blob_name,
        container_name=parameters.container_name,
        file_extension=parameters.file_extension,
        table_name=first.table_name,
        schema_name=parameters.schema_name,
        geometry_type=first.geometry_type,
        srid=first.srid,
        source_crs=first.source_crs,
        bbox=_covering(published),
        summary=_summary(published, parts),
        findings=published.findings,
        column_definitions=first.column_definitions,
        ogc_features_url=f"{features}/items",
        viewer_url=f"{features}/viewer",
        vector_tiles=VectorTiles(
            tilejson_url=f"{features}/tiles/WebMercatorQuad/tilejson.json",
            tiles_url=f"{features}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}",
            viewer_url=f"{features}/tiles/WebMercatorQuad/map.html",
        ),
        write_mode=parameters.write_mode,
        tables=tuple(_table(parameters.schema_name, table) for table in published.tables),
        stages_completed=stages,
        total_tasks_executed=tasks,
        tasks_by_status={"completed": tasks},
    )


def _features(schema: str, table: PublishedTable) -> str:
    return f"/api/features/collections/{schema}.{table.table_name}"


def _table(schema: str, table: PublishedTable) -> TableResult:
    features = _features(schema, table)
    return TableResult(
        table_name=table.table_name,
        geometry_type=table.geometry_type,
        item_id=table.item_id,
        row_count=table.row_count,
        ogc_features_url=f"{features}/items",
        tiles_url=f"{features}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}",
    )


def _summary(published: VectorPublished, parts: int) -> UploadSummary:
    read, written = published.rows_read, sum(t.rows_written for t in published.tables)
    return UploadSummary(
        total_chunks=parts,
        chunks_uploaded=parts,
        chunks_failed=0,
        total_rows_uploaded=written,
        rows_read=read,
        rows_skipped=read - written,
        success_rate=round(100 * written / read, 3),
        data_complete=written == read,
    )


def _covering(published: VectorPublished) -> tuple[float, float, float, float]:
    west, south, east, north = zip(*(t.bbox for t in published.tables), strict=True)
    return min(west), min(south), max(east), max(north)
