"""What do vector jobs answer?"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ConfigDict, Field, JsonValue

from core.contracts.jobs import JobResult
from core.contracts.tasks import Contract
from core.contracts.vector_findings import Finding
from core.contracts.vector_formats import VectorFormat
from core.models.catalog import WriteMode


class UploadSummary(Contract):
    """How much of the file is in the table. `success_rate` is a percentage of the features read."""

    total_chunks: int
    chunks_uploaded: int
    chunks_failed: int
    total_rows_uploaded: int
    rows_read: int
    rows_skipped: int
    success_rate: float
    data_complete: bool


class VectorTiles(Contract):
    """Where tiles are served, relative to the service's address."""

    tilejson_url: str
    tiles_url: str
    viewer_url: str


class TableResult(Contract):
    """One of a job's tables. URLs are relative to the service's address."""

    table_name: str
    geometry_type: str
    item_id: str
    row_count: int
    ogc_features_url: str
    tiles_url: str


class VectorJobResult(JobResult):
    """Result of `process_vector`. URLs are relative to the service's address.

    What is said of one table is said of the first; `bbox` covers all of them.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    blob_name: str
    container_name: str
    file_extension: VectorFormat
    table_name: str
    schema_name: str = Field(alias="schema")
    geometry_type: str
    srid: int
    source_crs: str
    bbox: tuple[float, float, float, float]
    summary: UploadSummary
    findings: tuple[Finding, ...]
    column_definitions: Mapping[str, JsonValue]
    ogc_features_url: str
    viewer_url: str
    vector_tiles: VectorTiles
    write_mode: WriteMode
    tables: tuple[TableResult, ...]
    stages_completed: int
    total_tasks_executed: int
    tasks_by_status: Mapping[str, int]
