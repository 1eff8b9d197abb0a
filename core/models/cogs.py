"""Cloud-Optimized GeoTIFFs and how they are drawn. Sizes are bytes."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.catalog import BBOX_ORDERED, BBOX_WHOLE, TIME_ORDERED
from core.models.platform import AccessLevel
from core.models.record import ByteCount, JobId, Json, Positive, Record, Stamped
from core.schema.table import Check, ForeignKey, Index, Table


class CogMetadata(Record):
    """A COG in the silver zone, complete: its STAC item is made from this row and nothing else.

    `transform` holds the six coefficients of the affine transform in rasterio's order, `resolution` the pixel size
    (x, y) in units of `crs`, `bbox_*` the extent in EPSG:4326, `checksum` a multihash in hex,
    `etag` what storage said when it was written. `footprint` is GeoJSON
    with a `bbox` that has west > east across the antimeridian, where `bbox_*` spans all longitudes.
    """

    __table__: ClassVar[Table] = Table(
        name="cog_metadata",
        primary_key=("cog_id",),
        uniques=(("container", "blob_path"),),
        indexes=(
            Index(("stac_collection_id", "stac_item_id")),
            Index(("etl_job_id",)),
            Index(("created_at",)),
            Index(("dataset_id", "resource_id", "version_id")),
            Index(("other_cogs",), method="gin"),
        ),
        checks=(BBOX_ORDERED, BBOX_WHOLE, TIME_ORDERED),
    )

    cog_id: Annotated[str, Field(max_length=255)]
    container: Annotated[str, Field(max_length=100)]
    blob_path: Annotated[str, Field(max_length=1024)]
    cog_url: Annotated[str, Field(max_length=2048)]
    width: Positive
    height: Positive
    band_count: Positive
    dtype: str
    nodata: float | None = None
    crs: str | None = None
    transform: list[float] | None = None
    resolution: list[float] | None = None
    footprint: Json | None = None
    band_names: list[str] | None = None
    band_units: list[str | None] | None = None
    colorinterp: list[str] | None = None
    rgb_bands: list[int] | None = None
    bbox_minx: float | None = None
    bbox_miny: float | None = None
    bbox_maxx: float | None = None
    bbox_maxy: float | None = None
    temporal_start: AwareDatetime | None = None
    temporal_end: AwareDatetime | None = None
    datetime_source: str | None = None
    is_cog: bool = True
    tier: str | None = None
    overview_levels: list[int] | None = None
    compression: str | None = None
    blocksize: list[int] | None = None
    colormap: str | None = None
    rescale_range: list[float] | None = None
    default_render: Json | None = None
    eo_bands: list[Json] | None = None
    raster_bands: list[Json] | None = None
    other_cogs: list[Json] | None = None
    title: str | None = None
    description: str | None = None
    keywords: list[str] | None = None
    license: str | None = None
    providers: list[Json] | None = None
    stac_extensions: list[str] | None = None
    stac_item_id: str
    stac_collection_id: str
    access_level: AccessLevel
    dataset_id: str | None = None
    resource_id: str | None = None
    version_id: str | None = None
    request_id: str | None = None
    client_id: str | None = None
    etl_job_id: JobId | None = None
    etl_job_type: str | None = None
    processed_at: AwareDatetime | None = None
    processing_software: Json | None = None
    source_file: str | None = None
    source_layer: str | None = None
    source_format: str | None = None
    source_crs: str | None = None
    sci_doi: str | None = None
    sci_citation: str | None = None
    custom_properties: Json | None = None
    checksum: str | None = None
    etag: str | None = None
    size_bytes: ByteCount | None = None
    statistics: list[Json] | None = None
    findings: list[Json] | None = None
    raster_type: str | None = None
    type_confidence: float | None = None
    type_evidence: list[str] | None = None
    created_at: Stamped = None
    updated_at: Stamped = None


class RasterRenderConfig(Record):
    """A named way of drawing a COG; `render_spec` is a `RenderSpec`. One of a COG's may be its default."""

    __table__: ClassVar[Table] = Table(
        name="raster_render_configs",
        primary_key=("cog_id", "render_id"),
        indexes=(Index(("cog_id",), unique=True, where="is_default", name="ux_raster_render_configs_default"),),
        foreign_keys=(ForeignKey(("cog_id",), "app.cog_metadata", ("cog_id",), on_delete="CASCADE"),),
        checks=(Check("not_reserved", "render_id <> 'default'"),),
    )

    cog_id: Annotated[str, Field(max_length=255)]
    render_id: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]
    title: str | None = None
    description: str | None = None
    render_spec: Json
    is_default: bool = False
    created_by: str | None = None
    created_at: Stamped = None
    updated_at: Stamped = None
