"""From what inspection found and the pipeline made to the row of `app.cog_metadata` that describes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import rasterio
from pydantic import JsonValue

from core.contracts.raster import CogFile, ExtractStacInput, RasterBand, RasterInspection, RasterType
from core.contracts.storage import ObjectStorage
from core.models.cogs import CogMetadata
from core.models.record import Json
from core.version import VERSION
from services.raster.names import cog_id, raster_item_id
from services.raster.numbers import from_json
from services.raster.renders import Rendering, rendering
from services.stac.properties import Provenance

_EO_NAMES = {"red", "green", "blue", "nir", "coastal", "rededge", "panchromatic", "pan"}


def describe(request: ExtractStacInput, provenance: Provenance, storage: ObjectStorage) -> CogMetadata:
    """The row of a raster. `request.cogs[0]` is the COG it describes; the others are kept as further assets."""
    cog, dataset = request.cogs[0], request.dataset
    source = _as_converted(request.inspection, cog)
    view = rendering(source)
    item = raster_item_id(dataset, source.blob_name)
    findings = (*source.findings, *request.findings)
    return CogMetadata.model_validate(
        {
            "cog_id": cog_id(dataset.collection_id, item),
            "stac_item_id": item,
            "stac_collection_id": dataset.collection_id,
            "title": dataset.title,
            "description": dataset.description,
            "keywords": list(dataset.tags) or None,
            "findings": [finding.model_dump(mode="json") for finding in findings],
            **_place(cog),
            **_file(cog, storage),
            **_bands(source, cog),
            **_view(view),
            **_times(source, provenance),
            **_source(source),
            **_maker(provenance),
            "other_cogs": [_other(other, storage) for other in request.cogs[1:]] or None,
            "custom_properties": None if source.cloud_cover is None else {"eo:cloud_cover": source.cloud_cover},
        }
    )


def _as_converted(source: RasterInspection, cog: CogFile) -> RasterInspection:
    """The source with the statistics of the pixels that the COG holds: another grid or a window has others."""
    bands = tuple(
        band.model_copy(update={"statistics": statistics})
        for band, statistics in zip(source.bands, cog.statistics, strict=False)  # a warp may have added alpha
    )
    return source.model_copy(update={"bands": bands})


def _place(cog: CogFile) -> dict[str, object]:
    grid = cog.grid
    west, south, east, north = grid.bbox
    a, b, _, d, e, _ = grid.transform
    return {
        "width": grid.width,
        "height": grid.height,
        "crs": grid.crs or grid.wkt,
        "transform": list(grid.transform),
        "resolution": [(a * a + d * d) ** 0.5, (b * b + e * e) ** 0.5],
        "footprint": {**grid.footprint, "bbox": list(grid.bbox)},
        "bbox_minx": west if west <= east else -180.0,
        "bbox_miny": south,
        "bbox_maxx": east if west <= east else 180.0,
        "bbox_maxy": north,
    }


def _file(cog: CogFile, storage: ObjectStorage) -> dict[str, object]:
    return {
        "container": cog.container_name,
        "blob_path": cog.blob_name,
        "cog_url": storage.href(cog.blob),
        "tier": cog.tier.value,
        "overview_levels": list(cog.overviews),
        "compression": cog.compression,
        "blocksize": [cog.blocksize, cog.blocksize],
        "checksum": multihash(cog.checksum),
        "etag": cog.etag,
        "size_bytes": cog.size_bytes,
        "band_count": len(cog.band_colors),
    }


def _other(cog: CogFile, storage: ObjectStorage) -> Json:
    return {
        "tier": cog.tier.value,
        "container": cog.container_name,
        "blob_path": cog.blob_name,
        "cog_url": storage.href(cog.blob),
        "compression": cog.compression,
        "checksum": multihash(cog.checksum),
        "etag": cog.etag,
        "size_bytes": cog.size_bytes,
        "band_count": len(cog.band_colors),
    }


def _bands(source: RasterInspection, cog: CogFile) -> dict[str, object]:
    measured = source.bands[: len(cog.band_colors)]
    return {
        # GeoTIFF calls a first band grey that the source left undefined; a band added by a warp is only in the COG.
        "colorinterp": [*(band.color for band in measured), *cog.band_colors[len(measured) :]],
        "dtype": source.dtype,
        "nodata": from_json(source.bands[0].nodata),
        "band_names": [band_name(band) for band in measured],
        "band_units": [band.unit for band in measured],
        "raster_bands": [_raster_band(band, source) for band in measured],
        "statistics": [band.statistics.model_dump() if band.statistics else {} for band in measured],
        "eo_bands": _eo_bands(source, measured),
    }


def band_name(band: RasterBand) -> str:
    """The band's own description, else b and its number."""
    return band.description or f"b{band.index}"


