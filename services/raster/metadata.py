"""The catalogue's view of a raster: a row of `app.cog_metadata`, a STAC item and its collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

from pydantic import JsonValue

from core.contracts.effects import StacJson
from core.contracts.raster import CogFile, ExtractStacInput, Finding, OutputTier, RasterBand, RasterInspection
from core.contracts.storage import ObjectStorage
from core.models.catalog import CogMetadata
from services.raster.cog import MEDIA_TYPE
from services.raster.names import cog_id, raster_item_id
from services.raster.renders import Rendering, rendering
from services.stac.collections import CollectionParts, collection_document
from services.stac.items import ItemParts, item_document
from services.stac.properties import Provenance, dataset_properties, timestamp

EXTENSIONS = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/render/v2.0.0/schema.json",
)
_ASSET_KEYS = {OutputTier.VISUALIZATION: "visual", OutputTier.ANALYSIS: "analysis", OutputTier.ARCHIVE: "archive"}


class RasterMetadata:
    """What the catalogue says of one raster, made from its inspection and its COGs."""

    def __init__(self, request: ExtractStacInput, provenance: Provenance, storage: ObjectStorage) -> None:
        self._request, self._provenance, self._storage = request, provenance, storage
        self.source, self.cog = request.inspection, request.cogs[0]
        self.dataset = request.dataset
        self.collection_id = request.dataset.collection_id
        self.item_id = raster_item_id(request.dataset, request.inspection.blob_name)
        self.findings: Sequence[Finding] = (*request.inspection.findings, *request.findings)
        self.rendering: Rendering = rendering(request.inspection)
        acquired = request.inspection.acquired
        self.datetime = datetime.fromisoformat(acquired) if acquired else provenance.created_at

    def item(self) -> StacJson:
        """The STAC item, unpublished."""
        return item_document(
            ItemParts(
                item_id=self.item_id,
                collection_id=self.collection_id,
                geometry=self.cog.grid.footprint,
                bbox=self.cog.grid.bbox,
                datetime=self.datetime,
                properties=self._properties(),
                assets=self._assets(),
                extensions=EXTENSIONS,
            )
        )

    def collection(self) -> StacJson:
        """The collection as it is when this is its first item."""
        return collection_document(
            CollectionParts(self.collection_id, self.cog.grid.bbox, start=self.datetime, end=self.datetime)
        )

    def record(self) -> CogMetadata:
        """The row of `app.cog_metadata`. A bbox across the antimeridian becomes all longitudes there."""
        grid, dataset, source = self.cog.grid, self.dataset, self.source
        west, south, east, north = grid.bbox
        if west > east:
            west, east = -180.0, 180.0
        first = source.bands[0]
        nodata = first.nodata if isinstance(first.nodata, float) else None
        a, b, c, d, e, f = grid.transform
        return CogMetadata(
            cog_id=cog_id(self.collection_id, self.item_id),
            container=self.cog.container_name,
            blob_path=self.cog.blob_name,
            cog_url=self._storage.href(self.cog.blob),
            width=grid.width,
            height=grid.height,
            band_count=len(self.cog.band_colors),
            dtype=source.dtype,
            nodata=nodata,
            crs=grid.crs or grid.wkt,
            transform=[a, b, c, d, e, f],
            resolution=list(_resolution(grid.transform)),
            band_names=[band_name(band) for band in source.bands],
            band_units=[band.unit for band in source.bands],
            bbox_minx=west,
            bbox_miny=south,
            bbox_maxx=east,
            bbox_maxy=north,
            temporal_start=self.datetime,
            temporal_end=self.datetime,
            overview_levels=list(self.cog.overviews),
            compression=self.cog.compression,
            blocksize=[self.cog.blocksize, self.cog.blocksize],
            colormap=self.rendering.colormap,
            rescale_range=list(self.rendering.rescale[0]) if self.rendering.rescale else None,
            raster_bands=[raster_band(band, source) for band in source.bands],
            title=dataset.title,
            description=dataset.description,
            keywords=", ".join(dataset.tags) or None,
            stac_extensions=list(EXTENSIONS),
            stac_item_id=self.item_id,
            stac_collection_id=self.collection_id,
            etl_job_id=self._provenance.job_id,
            source_file=str(source.source),
            source_format=source.driver,
            source_crs=source.grid.crs or source.grid.wkt,
            checksum=multihash(self.cog.checksum),
            size_bytes=self.cog.size_bytes,
            statistics=[_statistics(band) for band in source.bands],
            findings=[finding.model_dump(mode="json") for finding in self.findings],
            raster_type=source.raster_type.value,
        )

    def _properties(self) -> dict[str, JsonValue]:
        grid, source, dataset = self.cog.grid, self.source, self.dataset
        properties: dict[str, JsonValue] = {
            **dataset_properties(self._provenance),
            "created": timestamp(self._provenance.created_at),
            "proj:code": grid.crs,
            "proj:shape": [grid.height, grid.width],
            "proj:transform": [*grid.transform, 0.0, 0.0, 1.0],
            "proj:bbox": list(grid.bounds),
            "renders": self._renders(),
            "app:datetime_source": "acquisition" if source.acquired else "processing",
            "app:raster_type": source.raster_type.value,
            "app:band_count": len(source.bands),
            "app:dtype": source.dtype,
            "app:colorinterp": [band.color for band in source.bands],
            "app:rgb_bands": list(self.rendering.bands),
            "app:source_blob": str(source.source),
            "app:findings": [finding.model_dump(mode="json") for finding in self.findings],
        }
        if grid.crs is None:
            properties["proj:wkt2"] = grid.wkt
        optional: dict[str, JsonValue] = {
            "title": dataset.title,
            "description": dataset.description,
            "keywords": list(dataset.tags) or None,
            "app:nodata": source.bands[0].nodata,
            "app:colormap": self.rendering.colormap,
            "app:rescale": _pairs(self.rendering.rescale),
        }
        return properties | {name: value for name, value in optional.items() if value is not None}

    def _renders(self) -> dict[str, JsonValue]:
        view: dict[str, JsonValue] = {"title": "Default view", "assets": ["data"], "bidx": list(self.rendering.bands)}
        if self.rendering.rescale is not None:
            view["rescale"] = _pairs(self.rendering.rescale)
        if self.rendering.colormap is not None:
            view["colormap_name"] = self.rendering.colormap
        return {"default": view}

    def _assets(self) -> dict[str, Mapping[str, JsonValue]]:
        others = {_ASSET_KEYS[cog.tier]: self._asset(cog, ["data"]) for cog in self._request.cogs[1:]}
        return {"data": self._asset(self.cog, ["data"]), **others}

    def _asset(self, cog: CogFile, roles: Sequence[str]) -> Mapping[str, JsonValue]:
        names = [band_name(band) for band in self.source.bands[: len(cog.band_colors)]]
        described = self.source.bands[: len(names)]
        return {
            "href": self._storage.href(cog.blob),
            "type": MEDIA_TYPE,
            "title": f"Cloud-Optimized GeoTIFF ({cog.tier.value}, {cog.compression})",
            "roles": list(roles),
            "file:size": cog.size_bytes,
            "file:checksum": multihash(cog.checksum),
            "bands": [{"name": name, "description": b.color} for name, b in zip(names, described, strict=True)],
            "raster:bands": [cast("JsonValue", raster_band(band, self.source)) for band in described],
        }


def band_name(band: RasterBand) -> str:
    """The band's own description, else b and its number."""
    return band.description or f"b{band.index}"


