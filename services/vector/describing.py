"""How a loaded table is described: catalogue row, tracking row, STAC item."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pyogrio
from pydantic import JsonValue

from core.contracts.effects import StacJson
from core.contracts.tables import TableFacts
from core.contracts.vector import (
    Finding,
    PreparedVector,
    ProcessVectorParameters,
    SourcePlan,
    TablePlan,
    UploadedVector,
)
from core.models.catalog import EtlStatus, GeoTableCatalog, VectorEtlTracking
from services.stac.collections import CollectionParts, collection_document
from services.stac.items import ItemParts, item_document
from services.stac.properties import CREATED_BY, Provenance, dataset_properties
from services.vector.findings import merged
from services.vector.reference_systems import Bounds

TABLE_EXTENSION = "https://stac-extensions.github.io/table/v1.2.0/schema.json"
PROJECTION_EXTENSION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
COLLECTION = "system-vectors"


@dataclass(frozen=True)
class LoadedTable:
    """Everything known of a table when it is described. `bbox` in EPSG:4326."""

    parameters: ProcessVectorParameters
    prepared: PreparedVector
    uploaded: UploadedVector
    facts: TableFacts
    bbox: Bounds
    temporal_column: str | None
    job_id: str
    job_type: str
    now: datetime

    @property
    def plan(self) -> TablePlan:
        """What was to be built."""
        return self.prepared.layers[0].tables[0]

    @property
    def source(self) -> SourcePlan:
        """Where it was read from."""
        return self.prepared.layers[0].source

    @property
    def item_id(self) -> str:
        """`postgis-<schema>-<table>`, unless the request chose another."""
        return self.parameters.item_id or f"postgis-{self.plan.schema_name}-{self.plan.name}"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all stages."""
        return merged(self.prepared.layers[0].findings + self.uploaded.findings)

    @property
    def temporal(self) -> tuple[datetime, datetime] | None:
        """First and last moment of the temporal column."""
        if self.facts.temporal is None:
            return None
        first, last = self.facts.temporal
        return datetime.fromisoformat(first), datetime.fromisoformat(last)


def catalog_row(table: LoadedTable) -> GeoTableCatalog:
    """What services need to publish the table; nothing of the job."""
    parameters, plan = table.parameters, table.plan
    start, end = table.temporal or (None, None)
    minx, miny, maxx, maxy = table.bbox
    return GeoTableCatalog(
        table_name=plan.name,
        schema_name=plan.schema_name,
        title=parameters.title or plan.name,
        description=parameters.description,
        keywords=", ".join(parameters.keywords) or None,
        license=parameters.license,
        attribution=parameters.attribution,
        bbox_minx=minx,
        bbox_miny=miny,
        bbox_maxx=maxx,
        bbox_maxy=maxy,
        temporal_start=start,
        temporal_end=end,
        temporal_property=table.temporal_column,
        geometry_type=plan.geometry_type,
        srid=plan.srid,
        feature_count=table.facts.row_count,
        stac_collection_id=parameters.collection_id,
        stac_item_id=table.item_id,
        stac_extensions=[TABLE_EXTENSION, PROJECTION_EXTENSION],
        column_definitions=column_definitions(table.plan),
    )


def tracking_row(table: LoadedTable) -> VectorEtlTracking:
    """Where the rows came from and what was done to them."""
    prepared, uploaded = table.prepared, table.uploaded
    return VectorEtlTracking(
        table_name=table.plan.name,
        etl_job_id=table.job_id,
        source_file=str(table.parameters.source),
        source_format=table.source.driver,
        source_crs=table.source.crs,
        source_size_bytes=prepared.size_bytes,
        source_hash=prepared.etag,
        status=EtlStatus.COMPLETED,
        processing_started_at=prepared.started_at,
        processing_completed_at=table.now,
        processing_duration_ms=max(0, int((table.now - prepared.started_at).total_seconds() * 1000)),
        target_crs=table.parameters.target_crs,
        rows_read=uploaded.rows_read,
        rows_written=table.facts.row_count,
        rows_skipped=uploaded.rows_skipped,
        geometry_repairs=uploaded.geometry_repairs,
        processing_software="GDAL",
        processing_version=".".join(map(str, pyogrio.__gdal_version__)),
        findings=[f.model_dump(mode="json") for f in table.findings],
        created_by=CREATED_BY,
    )


