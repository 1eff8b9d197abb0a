"""stac_catalog_vectors: feature tables that are in the database get catalogue rows, styles and STAC items."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.jobs import Job, Parallelism, StacReference, Stage, StageResults, TaskSpec
from core.contracts.vector_catalog import (
    VECTOR_EXTRACT_STAC,
    VECTOR_LIST_TABLES,
    CatalogVector,
    CatalogVectorsParameters,
    CatalogVectorsResult,
)


def _list(parameters: CatalogVectorsParameters, _: StageResults) -> Iterator[TaskSpec]:
    yield TaskSpec("list", parameters)


def _extract(parameters: CatalogVectorsParameters, results: StageResults) -> Iterator[TaskSpec]:
    if not parameters.dry_run:
        for name in results.one(VECTOR_LIST_TABLES, "list").tables:
            yield TaskSpec(name, CatalogVector(parameters=parameters, table_name=name))


def _finalize(parameters: CatalogVectorsParameters, results: StageResults) -> CatalogVectorsResult:
    listed = results.one(VECTOR_LIST_TABLES, "list")
    catalogued = tuple(entry for _, entry in sorted(results.of(VECTOR_EXTRACT_STAC, "extract").items()))
    items = tuple(StacReference(collection_id=c.collection_id, item_id=c.item_id) for c in catalogued)
    return CatalogVectorsResult(
        job_type=JOB.name,
        stac_items=items,
        dry_run=parameters.dry_run,
        tables=listed.tables,
        catalogued=catalogued,
        refused=listed.refused,
    )


JOB = Job(
    name="stac_catalog_vectors",
    description="Describe existing feature tables in the catalogue and in STAC.",
    parameters=CatalogVectorsParameters,
    result=CatalogVectorsResult,
    stages=(
        Stage("list", VECTOR_LIST_TABLES, _list),
        Stage("extract", VECTOR_EXTRACT_STAC, _extract, Parallelism.FAN_OUT),
    ),
    finalize=_finalize,
    repeatable=True,
)
