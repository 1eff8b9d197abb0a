"""What is known of a feature table: one model for catalogue row, tracking row, STAC item and collection.

The catalogue row alone is enough to serve the table, so it may be copied to databases that know nothing of jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from pydantic import BaseModel, ConfigDict, JsonValue

from core.contracts.effects import StacJson
from core.errors import ContractViolation
from core.models.catalog import GeoTableCatalog, VectorEtlTracking
from core.models.datasets import DatasetRef
from core.models.platform import AccessLevel, DataType
from services.stac.collections import CollectionParts, collection_document
from services.stac.items import ItemParts, item_document
from services.stac.properties import Provenance, dataset_properties, timestamp

TABLE_EXTENSION = "https://stac-extensions.github.io/table/v1.2.0/schema.json"
PROJECTION_EXTENSION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
EXTERNAL = "external"  #: the type of a table that none of our runs made
SYSTEM_COLLECTION = "system-vectors"
_CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_EPSG = "http://www.opengis.net/def/crs/EPSG/0/"

Bounds = tuple[float, float, float, float]


class VectorMetadata(BaseModel):
    """A table's catalogue row, and the run that wrote its rows where that is known."""

    model_config = ConfigDict(frozen=True)

    catalog: GeoTableCatalog
    tracking: VectorEtlTracking | None = None

    @classmethod
    def from_service_catalog(cls, catalog: GeoTableCatalog | Mapping[str, object]) -> VectorMetadata:
        """What a database knows that only the `geo` schema was copied to."""
        return cls(catalog=GeoTableCatalog.model_validate(catalog))

    @classmethod
    def from_internal_db(
        cls,
        catalog: GeoTableCatalog | Mapping[str, object],
        tracking: VectorEtlTracking | Mapping[str, object] | None,
    ) -> VectorMetadata:
        """What this database knows; without a run for a table that none of ours made."""
        run = None if tracking is None else VectorEtlTracking.model_validate(tracking)
        return cls(catalog=GeoTableCatalog.model_validate(catalog), tracking=run)

    def split_to_catalog_and_tracking(self) -> tuple[GeoTableCatalog, VectorEtlTracking | None]:
        """The two rows: what is served and replicated, and what stays here."""
        return self.catalog, self.tracking

    @property
    def bbox(self) -> Bounds:
        """The extent in EPSG:4326. Raises ContractViolation for a table whose extent nobody recorded."""
        found = self.catalog
        bounds = (found.bbox_minx, found.bbox_miny, found.bbox_maxx, found.bbox_maxy)
        if None in bounds:
            raise ContractViolation(f"The catalogue row of {found.table_name} has no extent.")
        return cast("Bounds", bounds)

    @property
    def moment(self) -> datetime:
        """When its rows were written last."""
        run = self.tracking
        known = (run.processing_completed_at if run else None) or self.catalog.updated_at or self.catalog.created_at
        return known or datetime.now(UTC)

    def to_stac_item(self) -> StacJson:
        """The table as a STAC item. Its asset names the table, not the server."""
        row = self.catalog
        properties: dict[str, JsonValue] = {
            **self._dataset(),
            **self._texts(),
            **(row.custom_properties or {}),
            "postgis:schema": row.schema_name,
            "postgis:table": row.table_name,
            "postgis:row_count": row.feature_count,
            "postgis:geometry_types": cast("list[JsonValue]", list(row.geometry_types or [])),
            "postgis:srid": row.srid,
            "proj:code": f"EPSG:{row.srid}",
            **self._table(),
            **self._source(),
        }
        if row.temporal_start and row.temporal_end:
            properties |= {
                "start_datetime": timestamp(row.temporal_start),
                "end_datetime": timestamp(row.temporal_end),
            }
        return item_document(
            ItemParts(
                item_id=self._stac_id("item"),
                collection_id=self._stac_id("collection"),
                geometry=_box(self.bbox),
                bbox=self.bbox,
                datetime=row.temporal_start or self.moment,
                properties=properties,
                assets={"data": self._asset()},
                extensions=tuple(row.stac_extensions or (TABLE_EXTENSION, PROJECTION_EXTENSION)),
            )
        )

    def to_dataset_ref(self) -> DatasetRef | None:
        """Which dataset version of a partner the item shows; None for a table of no dataset."""
        run = self.tracking
        if run is None or run.dataset_id is None:
            return None
        return DatasetRef(
            stac_collection_id=self._stac_id("collection"),
            stac_item_id=self._stac_id("item"),
            dataset_id=run.dataset_id,
            resource_id=run.resource_id,
            version_id=run.version_id,
            client_id=run.client_id,
            data_type=DataType.VECTOR,
            table_name=self.catalog.table_name,
            etl_job_id=run.etl_job_id,
        )

    def to_stac_collection(self) -> StacJson:
        """The collection that the item goes into, should it not exist yet."""
        row, name = self.catalog, self._stac_id("collection")
        system = name == SYSTEM_COLLECTION
        return collection_document(
            CollectionParts(
                collection_id=name,
                bbox=self.bbox,
                start=row.temporal_start or self.moment,
                end=row.temporal_end or self.moment,
                title="Feature tables" if system else None,
                description="Vector datasets held as PostGIS tables." if system else None,
            )
        )

    def to_ogc_collection(self, base_url: str) -> dict[str, JsonValue]:
        """The table as OGC API Features describes a collection, below `base_url` such as `https://host/api/features`."""
        row = self.catalog
        url = f"{base_url}/collections/{row.table_name}"
        extent: dict[str, JsonValue] = {"spatial": {"bbox": [list(self.bbox)], "crs": _CRS84}}
        if row.temporal_start and row.temporal_end:
            extent["temporal"] = {"interval": [[timestamp(row.temporal_start), timestamp(row.temporal_end)]]}
        links: list[JsonValue] = [
            {"rel": "self", "href": url, "type": "application/json"},
            {"rel": "items", "href": f"{url}/items", "type": "application/geo+json"},
            {"rel": "queryables", "href": f"{url}/queryables", "type": "application/schema+json"},
            {"rel": "styles", "href": f"{url}/styles", "type": "application/json"},
        ]
        optional: dict[str, JsonValue] = {
            "description": row.description,
            "keywords": cast("JsonValue", _keywords(row)),
            "license": row.license,
            "attribution": row.attribution,
        }
        return {
            "id": row.table_name,
            "title": row.title or row.table_name,
            **{name: value for name, value in optional.items() if value},
            "extent": extent,
            "itemType": "feature",
            "crs": [_CRS84, f"{_EPSG}{row.srid}"],
            "storageCrs": _CRS84 if row.srid == 4326 else f"{_EPSG}{row.srid}",
            "links": links,
        }

    def _stac_id(self, kind: str) -> str:
        found = self.catalog.stac_item_id if kind == "item" else self.catalog.stac_collection_id
        if found is None:
            raise ContractViolation(f"The catalogue row of {self.catalog.table_name} names no STAC {kind}.")
        return found

    def _dataset(self) -> dict[str, JsonValue]:
        level = AccessLevel(self.catalog.access_level)
        published: dict[str, JsonValue] = {"app:published": self.catalog.published}
        if self.catalog.published_at is not None:
            published["app:published_at"] = timestamp(self.catalog.published_at)
        run = self.tracking
        if run is None:
            return {"platform:access_level": level.value, **published}
        provenance = Provenance(
            access_level=level,
            job_id=run.etl_job_id,
            job_type=run.job_type or "unknown",
            created_at=self.moment,
            dataset_id=run.dataset_id,
            resource_id=run.resource_id,
            version_id=run.version_id,
            request_id=run.request_id,
            client_id=run.client_id,
        )
        return {**dataset_properties(provenance), **published}

    def _texts(self) -> dict[str, JsonValue]:
        row = self.catalog
        given: dict[str, JsonValue] = {
            "title": row.title or row.table_name,
            "description": row.description,
            "license": row.license,
            "keywords": cast("JsonValue", _keywords(row)),
            "attribution": row.attribution,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _source(self) -> dict[str, JsonValue]:
        run = self.tracking
        given: dict[str, JsonValue] = {
            "vector:source_format": run.source_format if run else None,
            "vector:source_file": run.source_file.partition("/")[2] if run and run.source_file else None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _asset(self) -> dict[str, JsonValue]:
        row = self.catalog
        return {
            "href": f"postgis://{row.schema_name}/{row.table_name}",
            "title": row.title or row.table_name,
            "type": "application/vnd.postgis",
            "roles": ["data"],
        }

    def _table(self) -> dict[str, JsonValue]:
        """Of the item, not of its asset: version 1.2.0 of the extension asks for the columns there."""
        row = self.catalog
        counted: dict[str, JsonValue] = {} if row.feature_count is None else {"table:row_count": row.feature_count}
        return {"table:columns": self._columns(), "table:primary_geometry": row.primary_geometry, **counted}

    def _columns(self) -> list[JsonValue]:
        row = self.catalog
        defined = cast("Mapping[str, Mapping[str, JsonValue]]", row.column_definitions or {})
        attributes = sorted(defined.items(), key=lambda entry: cast("int", entry[1].get("position", 0)))
        numbered = row.table_type != EXTERNAL or row.primary_key == "id"
        listed: list[JsonValue] = [{"name": "id", "type": "bigint"}] if numbered else []
        listed += [{"name": name, "type": column["type"]} for name, column in attributes]
        return [*listed, {"name": row.primary_geometry, "type": row.geometry_type or "Geometry"}]


def _keywords(row: GeoTableCatalog) -> list[str] | None:
    return row.keywords.split(", ") if row.keywords else None


def _box(bbox: Bounds) -> dict[str, JsonValue]:
    minx, miny, maxx, maxy = bbox
    if minx == maxx and miny == maxy:
        return {"type": "Point", "coordinates": [minx, miny]}
    if minx == maxx or miny == maxy:
        return {"type": "LineString", "coordinates": [[minx, miny], [maxx, maxy]]}
    ring: list[JsonValue] = [[minx, miny], [maxx, miny], [maxx, maxy], [minx, maxy], [minx, miny]]
    return {"type": "Polygon", "coordinates": [ring]}
