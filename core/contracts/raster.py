"""What raster jobs and raster handlers say to each other: parameters, inspection, COG files, results."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from core.contracts.findings import Severity
from core.contracts.jobs import JobResult, StacReference
from core.contracts.raster_findings import FindingCode
from core.contracts.storage import BlobName
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.errors import InvalidRequest
from core.models.platform import AccessLevel

#: Where COGs and the mosaics of their collections are kept.
COG_CONTAINER = "silver-cogs"
#: Width times height above which a raster is refused before any pixel is read.
MAX_PIXELS = 4_000_000_000

Identifier = Annotated[str, Field(min_length=1, max_length=600, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Variable = Annotated[str, Field(min_length=1, max_length=400)]
#: A number as JSON can carry it: infinities and not-a-number are words.
JsonNumber = float | Literal["nan", "inf", "-inf"]
Bounds = tuple[float, float, float, float]


class RasterType(StrEnum):
    """What the pixels mean; decides resampling, compression and colours."""

    AUTO = "auto"  #: to be detected
    RGB = "rgb"  #: a picture of three integer bands
    RGBA = "rgba"  #: a picture with an alpha band
    NIR = "nir"  #: red, green, blue and near infrared
    DEM = "dem"  #: heights
    CATEGORICAL = "categorical"  #: class numbers
    MULTISPECTRAL = "multispectral"  #: several measured bands
    CONTINUOUS = "continuous"  #: one measured band
    SAR = "sar"  #: radar backscatter


class OutputTier(StrEnum):
    """Which COG is made."""

    VISUALIZATION = "visualization"  #: small and lossy, for looking at
    ANALYSIS = "analysis"  #: lossless DEFLATE
    ARCHIVE = "archive"  #: lossless LZW
    ALL = "all"  #: one of each


class Georeference(StrEnum):
    """How pixels are tied to the ground."""

    AFFINE = "affine"  #: a north-up grid
    ROTATED = "rotated"  #: a grid that is turned or sheared
    GCPS = "gcps"  #: ground control points
    SOUTH_UP = "south_up"  #: a grid whose first row is the southernmost


class Finding(Contract):
    """Something about the data that its owner should know."""

    code: FindingCode
    severity: Severity
    message: str
    fix: str | None = None


class RasterSource(Contract):
    """The blob a raster is read from."""

    blob_name: str
    container_name: str

    @model_validator(mode="after")
    def _nameable(self) -> RasterSource:
        try:
            BlobName(self.container_name, self.blob_name)
        except InvalidRequest as e:
            raise ValueError(str(e)) from e
        return self

    @property
    def source(self) -> BlobName:
        """Where the source is."""
        return BlobName(self.container_name, self.blob_name)


class RasterDataset(Contract):
    """Whose dataset a raster is, and under which names the catalogue will show it."""

    collection_id: Identifier
    collection_must_exist: bool = False  #: extend the collection, refuse to make it
    item_id: Identifier | None = None  #: None: made from the dataset's ids, else from the blob's name
    dataset_id: str | None = Field(None, max_length=255)
    resource_id: str | None = Field(None, max_length=255)
    version_id: str | None = Field(None, max_length=50)
    access_level: AccessLevel
    request_id: str | None = None
    client_id: str | None = None
    title: str | None = Field(None, max_length=255)
    description: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def dataset(self) -> RasterDataset:
        """The part that names the dataset."""
        return RasterDataset.model_validate({name: getattr(self, name) for name in RasterDataset.model_fields})


class RasterOptions(Contract):
    """How rasters are converted.

    `target_crs` None keeps the source's grid and pixel values; the predecessor reprojected everything to EPSG:4326.
    `strict_mode` refuses a raster that any warning was found in.
    """

    input_crs: str | None = None  #: for a file that states none
    variable: Variable | None = (
        None  #: which raster of a file that holds several: its name or its whole subdataset name
    )
    target_crs: str | None = None
    raster_type: RasterType = RasterType.AUTO
    output_tier: OutputTier = OutputTier.ANALYSIS
    jpeg_quality: int = Field(85, ge=1, le=100)
    output_folder: str | None = Field(None, max_length=512)
    strict_mode: bool = False

    @field_validator("output_folder")
    @classmethod
    def _relative(cls, value: str | None) -> str | None:
        if value is None:
            return None
        folder = value.strip("/")
        try:
            BlobName(COG_CONTAINER, f"{folder}/x.tif")
        except InvalidRequest as e:
            raise ValueError(f"output_folder {value!r} is not a plain relative path.") from e
        return folder


class ProcessRasterParameters(RasterSource, RasterDataset, RasterOptions):
    """Parameters of `process_raster_v2` and `process_raster_docker`."""

    def to_validate(self) -> ValidateRasterInput:
        """What validating this raster needs."""
        return ValidateRasterInput(
            blob_name=self.blob_name,
            container_name=self.container_name,
            input_crs=self.input_crs,
            variable=self.variable,
            target_crs=self.target_crs,
            raster_type=self.raster_type,
            strict_mode=self.strict_mode,
            must_extend=self.collection_id if self.collection_must_exist else None,
        )

    def to_convert(self, inspection: RasterInspection) -> CreateCogInput:
        """What converting it needs, once it is inspected."""
        return CreateCogInput(
            dataset=self.dataset,
            inspection=inspection,
            target_crs=self.target_crs,
            output_tier=self.output_tier,
            jpeg_quality=self.jpeg_quality,
            output_folder=self.output_folder,
        )

    def to_describe(self, inspection: RasterInspection, made: CreateCogOutput) -> ExtractStacInput:
        """What cataloguing it needs, once it is converted."""
        return ExtractStacInput(dataset=self.dataset, inspection=inspection, cogs=made.cogs, findings=made.findings)


class BandStatistics(Contract):
    """Over all valid pixels of a band; percentiles of wide types come from an even sample of half a million."""

    minimum: float
    maximum: float
    mean: float
    stddev: float
    valid_percent: float
    percentile_2: float
    percentile_98: float
    distinct: int | None = None  #: how many values occur; None above 256


class RasterBand(Contract):
    """One band of a source. `statistics` is None when no pixel is valid."""

    index: int
    dtype: str
    color: str
    nodata: JsonNumber | None = None
    scale: float = 1.0
    offset: float = 0.0
    unit: str | None = None
    description: str | None = None
    statistics: BandStatistics | None = None
    checksum: str  #: of the pixel values, whatever the file's layout; empty where they were not all read


class RasterLayout(Contract):
    """How a file keeps its pixels: what tiling and overviews it has already."""

    compression: str | None = None
    block_width: int
    block_height: int
    tiled: bool
    overviews: tuple[int, ...] = ()  #: decimation factors


class Coverage(StrEnum):
    """Which pixels an inspection has seen."""

    PIXELS = "pixels"  #: all of them
    OVERVIEW = "overview"  #: a reduced picture; statistics are estimates, there are no checksums


class RasterGrid(Contract):
    """Where pixels are. `bbox` is west, south, east, north in degrees, west > east across the antimeridian."""

    crs: str | None = None  #: AUTHORITY:CODE; None for a custom one
    wkt: str
    width: int
    height: int
    transform: tuple[float, float, float, float, float, float]  #: column/row to x/y: a b c d e f
    bounds: Bounds  #: left, bottom, right, top in the grid's CRS
    bbox: Bounds
    footprint: dict[str, JsonValue]  #: GeoJSON in EPSG:4326


class TypeDetection(Contract):
    """What the pixels seem to be, and why."""

    detected: RasterType
    confidence: float
    evidence: tuple[str, ...]


class RasterInspection(Contract):
    """Everything that one pass over a source tells, or its header and a small overview."""

    container_name: str
    blob_name: str
    member: str | None = None  #: the file inside an archive
    variable: str | None = None  #: the raster chosen among several
    etag: str
    size_bytes: int
    driver: str
    georeference: Georeference
    crs_given: bool  #: the CRS is `input_crs`, not the file's
    grid: RasterGrid
    bands: tuple[RasterBand, ...]
    mask_checksum: str | None = None  #: of the internal mask; None without one
    palette: bool = False
    coverage: Coverage = Coverage.PIXELS
    layout: RasterLayout
    raster_type: RasterType  #: the declared one, else the detected one
    detection: TypeDetection
    is_cog: bool
    acquired: str | None = None  #: acquisition time from the file's tags, RFC 3339
    acquired_until: str | None = None  #: that of the last band, where bands are moments in time
    cloud_cover: float | None = None  #: percent, from the file's tags
    point: bool = False  #: pixels are samples at points, not areas
    findings: tuple[Finding, ...] = ()

    @property
    def source(self) -> BlobName:
        """Where the source is."""
        return BlobName(self.container_name, self.blob_name)

    @property
    def dtype(self) -> str:
        """The type of the first band."""
        return self.bands[0].dtype


class PixelWindow(Contract):
    """A rectangle of a raster's pixels."""

    column: int = Field(ge=0)
    row: int = Field(ge=0)
    width: int = Field(ge=1)
    height: int = Field(ge=1)


