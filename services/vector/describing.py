"""How a loaded table is described: the metadata from which its rows and its STAC item are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyogrio
from pydantic import JsonValue

from core.contracts.tables import LiveTable, TableFacts
from core.contracts.vector import (
    PreparedVector,
    ProcessVectorParameters,
    PublishedTable,
    SourcePlan,
    TablePlan,
    UploadedVector,
)
from core.contracts.vector_findings import Finding, FindingCode
from core.errors import Conflict
from core.models.catalog import EtlStatus, GeoTableCatalog, VectorEtlTracking
from services.stac.names import table_item_id
from services.stac.properties import CREATED_BY
from services.vector import columns
from services.vector.metadata import PROJECTION_EXTENSION, SYSTEM_COLLECTION, TABLE_EXTENSION, VectorMetadata
from services.vector.reference_systems import Bounds


@dataclass(frozen=True)
class LoadedTable:
    """Everything known of a table when it is described. `facts` and `bbox` (EPSG:4326) are those it will have.

    `uploads` are the layer's, `rows_written` this table's share of them. `live` is the table that the rows join.
    """

    parameters: ProcessVectorParameters
    prepared: PreparedVector
    uploads: Sequence[UploadedVector]
    source: SourcePlan
    plan: TablePlan
    rows_written: int
    findings: tuple[Finding, ...]
    facts: TableFacts
    bbox: Bounds
    temporal_column: str | None
    primary_key: str
    live: LiveTable | None
    alone: bool
    job_id: str
    job_type: str
    now: datetime

    @property
    def item_id(self) -> str:
        """`postgis-<schema>-<table>`, unless the request chose another for its only table, or the table has one."""
        if self.live is not None and self.live.catalog is not None and self.live.catalog.stac_item_id:
            return self.live.catalog.stac_item_id
        return requested_item(self.parameters, self.plan, alone=self.alone)

    @property
    def temporal(self) -> tuple[datetime, datetime] | None:
        """First and last moment of the temporal column."""
        if self.facts.temporal is None:
            return None
        first, last = self.facts.temporal
        return datetime.fromisoformat(first), datetime.fromisoformat(last)


def requested_item(parameters: ProcessVectorParameters, plan: TablePlan, *, alone: bool) -> str:
    """The id of a new table's item."""
    chosen = parameters.item_id if alone else None
    return chosen or table_item_id(plan.schema_name, plan.name)


def require_kept(
    parameters: ProcessVectorParameters, plan: TablePlan, catalog: GeoTableCatalog, *, alone: bool
) -> None:
    """Raise Conflict when rows would join a table under other words, or for other readers, than it has."""
    asked: dict[str, str | None] = {
        "access_level": parameters.access_level.value,
        "stac_collection_id": None if parameters.collection_id == SYSTEM_COLLECTION else parameters.collection_id,
        "title": parameters.title and _title(parameters, plan, alone=alone),
        "description": parameters.description,
        "keywords": _keywords(parameters),
        "license": parameters.license,
        "attribution": parameters.attribution,
    }
    unlike = {name: value for name, value in asked.items() if value and value != getattr(catalog, name)}
    if unlike:
        told = "; ".join(
            f"{name.removeprefix('stac_')} is {getattr(catalog, name)!r} there and {value!r} in the request"
            for name, value in unlike.items()
        )
        raise Conflict(
            f"Table {plan.schema_name}.{plan.name} keeps what is said of it when rows join: {told}.",
            hint="Send what the table has, or leave it out; write_mode=overwrite says it anew.",
        )


def described(table: LoadedTable) -> VectorMetadata:
    """The table's metadata: of the rows that join a table, only what they change."""
    catalog = _joined(table, table.live.catalog) if table.live and table.live.catalog else _catalog(table)
    return VectorMetadata(catalog=catalog, tracking=_tracking(table))


def published(table: LoadedTable, catalog: GeoTableCatalog) -> PublishedTable:
    """What the job's result says of the table."""
    return PublishedTable(
        table_name=table.plan.name,
        collection_id=catalog.stac_collection_id or table.parameters.collection_id,
        item_id=table.item_id,
        bbox=table.bbox,
        rows_written=table.rows_written,
        row_count=table.facts.row_count,
        geometry_type=table.plan.geometry_type,
        geometry_types=table.facts.geometry_types,
        source_crs=table.source.crs,
        srid=table.plan.srid,
        column_definitions=_definitions(table.plan),
    )