def column_definitions(plan: TablePlan) -> dict[str, JsonValue]:
    """Type and original name of every attribute column, in the table's order."""
    return {
        c.name: {"type": c.sql_type.value, "source_name": c.source_name, "position": position}
        for position, c in enumerate(plan.columns, 1)
    }


def stac_item(table: LoadedTable) -> StacJson:
    """The table as a STAC item, not published. Its asset names the table, not the server."""
    parameters, plan = table.parameters, table.plan
    provenance = Provenance(
        access_level=parameters.access_level,
        job_id=table.job_id,
        job_type=table.job_type,
        created_at=table.now,
        dataset_id=parameters.dataset_id,
        resource_id=parameters.resource_id,
        version_id=parameters.version_id,
        request_id=parameters.request_id,
        client_id=parameters.client_id,
    )
    properties: dict[str, JsonValue] = {
        **dataset_properties(provenance),
        **_texts(parameters),
        "postgis:schema": plan.schema_name,
        "postgis:table": plan.name,
        "postgis:row_count": table.facts.row_count,
        "postgis:geometry_types": list(table.facts.geometry_types),
        "postgis:srid": plan.srid,
        "vector:source_format": table.source.driver,
        "vector:source_file": parameters.blob_name,
        "proj:code": f"EPSG:{plan.srid}",
    }
    if table.temporal is not None:
        first, last = table.temporal
        properties |= {"start_datetime": _iso(first), "end_datetime": _iso(last)}
    asset: dict[str, JsonValue] = {
        "href": f"postgis://{plan.schema_name}/{plan.name}",
        "title": parameters.title or plan.name,
        "type": "application/vnd.postgis",
        "roles": ["data"],
        "table:columns": _table_columns(table.plan),
        "table:row_count": table.facts.row_count,
        "table:primary_geometry": "geom",
    }
    return item_document(
        ItemParts(
            item_id=table.item_id,
            collection_id=parameters.collection_id,
            geometry=_box(table.bbox),
            bbox=table.bbox,
            datetime=table.temporal[0] if table.temporal else table.now,
            properties=properties,
            assets={"data": asset},
            extensions=(TABLE_EXTENSION, PROJECTION_EXTENSION),
        )
    )


def stac_collection(table: LoadedTable) -> StacJson:
    """The collection that the item goes into, should it not exist yet."""
    start, end = table.temporal or (table.now, table.now)
    system = table.parameters.collection_id == COLLECTION
    return collection_document(
        CollectionParts(
            collection_id=table.parameters.collection_id,
            bbox=table.bbox,
            start=start,
            end=end,
            title="Feature tables" if system else None,
            description="Vector datasets held as PostGIS tables." if system else None,
        )
    )


def _texts(parameters: ProcessVectorParameters) -> dict[str, JsonValue]:
    given: dict[str, JsonValue] = {
        "title": parameters.title or parameters.table_name,
        "description": parameters.description,
        "license": parameters.license,
        "keywords": list(parameters.keywords) or None,
        "attribution": parameters.attribution,
    }
    return {name: value for name, value in given.items() if value is not None}


def _table_columns(plan: TablePlan) -> list[JsonValue]:
    ends: tuple[tuple[str, str], tuple[str, str]] = (("id", "bigint"), ("geom", plan.geometry_type))
    attributes = [(c.name, c.sql_type.value) for c in plan.columns]
    return [{"name": name, "type": kind} for name, kind in (ends[0], *attributes, ends[1])]


def _box(bbox: Bounds) -> dict[str, JsonValue]:
    minx, miny, maxx, maxy = bbox
    if minx == maxx and miny == maxy:
        return {"type": "Point", "coordinates": [minx, miny]}
    if minx == maxx or miny == maxy:
        return {"type": "LineString", "coordinates": [[minx, miny], [maxx, maxy]]}
    ring: list[JsonValue] = [[minx, miny], [maxx, miny], [maxx, maxy], [minx, maxy], [minx, miny]]
    return {"type": "Polygon", "coordinates": [ring]}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