def _raster_band(band: RasterBand, source: RasterInspection) -> Json:
    known = {"minimum", "maximum", "mean", "stddev", "valid_percent"}
    described: dict[str, JsonValue] = {
        "data_type": band.dtype,
        "nodata": band.nodata,
        "unit": band.unit,
        "scale": band.scale,
        "offset": band.offset,
        "sampling": "point" if source.point else "area",
        "statistics": band.statistics.model_dump(include=known) if band.statistics else None,
    }
    return {name: value for name, value in described.items() if value is not None}


def _eo_bands(source: RasterInspection, bands: Sequence[RasterBand]) -> list[Json] | None:
    """Names of the eo extension for bands whose colour the file states; None where no band has one."""
    found: list[Json] = []
    for band in bands:
        color = band.color
        if source.raster_type is RasterType.NIR and band.index == 4:
            color = "nir"
        named: Json = {"name": band_name(band)}
        found.append(
            {**named, "common_name": {"panchromatic": "pan"}.get(color, color)} if color in _EO_NAMES else named
        )
    return found if any("common_name" in band for band in found) else None


def _view(view: Rendering) -> dict[str, object]:
    return {
        "rgb_bands": list(view.bands),
        "colormap": view.colormap,
        "rescale_range": list(view.rescale[0]) if view.rescale else None,
        "default_render": view.spec().document(),
    }


def _times(source: RasterInspection, provenance: Provenance) -> dict[str, object]:
    start = datetime.fromisoformat(source.acquired) if source.acquired else provenance.created_at
    end = datetime.fromisoformat(source.acquired_until) if source.acquired_until else start
    return {
        "temporal_start": start,
        "temporal_end": max(start, end),
        "datetime_source": "acquisition" if source.acquired else "processing",
    }


def _source(source: RasterInspection) -> dict[str, object]:
    file = f"{source.source}/{source.member}" if source.member else str(source.source)
    return {
        "source_file": file,
        "source_layer": source.variable,
        "source_format": source.driver,
        "source_crs": source.grid.crs or source.grid.wkt,
        "raster_type": source.raster_type.value,
        "type_confidence": source.detection.confidence,
        "type_evidence": list(source.detection.evidence),
    }


def _maker(provenance: Provenance) -> dict[str, object]:
    return {
        "access_level": provenance.access_level,
        "dataset_id": provenance.dataset_id,
        "resource_id": provenance.resource_id,
        "version_id": provenance.version_id,
        "request_id": provenance.request_id,
        "client_id": provenance.client_id,
        "etl_job_id": provenance.job_id,
        "etl_job_type": provenance.job_type,
        "processed_at": provenance.created_at,
        "processing_software": software(),
    }


def software() -> Json:
    """What wrote the file, with versions."""
    return {"geomachine": VERSION, "GDAL": rasterio.__gdal_version__, "rasterio": rasterio.__version__}


def multihash(sha256_hex: str) -> str | None:
    """A SHA-256 as the file extension wants it: 12 for the function, 20 for its length; None where it is unknown."""
    return f"1220{sha256_hex}" if sha256_hex else None