class CogFile(Contract):
    """A COG in storage, under a name made from its content.

    `statistics` and `band_checksums` are of the pixels it was made from: after reprojection and within the window.
    """

    container_name: str
    blob_name: str
    tier: OutputTier
    compression: str
    lossless: bool  #: every pixel equals the source's
    size_bytes: int
    checksum: str  #: SHA-256, hex; empty for a file that was catalogued without being read
    etag: str | None = None  #: as storage told it when the file was written or found
    blocksize: int
    overviews: tuple[int, ...]
    band_colors: tuple[str, ...]
    grid: RasterGrid
    window: PixelWindow | None = None  #: the part of the output that this file holds; None: all of it
    statistics: tuple[BandStatistics | None, ...]
    band_checksums: tuple[str, ...]
    processing_seconds: float

    @property
    def blob(self) -> BlobName:
        """Where it is."""
        return BlobName(self.container_name, self.blob_name)


class ValidateRasterInput(RasterSource):
    """What `raster_validate` needs."""

    input_crs: str | None = None
    variable: Variable | None = None
    target_crs: str | None = None  #: only checked here, before any pixel is read
    raster_type: RasterType = RasterType.AUTO
    strict_mode: bool = False
    must_extend: str | None = None  #: a collection without which there is no use in starting
    max_pixels: int | None = Field(None, ge=1)  #: None: as many as the system allows


