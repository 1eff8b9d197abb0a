"""A raster too large for one COG: cut into tiles, each a COG and an item of one collection."""

from __future__ import annotations

from pydantic import Field, field_validator

from core.contracts.jobs import JobResult
from core.contracts.raster import (
    CreateCogInput,
    CreateCogOutput,
    PixelWindow,
    ProcessRasterParameters,
    RasterInspection,
    RasterValidation,
    ValidateRasterInput,
)
from core.contracts.raster_collection import (
    CatalogCollectionInput,
    CatalogedCollection,
    CogCounts,
    CollectionOptions,
    CollectionReference,
    MosaicSummary,
)
from core.contracts.raster_docker import MemoryReport
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.naming import slug

#: Tiles begin and end at multiples of this, so that no block of a COG is cut.
BLOCK = 512
#: Width times height above which not even tiles are made.
MAX_TILED_PIXELS = 100_000_000_000
#: Sides that are chosen when none is asked for.
SMALLEST, LARGEST = 10 * BLOCK, 40 * BLOCK


class LargeRasterParameters(ProcessRasterParameters, CollectionOptions):
    """Parameters of `process_large_raster_v2` and `process_large_raster_docker`.

    Unlike other collections, that of the tiles gets a MosaicJSON unless it is not wanted.
    `tile_size` in pixels of the output; None: about 450 MB of pixels a tile. `overlap` is how far a tile reaches into
    those to its right and below.
    """

    create_mosaicjson: bool = True
    tile_size: int | None = Field(None, ge=BLOCK, le=LARGEST)
    overlap: int = Field(0, ge=0, le=BLOCK)

    @field_validator("tile_size")
    @classmethod
    def _whole_blocks(cls, value: int | None) -> int | None:
        if value is not None and value % BLOCK:
            raise ValueError(f"tile_size {value} is no multiple of {BLOCK}.")
        return value

    def to_validate(self) -> ValidateRasterInput:
        """What validating the whole needs; tiles bound what is made of it, so it may be larger than one COG may be."""
        return super().to_validate().model_copy(update={"max_pixels": MAX_TILED_PIXELS})

    def to_tile(self, scheme: TilingScheme, tile: RasterTile) -> CreateCogInput:
        """What converting one tile needs."""
        whole = self.to_convert(scheme.inspection)
        return whole.model_copy(
            update={
                "dataset": self.dataset.model_copy(update={"item_id": self.tile_item(tile), "title": None}),
                "window": tile.window,
                "output_folder": self.output_folder or f"{slug(self.collection_id)}/{self.prefix}",
            }
        )

    def to_catalog(self, scheme: TilingScheme, made: dict[str, CreateCogOutput]) -> CatalogCollectionInput:
        """What cataloguing all tiles needs."""
        return CatalogCollectionInput(
            dataset=self.dataset,
            options=self.together,
            members=tuple(
                self.to_describe(scheme.inspection, made[tile.key]).model_copy(
                    update={"dataset": self.to_tile(scheme, tile).dataset}
                )
                for tile in scheme.tiles
            ),
        )

    def tile_item(self, tile: RasterTile) -> str:
        """The id of a tile's item."""
        return f"{self.prefix}-{slug(tile.key)}"

    @property
    def prefix(self) -> str:
        """How the ids of all items begin."""
        return self.item_id or slug(self.collection_id)


class RasterTile(Contract):
    """One tile: `tile_{row}_{column}`, and the pixels of the output that it holds."""

    key: str
    window: PixelWindow


class TilingGrid(Contract):
    """The grid that a raster is cut by. Width and height are those of the output, on the target's grid."""

    width: int
    height: int
    tile_size: int
    overlap: int
    rows: int
    columns: int


class TilingScheme(TilingGrid):
    """How a raster is cut."""

    inspection: RasterInspection
    tiles: tuple[RasterTile, ...] = Field(min_length=1)


class TilingSummary(TilingGrid):
    """What the job's result says of the scheme."""

    tile_count: int


class TileOutcome(Contract):
    """What became of one tile."""

    key: str
    window: PixelWindow
    item_id: str
    cog_blob: str
    cog_container: str
    size_mb: float


class LargeRasterResult(JobResult):
    """Result of the jobs that cut a raster into tiles."""

    source_blob: str
    source_container: str
    collection_id: str
    validation: RasterValidation
    tiling: TilingSummary
    cogs: CogCounts
    tiles: tuple[TileOutcome, ...]
    mosaicjson: MosaicSummary | None
    stac: CollectionReference
    stages_completed: int


class TilingReport(Contract):
    """How the attempt that finished got there."""

    mode: str
    total_seconds: float  #: of the last attempt alone
    resumed: bool
    resumed_from_phase: int | None = None
    tiles_skipped: int = 0  #: made by earlier attempts


class LargeDockerResult(LargeRasterResult):
    """Result of `process_large_raster_docker`."""

    processing_mode: str
    processing: TilingReport
    resources: MemoryReport


class ProcessedTiles(Contract):
    """What `raster_process_large_complete` answers."""

    scheme: TilingScheme
    made: dict[str, CreateCogOutput]
    cataloged: CatalogedCollection
    processing: TilingReport
    resources: MemoryReport


RASTER_TILING_SCHEME = TaskType(
    "raster_generate_tiling_scheme", LargeRasterParameters, TilingScheme, queue=Queue.RASTER, weight=Weight.HEAVY
)
RASTER_PROCESS_LARGE = TaskType(
    "raster_process_large_complete", LargeRasterParameters, ProcessedTiles, queue=Queue.LONG, weight=Weight.HEAVY
)
