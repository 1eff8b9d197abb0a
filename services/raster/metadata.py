"""The catalogue's one model of a raster: made from an inspection or from a database row, shown as STAC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from core.contracts.effects import StacJson
from core.contracts.raster import Bounds, ExtractStacInput, JsonNumber, OutputTier
from core.contracts.renders import RenderSpec
from core.contracts.storage import ObjectStorage
from core.errors import ContractViolation
from core.models.cogs import CogMetadata
from core.models.datasets import DatasetRef
from core.models.platform import DataType
from services.raster.cog import MEDIA_TYPE
from services.raster.describe import describe
from services.raster.renders import ASSET_KEYS
from services.stac.collections import UNKNOWN_LICENSE, CollectionParts, collection_document
from services.stac.items import ItemParts, item_document
from services.stac.properties import Provenance, dataset_properties, timestamp

_EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
EXTENSIONS = tuple(
    _EXTENSION.format(name)
    for name in ("projection/v2.0.0", "raster/v1.1.0", "file/v2.1.0", "render/v2.0.0", "processing/v1.2.0")
)
EO = _EXTENSION.format("eo/v1.1.0")
SCIENTIFIC = _EXTENSION.format("scientific/v1.0.0")


class _Numbers(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Statistics(_Numbers):
    minimum: float
    maximum: float
    mean: float
    stddev: float
    valid_percent: float


class _Band(_Numbers):
    nodata: JsonNumber | None = None
    scale: float | None = None
    offset: float | None = None
    statistics: _Statistics | None = None


@dataclass(frozen=True)
class RasterMetadata:
    """A raster as the catalogue knows it. The item is made from the row alone, so a rebuilt one is the same."""

    record: CogMetadata

    @classmethod
    def of(cls, request: ExtractStacInput, provenance: Provenance, storage: ObjectStorage) -> RasterMetadata:
        """From what inspection found and the pipeline wrote."""
        return cls(describe(request, provenance, storage))

    @classmethod
    def from_row(cls, row: Mapping[str, object]) -> RasterMetadata:
        """From a row of `app.cog_metadata`."""
        return cls(CogMetadata.model_validate(dict(row)))

    @property
    def bbox(self) -> Bounds:
        """West, south, east, north in degrees; west > east across the antimeridian."""
        stored = (self.record.footprint or {}).get("bbox")
        if not isinstance(stored, list):
            raise ContractViolation(f"COG {self.record.cog_id} has no footprint, so it cannot be shown as an item.")
        west, south, east, north = (float(cast("float", value)) for value in stored)
        return west, south, east, north

    def item(self) -> StacJson:
        """The STAC item, unpublished. Renders and countries are added from the database as it is written."""
        start, end = self._moments()
        geometry = {name: value for name, value in (self.record.footprint or {}).items() if name != "bbox"}
        return item_document(
            ItemParts(
                item_id=self.record.stac_item_id,
                collection_id=self.record.stac_collection_id,
                geometry=geometry,
                bbox=self.bbox,
                datetime=start,
                until=end,
                properties=self._properties(),
                assets=self._assets(),
                extensions=self.extensions,
            )
        )

    def collection(self) -> StacJson:
        """The collection as it is when this is its first item."""
        start, end = self._moments()
        license_ = self.record.license or UNKNOWN_LICENSE
        parts = CollectionParts(self.record.stac_collection_id, self.bbox, start=start, end=end, license=license_)
        return collection_document(parts)

    def dataset_ref(self) -> DatasetRef | None:
        """Whose dataset this is; None for one that no partner named."""
        r = self.record
        if r.dataset_id is None:
            return None
        return DatasetRef(
            stac_collection_id=r.stac_collection_id,
            stac_item_id=r.stac_item_id,
            dataset_id=r.dataset_id,
            resource_id=r.resource_id,
            version_id=r.version_id,
            client_id=r.client_id,
            data_type=DataType.RASTER,
            cog_id=r.cog_id,
            etl_job_id=r.etl_job_id,
        )

    @property
    def extensions(self) -> Sequence[str]:
        """The STAC extensions whose fields the item has."""
        r = self.record
        eo = r.eo_bands or any(name.startswith("eo:") for name in r.custom_properties or {})
        more = ([EO] if eo else []) + ([SCIENTIFIC] if r.sci_doi or r.sci_citation else [])
        return sorted({*EXTENSIONS, *more, *(r.stac_extensions or ())})

    def _moments(self) -> tuple[AwareDatetime, AwareDatetime]:
        start = self.record.temporal_start or self._provenance().created_at
        return start, self.record.temporal_end or start

    def _provenance(self) -> Provenance:
        r = self.record
        if r.processed_at is None or r.etl_job_id is None or r.etl_job_type is None:
            raise ContractViolation(f"COG {r.cog_id} does not say which job made it.")
        return Provenance(
            access_level=r.access_level,
            job_id=r.etl_job_id,
            job_type=r.etl_job_type,
            created_at=r.processed_at,
            dataset_id=r.dataset_id,
            resource_id=r.resource_id,
            version_id=r.version_id,
            request_id=r.request_id,
            client_id=r.client_id,
        )

    def _properties(self) -> dict[str, JsonValue]:
        r, provenance = self.record, self._provenance()
        properties: dict[str, JsonValue] = {
            **(r.custom_properties or {}),
            **dataset_properties(provenance),
            **self._projection(),
            "created": timestamp(provenance.created_at),
            "processing:lineage": f"Converted from {r.source_format or 'a raster'} to a Cloud-Optimized GeoTIFF.",
            "processing:software": cast("JsonValue", r.processing_software or {}),
            "renders": {"default": RenderSpec.model_validate(r.default_render or {}).document()},
        }
        shown = {**self._told(), **self._pixels()}
        return properties | {name: value for name, value in shown.items() if value is not None}

    def _projection(self) -> dict[str, JsonValue]:
        r = self.record
        crs = r.crs or ""
        registered = len(crs) < 40 and ":" in crs
        a, b, c, d, e, f = (float(value) for value in r.transform or (1, 0, 0, 0, 1, 0))
        corners = [(x * a + y * b + c, x * d + y * e + f) for x in (0, r.width) for y in (0, r.height)]
        xs, ys = zip(*corners, strict=True)
        placed: dict[str, JsonValue] = {
            "proj:code": crs if registered else None,
            "proj:shape": [r.height, r.width],
            "proj:transform": [a, b, c, d, e, f, 0.0, 0.0, 1.0],
            "proj:bbox": [min(xs), min(ys), max(xs), max(ys)],
        }
        return placed if registered else {**placed, "proj:wkt2": crs}

    def _told(self) -> dict[str, JsonValue]:
        r = self.record
        return {
            "title": r.title,
            "description": r.description,
            "keywords": cast("JsonValue", r.keywords),
            "license": r.license,
            "providers": cast("JsonValue", r.providers),
            "sci:doi": r.sci_doi,
            "sci:citation": r.sci_citation,
            "app:source_blob": r.source_file,
            "app:source_layer": r.source_layer,
            "app:datetime_source": r.datetime_source,
            "app:findings": cast("JsonValue", r.findings or []),
        }

    def _pixels(self) -> dict[str, JsonValue]:
        r = self.record
        view = RenderSpec.model_validate(r.default_render or {})
        return {
            "app:raster_type": r.raster_type,
            "app:type_confidence": r.type_confidence,
            "app:type_evidence": cast("JsonValue", r.type_evidence),
            "app:band_count": r.band_count,
            "app:dtype": r.dtype,
            "app:colorinterp": cast("JsonValue", r.colorinterp),
            "app:rgb_bands": cast("JsonValue", r.rgb_bands),
            "app:nodata": self._bands()[0].get("nodata") if r.raster_bands else None,
            "app:colormap": r.colormap,
            "app:rescale": view.document().get("rescale"),
        }

    def _bands(self) -> list[dict[str, JsonValue]]:
        # PostgreSQL keeps no difference between 1 and 1.0, so what must be a float is made one again.
        return [_Band.model_validate(band).model_dump(exclude_none=True) for band in self.record.raster_bands or ()]

    def _assets(self) -> dict[str, Mapping[str, JsonValue]]:
        r = self.record
        main = {"cog_url": r.cog_url, "tier": r.tier, "compression": r.compression, "checksum": r.checksum}
        assets = {"data": self._asset({**main, "size_bytes": r.size_bytes, "band_count": r.band_count})}
        for other in r.other_cogs or ():
            assets[ASSET_KEYS[OutputTier(str(other["tier"]))]] = self._asset(other)
        return assets

    def _asset(self, cog: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        bands = self._bands()[: int(str(cog["band_count"]))]
        said = [str(word) for word in (cog.get("tier"), cog.get("compression")) if word]
        stated: dict[str, JsonValue] = {
            "href": cog["cog_url"],
            "type": MEDIA_TYPE,
            "title": f"Cloud-Optimized GeoTIFF ({', '.join(said)})" if said else "Cloud-Optimized GeoTIFF",
            "roles": ["data"],
            "file:size": cog.get("size_bytes"),
            "file:checksum": cog.get("checksum"),
            "bands": list(self._named(len(bands))),
            "raster:bands": cast("JsonValue", bands),
            "eo:bands": cast("JsonValue", self.record.eo_bands and self.record.eo_bands[: len(bands)]),
        }
        return {name: value for name, value in stated.items() if value is not None}

    def _named(self, count: int) -> Iterator[JsonValue]:
        r = self.record
        names, colors = (r.band_names or [])[:count], r.colorinterp or []
        for number, name in enumerate(names):
            yield {"name": name, "description": colors[number] if number < len(colors) else "undefined"}