class CreateCogInput(Contract):
    """What `raster_create_cog` needs."""

    dataset: RasterDataset
    inspection: RasterInspection
    target_crs: str | None = None
    output_tier: OutputTier = OutputTier.ANALYSIS
    jpeg_quality: int = 85
    output_folder: str | None = None  #: None: named after the dataset
    window: PixelWindow | None = None  #: make only this part of the output


class CreateCogOutput(Contract):
    """The COGs made; the first is the one to analyse."""

    cogs: tuple[CogFile, ...] = Field(min_length=1)
    findings: tuple[Finding, ...] = ()


class ExtractStacInput(Contract):
    """What `raster_extract_stac_metadata` needs."""

    dataset: RasterDataset
    inspection: RasterInspection
    cogs: tuple[CogFile, ...] = Field(min_length=1)
    findings: tuple[Finding, ...] = ()


class RasterStacReference(StacReference):
    """The STAC item of a raster."""

    bbox: Bounds
    cog_id: str
    datetime: str


class RasterValidation(Contract):
    """What the job's result says of the source."""

    source_crs: str
    raster_type: RasterType
    confidence: float
    evidence: tuple[str, ...]
    band_count: int
    data_type: str
    width: int
    height: int
    is_cog: bool  #: the source was one already
    warnings: tuple[Finding, ...]


class RasterCog(Contract):
    """What the job's result says of a COG."""

    cog_blob: str
    cog_container: str
    tier: OutputTier
    size_mb: float
    compression: str
    processing_time_seconds: float
    file_checksum: str
    file_size: int


class RasterJobResult(JobResult):
    """Result of a job that makes one raster. `cog` is the one to analyse, `cogs` all of them."""

    source_blob: str
    source_container: str
    validation: RasterValidation
    cog: RasterCog
    cogs: tuple[RasterCog, ...]
    stac: RasterStacReference
    stages_completed: int


RASTER_VALIDATE = TaskType(
    "raster_validate", ValidateRasterInput, RasterInspection, queue=Queue.RASTER, weight=Weight.HEAVY
)
RASTER_CREATE_COG = TaskType(
    "raster_create_cog", CreateCogInput, CreateCogOutput, queue=Queue.RASTER, weight=Weight.HEAVY
)
RASTER_EXTRACT_STAC = TaskType(
    "raster_extract_stac_metadata", ExtractStacInput, RasterStacReference, queue=Queue.RASTER, weight=Weight.HEAVY
)