def _facts(table: LoadedTable) -> dict[str, object]:
    start, end = table.temporal or (None, None)
    minx, miny, maxx, maxy = table.bbox
    return {
        "bbox_minx": minx,
        "bbox_miny": miny,
        "bbox_maxx": maxx,
        "bbox_maxy": maxy,
        "temporal_start": start,
        "temporal_end": end,
        "geometry_types": list(table.facts.geometry_types),
        "feature_count": table.facts.row_count,
    }


def _joined(table: LoadedTable, catalog: GeoTableCatalog) -> GeoTableCatalog:
    return catalog.model_copy(update=_facts(table))


def _catalog(table: LoadedTable) -> GeoTableCatalog:
    parameters, plan = table.parameters, table.plan
    row: dict[str, object] = {
        "table_name": plan.name,
        "schema_name": plan.schema_name,
        "title": _title(parameters, plan, alone=table.alone),
        "description": parameters.description,
        "keywords": _keywords(parameters),
        "license": parameters.license,
        "attribution": parameters.attribution,
        "temporal_property": table.temporal_column,
        "geometry_type": plan.geometry_type,
        "primary_key": table.primary_key,
        "srid": plan.srid,
        "access_level": parameters.access_level.value,
        "stac_collection_id": parameters.collection_id,
        "stac_item_id": table.item_id,
        "stac_extensions": [TABLE_EXTENSION, PROJECTION_EXTENSION],
        "column_definitions": _definitions(plan),
        "custom_properties": _role(table),
    }
    return GeoTableCatalog.model_validate(row | _facts(table))


def _role(table: LoadedTable) -> dict[str, JsonValue] | None:
    role = table.parameters.system_role
    return {"system_role": role.value} if role and table.plan.name == table.parameters.table_name else None


def _title(parameters: ProcessVectorParameters, plan: TablePlan, *, alone: bool) -> str:
    title = parameters.title
    if title is None:
        return plan.name
    what = plan.name.removeprefix(parameters.table_name).strip("_").replace("_", " ")
    return title if alone or not what else f"{title} ({what})"


def _keywords(parameters: ProcessVectorParameters) -> str | None:
    return ", ".join(parameters.keywords) or None


def _tracking(table: LoadedTable) -> VectorEtlTracking:
    prepared, parameters = table.prepared, table.parameters
    read = sum(u.rows_read for u in table.uploads)
    return VectorEtlTracking(
        table_name=table.plan.name,
        etl_job_id=table.job_id,
        job_type=table.job_type,
        write_mode=parameters.write_mode,
        requested_table=parameters.table_name,
        dataset_id=parameters.dataset_id,
        resource_id=parameters.resource_id,
        version_id=parameters.version_id,
        request_id=parameters.request_id,
        client_id=parameters.client_id,
        source_file=str(parameters.source),
        source_format=table.source.driver,
        source_crs=table.source.crs,
        source_size_bytes=prepared.size_bytes,
        source_hash=prepared.etag,
        status=EtlStatus.COMPLETED,
        processing_started_at=prepared.started_at,
        processing_completed_at=table.now,
        processing_duration_ms=max(0, int((table.now - prepared.started_at).total_seconds() * 1000)),
        target_crs=parameters.target_crs,
        rows_read=read,
        rows_written=table.rows_written,
        rows_skipped=read - sum(u.rows_written for u in table.uploads),
        geometry_repairs=sum(f.count for f in table.findings if f.code is FindingCode.REPAIRED_GEOMETRY),
        processing_software="GDAL",
        processing_version=".".join(map(str, pyogrio.__gdal_version__)),
        findings=[f.model_dump(mode="json") for f in table.findings],
        created_by=CREATED_BY,
    )


def _definitions(plan: TablePlan) -> dict[str, JsonValue]:
    return columns.definitions((c.name, c.sql_type.value, c.source_name) for c in plan.columns)
