"""The raster stages run one after another as the machine would, without the machine; and rasters made by the tests."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine, from_origin

from core.contracts.catalog import CatalogMember
from core.contracts.effects import Effect, UpsertCogMetadata, UpsertStacItem
from core.contracts.jobs import StageResults
from core.contracts.raster import CreateCogOutput, ProcessRasterParameters, RasterInspection, RasterJobResult
from core.contracts.storage import BlobName, ObjectStorage
from core.errors import ContractViolation
from infrastructure.storage.local import LocalStorage
from jobs.process_raster_v2 import JOB
from services.raster import handlers

CONTAINER = "bronze-rasters"
UTM = from_origin(500_000, 9_800_000, 10, 10)
HANDLERS = {
    "raster_validate": handlers.validate,
    "raster_create_cog": handlers.create_cog,
    "raster_extract_stac_metadata": handlers.extract_stac,
}


def write_tiff(path: Path, pixels: np.ndarray, *, crs: str | None = "EPSG:32735", transform: Affine | None = UTM,
               palette: dict | None = None, mask: np.ndarray | None = None, colors: list | None = None,
               **profile: object) -> Path:  # fmt: skip
    """A GeoTIFF of bands x rows x columns."""
    bands = pixels if pixels.ndim == 3 else pixels[np.newaxis]
    shape = {"count": bands.shape[0], "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **shape, **profile) as out:
            if palette:
                out.write_colormap(1, palette)
            if colors:
                out.colorinterp = colors
            out.write(bands)
            if mask is not None:
                out.write_mask(mask)
    return path


class EmptyCatalog:
    """A catalogue without any collection."""

    def collection(self, collection_id: str) -> None:
        return None

    def members(self, collection_id: str) -> list[CatalogMember]:
        return []

    def mosaic_id(self, collection_id: str) -> str:
        return collection_id


@dataclass
class Checkpoint:
    """Finished phases, in memory."""

    phase: int = 0
    data: dict = field(default_factory=dict)

    def should_skip(self, phase: int) -> bool:
        return phase <= self.phase

    def save(self, phase: int, data: Mapping, validate_artifact: Callable[[Mapping], bool] | None = None) -> None:
        if validate_artifact is not None and not validate_artifact(data):
            raise ContractViolation("no artifact")
        self.phase = phase
        self.data.update(data)


@dataclass
class Context:
    """One attempt, with its effects in a list."""

    workdir: Path
    storage: ObjectStorage
    stop_after: int | None = None
    job_id: str = "a" * 64
    job_type: str = JOB.name
    task_id: str = "t"
    attempt: int = 1
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    effects: list[Effect] = field(default_factory=list)
    progress: list[tuple[float, str]] = field(default_factory=list)
    asked: int = 0
    catalog: EmptyCatalog = field(default_factory=EmptyCatalog)
    max_raster_pixels: int = 4_000_000_000

    def should_stop(self) -> bool:
        self.asked += 1
        return self.stop_after is not None and self.asked > self.stop_after

    def report_progress(self, percent: float, message: str) -> None:
        self.progress.append((percent, message))

    def commit_with(self, effect: Effect) -> None:
        self.effects.append(effect)


@dataclass
class Finished:
    """What a job left."""

    result: RasterJobResult
    inspection: RasterInspection
    made: CreateCogOutput
    effects: list[Effect]

    @property
    def item(self) -> dict:
        return dict(next(effect for effect in self.effects if isinstance(effect, UpsertStacItem)).item)

    @property
    def record(self):
        return next(effect for effect in self.effects if isinstance(effect, UpsertCogMetadata)).record


class RasterRig:
    """A store, local unless another is given, and the three stages."""

    def __init__(self, folder: Path, storage: ObjectStorage | None = None) -> None:
        self.folder = folder
        self.storage: ObjectStorage = storage or LocalStorage(folder / "store")
        self._numbers = itertools.count()

    def upload(self, path: Path, name: str | None = None) -> BlobName:
        blob = BlobName(CONTAINER, name or path.name)
        self.storage.upload(path, blob)
        return blob

    def context(self, stop_after: int | None = None) -> Context:
        workdir = self.folder / f"work{next(self._numbers)}"
        workdir.mkdir()
        return Context(workdir, self.storage, stop_after)

    def attempt(self, checkpoint: Checkpoint, stop_after: int | None = None) -> Context:
        """A context of a task that keeps what it has finished."""
        ctx = self.context(stop_after)
        ctx.checkpoint = checkpoint
        return ctx

    def parameters(self, blob: BlobName, **options: object) -> ProcessRasterParameters:
        required = {"collection_id": "test-collection", "access_level": "public", **options}
        return ProcessRasterParameters(blob_name=blob.path, container_name=blob.container, **required)

    def inspect(self, path: Path, **options: object) -> RasterInspection:
        return self.stages(self.upload(path), stop_before=1, **options)[0]

    def run(self, path: Path, **options: object) -> Finished:
        return self.process(self.upload(path), **options)

    def process(self, blob: BlobName, **options: object) -> Finished:
        inspection, made, _, result, effects = self.stages(blob, **options)
        return Finished(result, inspection, made, effects)

    def stages(
        self, blob: BlobName, *, stop_before: int = 3, between: Callable[[int], None] | None = None, **options: object
    ) -> list:
        """Outputs of the stages, then result and effects; every model goes through JSON as in the database."""
        params = self.parameters(blob, **options)
        done: dict[str, dict] = {}
        outputs: list = []
        effects: list[Effect] = []
        for number, stage in enumerate(JOB.stages[:stop_before]):
            (spec,) = stage.plan(params, StageResults(done))
            given = stage.task.input.model_validate_json(spec.parameters.model_dump_json())
            ctx = self.context()
            output = stage.task.output.model_validate_json(
                HANDLERS[stage.task.name](given, ctx).model_dump_json(),
            )
            done[stage.name] = {spec.key: output}
            outputs.append(output)
            effects += ctx.effects
            if between:
                between(number)
        if stop_before < 3:
            return outputs
        result = JOB.finalize(params, StageResults(done))
        return [*outputs, JOB.result.model_validate_json(result.model_dump_json()), effects]

    def open(self, finished: Finished, number: int = 0) -> rasterio.DatasetReader:
        return rasterio.open(self.storage.gdal_path(finished.made.cogs[number].blob))

    def stored(self, container: str = "silver-cogs") -> list[str]:
        return [blob.name.path for blob in self.storage.list(container)]