def raster_band(band: RasterBand, source: RasterInspection) -> dict[str, JsonValue]:
    """A band as the raster extension describes it."""
    described: dict[str, JsonValue] = {
        "data_type": band.dtype,
        "nodata": band.nodata,
        "unit": band.unit,
        "scale": band.scale,
        "offset": band.offset,
        "sampling": "point" if source.point else "area",
        "statistics": cast("JsonValue", _statistics(band)) or None,
    }
    return {name: value for name, value in described.items() if value is not None}


def _statistics(band: RasterBand) -> dict[str, JsonValue]:
    stats = band.statistics
    if stats is None:
        return {}
    return {
        "minimum": stats.minimum,
        "maximum": stats.maximum,
        "mean": stats.mean,
        "stddev": stats.stddev,
        "valid_percent": stats.valid_percent,
    }


def _pairs(rescale: tuple[tuple[float, float], ...] | None) -> JsonValue:
    return None if rescale is None else [[low, high] for low, high in rescale]


def _resolution(transform: tuple[float, float, float, float, float, float]) -> tuple[float, float]:
    a, b, _, d, e, _ = transform
    return (a * a + d * d) ** 0.5, (b * b + e * e) ** 0.5


def multihash(sha256_hex: str) -> str:
    """A SHA-256 as the file extension wants it: 12 for the function, 20 for its length."""
    return f"1220{sha256_hex}"
